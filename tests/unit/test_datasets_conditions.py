"""What comes with images: label maps, depth, keypoints and coordinates, cropped and mirrored as the images are."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image
from pydantic import ValidationError
from tamingplat_datasets.config import HubConfig, ImageFolderConfig, ParquetConfig
from tamingplat_datasets.hub import HubDataset
from tamingplat_datasets.imagefolder import ImageFolderDataset
from tamingplat_datasets.parquet import ParquetDataset

from tamingplat.interfaces import DataError, ProblemsError
from tamingplat.interfaces.models import Dataset

JOINTS = ("top", "left_side", "right_side")
CONDITIONS: dict[str, Any] = {"segmentation": {"classes": 3}, "depth": {}, "keypoints": {"joints": JOINTS}}


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TAMINGPLAT_CACHE", str(tmp_path / "cache"))


def of_parquet(folder: Path, **settings: Any) -> ParquetDataset:
    files = {split: folder / f"{split}.parquet" for split in ("train", "validation")}
    return ParquetDataset(ParquetConfig(**{**files, "size": 16, **CONDITIONS, **settings}), {})


def of_folder(shapes: Path, folder: Path, **settings: Any) -> ImageFolderDataset:
    """The same examples as files, the keypoints in COCO's layout."""
    blocks: dict[str, Any] = {name: dict(block) for name, block in CONDITIONS.items()}
    places: dict[str, Path] = {}
    for split in ("train", "validation"):
        images, annotations = [], []
        for index, row in enumerate(pq.read_table(shapes / f"{split}.parquet").to_pylist()):
            kind = "ab"[row["label"]]
            for name, data in (
                ("image", row["image"]["bytes"]),
                ("segmentation", row["segmentation"]),
                ("depth", row["depth"]),
            ):
                path = folder / name / split / kind / f"{index:02}.png"
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(data)
            images.append({"id": index, "file_name": f"{kind}/{index:02}.png"})
            annotations.append({"image_id": index, "keypoints": row["keypoints"]})
        coco = folder / f"{split}.json"
        coco.write_text(json.dumps({"images": images, "annotations": annotations, "categories": [{"keypoints": JOINTS}]}))
        places[split] = folder / "image" / split
        blocks["segmentation"][split], blocks["depth"][split] = folder / "segmentation" / split, folder / "depth" / split
        blocks["keypoints"][split] = coco
    return ImageFolderDataset(ImageFolderConfig(**{**places, **blocks, "size": 16, **settings}), {})


def of_hub(shapes: Path, folder: Path, **settings: Any) -> HubDataset:
    (folder / "data").mkdir(parents=True)
    for split in ("train", "validation"):
        (folder / "data" / f"{split}-00000-of-00001.parquet").write_bytes((shapes / f"{split}.parquet").read_bytes())
    return HubDataset(HubConfig(**{"folder": folder, "size": 16, **CONDITIONS, **settings}), {})


def test_three_datasets_give_the_same_columns(shapes: Path, tmp_path: Path) -> None:
    views: dict[str, Any] = {"crop": "random", "flip": True, "coordinates": True}
    parquet, hub = of_parquet(shapes, **views), of_hub(shapes, tmp_path / "hub", **views)
    folder = of_folder(shapes, tmp_path / "files", **views)
    for dataset in (parquet, hub, folder):
        assert dataset.info.columns == ("image", "label", "segmentation", "depth", "keypoints", "coordinates")
        assert dataset.info.segmentation_classes == 3 and dataset.info.joints == JOINTS
    example = parquet.read("train", 2, 5)
    assert {name: (value.dtype.name, value.shape) for name, value in example.items()} == {
        "image": ("uint8", (3, 16, 16)),
        "label": ("int64", ()),
        "segmentation": ("uint8", (16, 16)),
        "depth": ("float32", (1, 16, 16)),
        "keypoints": ("float32", (1, 3, 3)),
        "coordinates": ("float32", (1, 16, 16)),
    }
    for name, value in hub.read("train", 2, 5).items():
        np.testing.assert_array_equal(value, example[name], err_msg=name)
    # A folder's images come in the order of their names: all of class a first.
    for name, value in folder.read("validation", 1).items():
        np.testing.assert_array_equal(value, parquet.read("validation", 2)[name], err_msg=name)


