"""Files of the user's own: treated as a dataset's images are, or taken as they are, and named where they cannot be used."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from tamingplat_datasets.config import ParquetConfig
from tamingplat_datasets.own_files import read_own as as_the_dataset_does
from tamingplat_datasets.parquet import ParquetDataset

from tamingplat.interfaces import DataError, DatasetInfo, MapsInfo
from tamingplat.stages.finished.files import read_image, read_map, read_own
from tamingplat.testing.standins import StandInDataset

INFO = DatasetInfo((16, 16), 3, {"train": 4}, ("square", "star"), ("image", "label"), 4, ("top", "left"))


def save(path: Path, array: np.ndarray, mode: str | None = None) -> Path:
    Image.fromarray(array, mode).save(path)
    return path


def test_without_files_of_its_own_a_dataset_takes_them_at_their_size(tmp_path: Path) -> None:
    classes = np.arange(12 * 20).reshape(12, 20) % 4
    depth = (np.arange(12 * 20).reshape(12, 20) * 200).astype(np.uint16)
    (tmp_path / "joints.json").write_text(json.dumps([[1, 2, 2, 3, 4, 0]]))
    files = {
        "image": save(tmp_path / "image.png", np.full((12, 20, 4), 255, np.uint8)),
        "segmentation": save(tmp_path / "classes.png", classes.astype(np.uint8)),
        "depth": save(tmp_path / "depth.png", depth),
        "keypoints": tmp_path / "joints.json",
    }
    example = read_own(StandInDataset(INFO), files, (12, 20))
    assert example["image"].shape == (3, 12, 20) and np.array_equal(example["segmentation"], classes)
    # Sixteen bits are sixteen bits.
    assert np.allclose(example["depth"][0], depth / 65_535) and example["depth"].dtype == np.float32
    assert example["keypoints"].tolist() == [[[1, 2, 2], [3, 4, 0]]]


def test_what_cannot_be_used_is_named(tmp_path: Path) -> None:
    grey = np.zeros((12, 20), np.uint8)
    palette = Image.fromarray(grey, "P")
    palette.putpalette([0, 0, 0, 255, 0, 0])
    palette.save(tmp_path / "palette.png")
    (tmp_path / "none.png").write_bytes(b"no image")
    (tmp_path / "none.json").write_text("[1, 2]")
    save(tmp_path / "nan.tif", np.full((12, 20), np.nan, np.float32))
    for column, name, told in (
        ("segmentation", "palette.png", "palette"),
        ("segmentation", save(tmp_path / "many.png", grey + 9).name, "class numbers 9 beyond the 4 classes"),
        ("segmentation", save(tmp_path / "rgb.png", np.zeros((12, 20, 3), np.uint8)).name, "one channel"),
        ("segmentation", save(tmp_path / "small.png", grey[:4]).name, "4 rows of 20 pixels, and 12 of 20 are asked for"),
        ("depth", "nan.tif", "NaN"),
        ("image", "none.png", "image"),
        ("image", "absent.png", "cannot be read"),
        ("keypoints", "none.json", "not x, y and visibility"),
    ):
        with pytest.raises(DataError) as error:
            read_own(StandInDataset(INFO), {column: tmp_path / name}, (12, 20))
        assert told in str(error.value) and name in str(error.value)


def test_a_dataset_of_files_resizes_and_crops_them_as_its_own(tmp_path: Path) -> None:
    config = ParquetConfig(
        train=tmp_path, validation=tmp_path, size=(8, 8), segmentation={"classes": 3}, label_column=""
    ).model_copy(update={"size": (16, 16)})
    image = np.zeros((32, 64, 3), np.uint8)
    image[:, 32:] = 200
    classes = (image[..., 0] > 0).astype(np.uint8)
    files = {"image": save(tmp_path / "image.png", image), "segmentation": save(tmp_path / "classes.png", classes)}
    example = as_the_dataset_does(files, config)
    # The shorter side fits, and the middle is cut out: classes fall where the image's colours do.
    assert example["image"].shape == (3, 16, 16) and example["segmentation"].shape == (16, 16)
    assert np.array_equal(example["segmentation"][8], [0] * 8 + [1] * 8)
    assert example["image"][0, 8, 4] < 20 and example["image"][0, 8, 12] > 180
    save(tmp_path / "classes.png", classes[:16])
    with pytest.raises(DataError, match=r"classes\.png: 16×64 pixels, but the image has 32×64"):
        as_the_dataset_does(files, config)
    with pytest.raises(DataError, match="depth"):
        as_the_dataset_does({"depth": files["image"]}, config)


@pytest.mark.parametrize("kind", [np.uint16, np.int32])
def test_sixteen_bits_of_an_image_are_scaled(tmp_path: Path, kind: type) -> None:
    ramp = np.linspace(0, 65_535, 12 * 20).reshape(12, 20)
    path = save(tmp_path / "ramp.tif", ramp.astype(kind))
    for array in (
        read_own(StandInDataset(INFO), {"image": path}, (12, 20))["image"],
        read_image(StandInDataset(INFO), path),
        read_map(path, MapsInfo((12, 20), 3), (12, 20)),
    ):
        assert array.shape == (3, 12, 20) and abs(array[0] - ramp / 257).max() <= 0.51


@pytest.mark.parametrize(
    "beyond",
    # Of 32 bits, values that 8 bits would hold are as likely those of 8 bits as the darkest of 16.
    [np.full((12, 20), 0.5, np.float32), np.full((12, 20), 70_000, np.int32), np.full((12, 20), 200, np.int32)],
)
def test_values_without_a_range_are_refused_by_name(tmp_path: Path, beyond: np.ndarray) -> None:
    path = save(tmp_path / "beyond.tif", beyond)
    with pytest.raises(DataError, match=r"beyond\.tif: mode [FI], whose values have no agreed range; save the image with 8 or"):
        read_image(StandInDataset(INFO), path)


def test_an_image_of_any_size_is_read_as_the_datasets_own(tmp_path: Path) -> None:
    config = ParquetConfig(train=tmp_path, validation=tmp_path, size=(8, 8), label_column="", background=(0, 0, 200))
    clear = save(tmp_path / "clear.png", np.zeros((12, 20, 4), np.uint8))
    image = read_image(ParquetDataset(config, {}), clear)
    assert image.shape == (3, 12, 20) and image[:, 3, 3].tolist() == [0, 0, 200]
    assert read_image(StandInDataset(INFO), clear)[:, 3, 3].tolist() == [255, 255, 255]


def test_a_map_has_the_size_that_the_condition_needs(tmp_path: Path) -> None:
    small = save(tmp_path / "small.png", np.full((6, 10, 3), 7, np.uint8))
    assert read_map(small, MapsInfo((6, 10), 3), (12, 20)).shape == (3, 6, 10)
    assert read_map(small, MapsInfo((6, 10), 1), (6, 10)).shape == (1, 6, 10)
    with pytest.raises(DataError, match=r"small\.png: 6 rows of 10 pixels, and 3 of 4 are asked for; .* say --size 40x24"):
        read_map(small, MapsInfo((3, 4), 3), (12, 16))


def test_a_map_with_transparent_parts_is_refused(tmp_path: Path) -> None:
    # White strokes on nothing: on white, as images are laid, all of the map would be an edge.
    sketch = np.full((6, 10, 4), 255, np.uint8)
    opaque = save(tmp_path / "opaque.png", sketch)
    assert read_map(opaque, MapsInfo((6, 10), 1), (6, 10)).min() == 255
    sketch[2:, :, 3] = 0
    with pytest.raises(DataError, match=r"sketch\.png: has transparent parts; lay it on the background"):
        read_map(save(tmp_path / "sketch.png", sketch), MapsInfo((6, 10), 1), (6, 10))


def test_scores_of_a_detector_are_no_visibilities(tmp_path: Path) -> None:
    path = tmp_path / "scores.json"
    path.write_text(json.dumps([[1, 2, 0.05], [3, 4, 0.9]]))
    with pytest.raises(DataError, match=r"scores\.json: visibility 0\.05, which is 0 \(absent\), 1 .* threshold"):
        read_own(StandInDataset(INFO), {"keypoints": path}, (12, 20))
