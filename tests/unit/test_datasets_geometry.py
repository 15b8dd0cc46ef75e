"""Resizing, cropping and mirroring, and their addressed randomness."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from pydantic import ValidationError
from tamingplat_datasets.config import HubConfig, ImageConfig, ImageFolderConfig, ParquetConfig
from tamingplat_datasets.geometry import fit
from tamingplat_datasets.pixels import UnusableImageError

sides = st.integers(1, 40)


def coordinates(height: int, width: int) -> Image.Image:
    """An image whose red is the row and whose green is the column."""
    rows, columns = np.mgrid[:height, :width]
    return Image.fromarray(np.stack([rows, columns, np.zeros_like(rows)], axis=-1).astype(np.uint8))


@given(height=sides, width=sides, to_height=sides, to_width=sides, view=st.integers(0, 3))
def test_any_size_fits_any_size(height: int, width: int, to_height: int, to_width: int, view: int) -> None:
    for resize in ("shorter", "exact"):
        config = ImageConfig(size=(to_height, to_width), resize=resize, crop="random", flip=True)
        assert fit(coordinates(height, width), config, ("train", 0, view)).size == (to_width, to_height)


def test_shorter_side_keeps_the_aspect_and_takes_the_centre() -> None:
    pixels = np.asarray(fit(coordinates(10, 30), ImageConfig(size=10), ("train", 0, 0)))
    np.testing.assert_array_equal(pixels[0, :, 1], np.arange(10, 20))
    tall = np.asarray(fit(coordinates(30, 10), ImageConfig(size=10), ("train", 0, 0)))
    np.testing.assert_array_equal(tall[:, 0, 0], np.arange(10, 20))


@pytest.mark.parametrize(("mode", "channels"), [("L", 1), ("LA", 2), ("RGB", 3), ("RGBA", 4)])
def test_the_unsmoothed_filter_reads_four_neighbours(mode: str, channels: int) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (24, 40, channels), dtype=np.uint8)
    image = Image.fromarray(noise if channels > 1 else noise[..., 0])
    assert image.mode == mode
    small = fit(image, ImageConfig(size=(6, 10), resize="exact", interpolation="bilinear-unsmoothed"), ("train", 0, 0))
    assert small.mode == mode
    # At a quarter of the side, a pixel's centre lies in the middle of the four in the middle of its sixteen.
    middle = noise.reshape(6, 4, 10, 4, channels)[:, 1:3, :, 1:3].mean(axis=(1, 3))
    np.testing.assert_allclose(np.asarray(small).reshape(6, 10, channels), middle, atol=1)
    smoothed = fit(image, ImageConfig(size=(6, 10), resize="exact", interpolation="bilinear"), ("train", 0, 0))
    assert np.abs(np.asarray(smoothed).reshape(6, 10, channels) - middle).max() > 20


def test_random_crops_and_flips_are_addressed() -> None:
    image, config = coordinates(20, 60), ImageConfig(size=20, crop="random", flip=True)
    seen = set()
    for view in range(1, 40):
        pixels = np.asarray(fit(image, config, ("train", 5, view)))
        np.testing.assert_array_equal(pixels, np.asarray(fit(image, config, ("train", 5, view))))
        row = pixels[0, :, 1].astype(int)
        assert set(np.diff(row)) in ({1}, {-1})
        seen.add((row.min(), row[0] < row[-1]))
    assert len({left for left, _ in seen}) > 15
    assert {mirrored for _, mirrored in seen} == {True, False}
    others = [np.asarray(fit(image, config, address)) for address in (("train", 6, 1), ("validation", 5, 1))]
    assert any((other != np.asarray(fit(image, config, ("train", 5, 1)))).any() for other in others)


def test_switching_the_flip_leaves_the_crops() -> None:
    image = coordinates(20, 60)
    for view in range(1, 10):
        both, crop = (
            np.asarray(fit(image, ImageConfig(size=20, crop="random", flip=flip), ("train", 0, view))) for flip in (True, False)
        )
        assert (both == crop).all() or (both[:, ::-1] == crop).all()


def test_the_plain_view_is_never_random() -> None:
    image = coordinates(20, 60)
    plain = np.asarray(fit(image, ImageConfig(size=20), ("train", 0, 0)))
    for index in range(5):
        random = fit(image, ImageConfig(size=20, crop="random", flip=True), ("train", index, 0))
        np.testing.assert_array_equal(np.asarray(random), plain)


def test_crop_alone_refuses_small_images() -> None:
    config = ImageConfig(size=16, resize="none")
    np.testing.assert_array_equal(np.asarray(fit(coordinates(20, 20), config, ("train", 0, 0)))[0, :, 1], np.arange(2, 18))
    with pytest.raises(UnusableImageError, match="10×20 pixels, smaller than the size 16×16"):
        fit(coordinates(10, 20), config, ("train", 0, 0))


def test_size_of_one_number_is_a_square() -> None:
    assert ImageConfig(size=32).size == (32, 32) == ImageConfig(size=[32, 32]).size


@pytest.mark.parametrize("size", [0, -1, True, (4,), (4, 0), "x", 2.5])
def test_bad_sizes(size: object) -> None:
    with pytest.raises(ValidationError):
        ImageConfig(size=size)


def test_settings_that_contradict_each_other(tmp_path) -> None:
    with pytest.raises(ValidationError, match="not both"):
        ImageFolderConfig(size=8, root=tmp_path, train=tmp_path)
    with pytest.raises(ValidationError, match="give root"):
        ImageFolderConfig(size=8, train=tmp_path)
    with pytest.raises(ValidationError, match="must not repeat train"):
        ParquetConfig(size=8, train=tmp_path, validation=tmp_path, extra_splits={"train": tmp_path})
    with pytest.raises(ValidationError, match="full commit"):
        HubConfig(size=8, path="ylecun/mnist")
    with pytest.raises(ValidationError):
        HubConfig(size=8, path="ylecun/mnist", revision="main")
    with pytest.raises(ValidationError, match="either path"):
        HubConfig(size=8)
    assert ParquetConfig(size=8, train=tmp_path, validation=tmp_path, label_column="").label_column is None