def test_conditions_follow_the_views_of_the_image(shapes: Path) -> None:
    dataset, mirrored = of_parquet(shapes, size=12, resize="none", crop="random", flip=True), 0
    for view in range(24):
        example = dataset.read("train", view % 5, view)
        red, _, blue = example["image"].astype(int)
        classes = np.where(red > 150, np.where(blue < 100, 1, 0), 2)
        np.testing.assert_array_equal(example["segmentation"], classes)
        near = example["depth"][0] < 0.5
        np.testing.assert_array_equal(near, classes > 0)
        for (x, y, seen), place in zip(example["keypoints"][0], ("top", "left", "right"), strict=True):
            if seen:
                assert classes[int(y), int(x)] > 0, (view, place)
                beyond = {"top": (y - 1, x), "left": (y, x - 1), "right": (y, x + 1)}[place]
                if min(beyond) >= 0 and max(beyond) < 12:
                    assert classes[int(beyond[0]), int(beyond[1])] == 0, (view, place)
            else:
                assert x == 0 and y == 0
        mirrored += bool(np.any(np.diff(example["depth"][0], axis=1)[~near[:, 1:] & ~near[:, :-1]] > 0))
    assert 0 < mirrored < 24


def test_coordinates_are_those_of_the_whole_image(shapes: Path) -> None:
    dataset = of_parquet(shapes, size=12, resize="none", crop="random", flip=True, coordinates=True)
    whole = (np.arange(20 * 24) / (20 * 24)).astype(np.float32).reshape(20, 24)
    places = set()
    for view in range(1, 30):
        coordinates = dataset.read("train", 0, view)["coordinates"][0]
        top, left = divmod(round(float(coordinates[0, 0]) * 480), 24)
        np.testing.assert_array_equal(coordinates, whole[top : top + 12, left : left + 12])
        places.add((top, left))
    assert len(places) > 10


def test_what_nobody_reads_can_be_left_out(shapes: Path, tmp_path: Path) -> None:
    dataset = of_folder(shapes, tmp_path, coordinates=True)
    (tmp_path / "depth" / "train" / "a" / "00.png").write_bytes(b"broken")
    images, regions = dataset.only(("image",)), dataset.only(("segmentation",))
    assert set(images.read("train", 0)) == {"image", "label"}
    assert set(regions.read("train", 0)) == {"image", "label", "segmentation"}
    with pytest.raises(DataError, match=r"depth/train/a/00\.png: not an image"):
        dataset.read("train", 0)
    assert dataset.info == images.info == regions.info


def encoded(pixels: np.ndarray | Image.Image, form: str = "PNG") -> bytes:
    buffer = io.BytesIO()
    (pixels if isinstance(pixels, Image.Image) else Image.fromarray(pixels)).save(buffer, form)
    return buffer.getvalue()


IMAGE = encoded(np.full((4, 4, 3), 9, np.uint8))


def single(folder: Path, size: int = 4, **columns: Any) -> ParquetDataset:
    """One image of 4×4 pixels and what comes with it: the value and the settings of each column."""
    path = folder / "one.parquet"
    path.parent.mkdir(exist_ok=True)
    pq.write_table(pa.Table.from_pylist([{"image": IMAGE, **{name: value for name, (value, _) in columns.items()}}]), path)
    settings = {name: block for name, (_, block) in columns.items()}
    return ParquetDataset(ParquetConfig(train=path, validation=path, size=size, label_column="", **settings), {})


def one(folder: Path, name: str, value: Any, size: int = 4, **block: Any) -> np.ndarray:
    dataset: Dataset = single(folder, size, **{name: (value, block)})
    return dataset.read("train", 0)[name]


GREY = np.array([[0, 1, 2, 3]] * 4, np.uint8)
PALETTE = Image.fromarray(GREY).convert("P")


def test_label_maps(tmp_path: Path) -> None:
    np.testing.assert_array_equal(one(tmp_path, "segmentation", encoded(GREY), classes=4), GREY)
    sixteen = one(tmp_path, "segmentation", encoded(GREY.astype(np.uint16) * 300), classes=1000)
    np.testing.assert_array_equal(sixteen, GREY.astype(int) * 300)
    assert sixteen.dtype == np.int32
    dataset = single(tmp_path, segmentation=(encoded(np.where(GREY == 3, 255, GREY)), {"classes": 3, "ignore": 255}))
    np.testing.assert_array_equal(dataset.read("train", 0)["segmentation"], GREY)
    assert dataset.info.segmentation_classes == 4
    indices = one(tmp_path, "segmentation", encoded(PALETTE), classes=256, palette="indices")
    np.testing.assert_array_equal(indices, np.asarray(PALETTE))
    enlarged = one(tmp_path, "segmentation", encoded(np.where(GREY > 1, 200, 0).astype(np.uint8)), size=7, classes=201)
    assert set(np.unique(enlarged)) == {0, 200}  # no class arises between two others


@pytest.mark.parametrize(
    ("value", "block", "expected"),
    [
        (encoded(GREY[:3]), {"classes": 4}, "3×4 pixels, but the image has 4×4; store both at one size"),
        (
            encoded(GREY),
            {"classes": 2},
            "class numbers 2, 3 beyond the 2 classes; raise segmentation.classes, or set",
        ),
        (encoded(PALETTE), {"classes": 256}, 'with a palette.*set segmentation.palette = "indices"'),
        (IMAGE, {"classes": 256}, "label map of mode RGB.*one channel of integers; save them"),
        (IMAGE[:40], {"classes": 4}, "corrupt one"),
        (None, {"classes": 4}, "there is none; leave the image out"),
    ],
    ids=["size", "classes", "palette", "colour", "corrupt", "missing"],
)
def test_label_maps_that_cannot_be_used(tmp_path: Path, value: Any, block: dict[str, Any], expected: str) -> None:
    if value is None:
        other = {"image": IMAGE, "segmentation": encoded(GREY)}
        path = tmp_path / "one.parquet"
        pq.write_table(pa.Table.from_pylist([{"image": IMAGE, "segmentation": None}, other]), path)
        config = ParquetConfig(train=path, validation=path, size=4, label_column="", segmentation=block)
        dataset = ParquetDataset(config, {})
    else:
        dataset = single(tmp_path, segmentation=(value, block))
    with pytest.raises(DataError, match=expected) as caught:
        dataset.read("train", 0)
    assert f"{tmp_path / 'one.parquet'}: row 0, column segmentation" in str(caught.value)


def test_depth_of_any_precision(tmp_path: Path) -> None:
    thirds = (GREY / 3).astype(np.float32)
    for pixels in (GREY * 50, GREY.astype(np.uint16) * 7 + 60_000, thirds * -5 - 1):
        form = "TIFF" if pixels.dtype == np.float32 else "PNG"
        wanted = 1 - thirds if form == "TIFF" else thirds
        np.testing.assert_allclose(one(tmp_path, "depth", encoded(pixels, form))[0], wanted, atol=1e-6)
    # Sixteen bits are not cut to eight: two depths that differ by 1 / 65535 differ.
    fine = one(tmp_path, "depth", encoded(GREY.astype(np.uint16)), range=(0, 65_535))[0]
    np.testing.assert_allclose(fine, GREY / 65_535, rtol=1e-6)
    cut = one(tmp_path, "depth", encoded(GREY * 50), range=(50, 100))[0]
    np.testing.assert_allclose(cut, np.clip(GREY * 1.0 - 1, 0, 1))
    assert one(tmp_path, "depth", encoded(np.full((4, 4), 7, np.uint8))).tolist() == np.zeros((1, 4, 4)).tolist()


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (encoded(np.where(GREY == 1, np.nan, 2).astype(np.float32), "TIFF"), "4 depths that are NaN or infinite; fill them in"),
        (IMAGE, "depth map of mode RGB.*one channel"),
        (encoded(GREY[:, :2]), "4×2 pixels, but the image has 4×4"),
    ],
    ids=["NaN", "colour", "size"],
)
def test_depth_that_cannot_be_used(tmp_path: Path, value: bytes, expected: str) -> None:
    with pytest.raises(DataError, match=f"row 0, column depth: .*{expected}"):
        one(tmp_path, "depth", value)


def test_keypoints(tmp_path: Path) -> None:
    small, large = [[1, 1, 2], [2, 1, 1]], [[0, 0, 2], [4, 3, 2]]
    joints = ("left", "right")
    found = one(tmp_path, "keypoints", [small, large], joints=joints, figures=3)
    assert found.tolist() == [[[0, 0, 2], [3, 3, 2]], [[1, 1, 2], [2, 1, 1]], [[0, 0, 0]] * 2]
    assert one(tmp_path, "keypoints", [small, large], joints=joints).tolist() == [[[0, 0, 2], [3, 3, 2]]]
    doubled = one(tmp_path, "keypoints", [small], size=8, joints=joints)
    assert doubled.tolist() == [[[2.5, 2.5, 2], [4.5, 2.5, 1]]]  # the centre of a pixel stays its centre
    nothing = one(tmp_path, "keypoints", [0.0] * 6, joints=joints, required=False)
    assert not nothing.any()


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ([5, 1, 2, 0, 0, 0], "left at 5, 1, outside the image of 4×4 pixels"),
        ([1, 1, 2], r"3 numbers, which is not x, y and visibility of 2 joints; set keypoints.joints"),
        ([1.0, float("nan"), 2, 0, 0, 0], "NaN or infinite"),
        ([1, 1, 0.05, 1, 1, 2], r"visibility 0\.05 of left, which is 0 \(absent\), 1 .* scores into these, 2 from a threshold"),
        ([0, 0, 0, 0, 0, 0], "no keypoints of this image; leave it out, or set keypoints.required = false"),
    ],
)
def test_keypoints_that_cannot_be_used(tmp_path: Path, value: list[float], expected: str) -> None:
    with pytest.raises(DataError, match=f"row 0, column keypoints: .*{expected}"):
        one(tmp_path, "keypoints", [float(number) for number in value], joints=("left", "right"))


def test_columns_that_are_not_there_or_hold_something_else(shapes: Path) -> None:
    dataset = of_parquet(shapes, segmentation={"classes": 3, "column": "labels"}, depth={"column": "keypoints"})
    with pytest.raises(ProblemsError) as caught:
        _ = dataset.info
    told = str(caught.value)
    assert "has no column labels (segmentation.column)" in told and "set segmentation.column to the column of maps" in told
    assert "column keypoints holds list" in told and "not encoded images; set depth.column to" in told
    with pytest.raises(ProblemsError, match=r"column image holds struct.*not lists of numbers; store x, y and visibility"):
        _ = of_parquet(shapes, keypoints={"column": "image"}).info


def test_folders_and_files_that_are_not_there(shapes: Path, tmp_path: Path) -> None:
    dataset = of_folder(shapes, tmp_path)
    missing = tmp_path / "segmentation" / "train" / "a" / "00.png"
    missing.unlink()
    with pytest.raises(
        DataError, match=f"segmentation of .*image/train/a/00.png in {missing.parents[1]}: there is none; leave"
    ):
        dataset.read("train", 0)
    found = {"train": tmp_path / "image" / "train", "validation": tmp_path / "image" / "validation"}
    inside = {"train": found["train"] / "a", "validation": tmp_path / "nowhere"}
    coco = tmp_path / "train.json"
    blocks: dict[str, Any] = {
        "depth": inside,
        "keypoints": {"train": coco, "validation": tmp_path / "image" / "train" / "a" / "00.png", "joints": ("one", "two")},
    }
    with pytest.raises(ProblemsError) as caught:
        _ = ImageFolderDataset(ImageFolderConfig(**{**found, **blocks, "size": 4}), {}).info
    told = str(caught.value)
    assert "nowhere: no such folder (depth)" in told and "lie inside the folder of the images" in told
    assert "its joints are top, left_side, right_side, and those of keypoints.joints are one, two" in told
    assert "is not JSON" in told and "name a JSON file in COCO's layout" in told


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({"segmentation": {"classes": 3, "ignore": 2}}, "ignore 2 is one of the 3 classes"),
        ({"depth": {"range": (3, 3)}}, "range must ascend"),
        ({"keypoints": {"joints": ("a", "a")}}, "names a joint more than once"),
        ({"depth": {"root": "x"}}, "depth must give train and validation, as the images themselves do"),
    ],
)
def test_settings_that_contradict_each_other(settings: dict[str, Any], expected: str) -> None:
    with pytest.raises(ValidationError, match=expected):
        ImageFolderConfig(train="a", validation="b", size=4, **settings)
