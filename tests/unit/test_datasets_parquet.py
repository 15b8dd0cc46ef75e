"""Images in Parquet files: the embedded dataset, other layouts, and what users get wrong."""

from __future__ import annotations

import io
import multiprocessing
import os
import pickle
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image
from tamingplat_datasets.config import ParquetConfig
from tamingplat_datasets.parquet import ParquetDataset

from tamingplat.interfaces import DataError, ProblemsError

EMBEDDED = Path(__file__).parents[2] / "experiments" / "data"


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("TAMINGPLAT_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def png(value: int, side: int = 4) -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", (side, side), (value, value, value)).save(buffer, "PNG")
    return buffer.getvalue()


def write(path: Path, images: Sequence[Any], labels: Sequence[Any] | None = None, **columns: Any) -> Path:
    table = {"image": [{"bytes": image, "path": None} for image in images]}
    if labels is not None:
        table["label"] = list(labels)
    pq.write_table(pa.table({**table, **columns}), path)
    return path


def embedded(**settings: Any) -> ParquetDataset:
    train, validation = (EMBEDDED / f"noto-emoji-64-{split}.parquet" for split in ("train", "validation"))
    return ParquetDataset(ParquetConfig(train=train, validation=validation, **settings), {})


def small(folder: Path, train: Sequence[int] = (0, 1, 2, 3), **settings: Any) -> ParquetDataset:
    one = write(folder / "one.parquet", [png(value) for value in train], [value % 2 for value in train])
    two = write(folder / "two.parquet", [png(200)], [1])
    return ParquetDataset(ParquetConfig(train=one, validation=two, size=4, **settings), {})


def test_the_embedded_dataset() -> None:
    dataset = embedded(size=24)
    assert dataset.info.splits == {"train": 3184, "validation": 597}
    assert dataset.info.image_size == (24, 24)
    assert dataset.info.label_names is not None
    assert len(dataset.info.label_names) == 9
    assert dataset.info.columns == ("image", "label")
    example = dataset.read("validation", 596)
    assert example["image"].shape == (3, 24, 24)
    assert example["image"].dtype == np.uint8
    assert example["label"].dtype == np.int64
    assert example["label"].shape == ()


def test_images_are_what_the_file_holds() -> None:
    dataset = embedded(size=64)
    rows = pq.read_table(EMBEDDED / "noto-emoji-64-validation.parquet").slice(500, 40).to_pylist()
    for index, row in enumerate(rows):
        example = dataset.read("validation", 500 + index)
        pixels = np.asarray(Image.open(io.BytesIO(row["image"]["bytes"])).convert("RGB"))
        np.testing.assert_array_equal(example["image"], pixels.transpose(2, 0, 1))
        assert example["label"] == row["label"]


def test_info_opens_no_table_and_needs_no_cache(cache: Path) -> None:
    assert embedded(size=24).info.splits["train"] == 3184
    assert not cache.exists()


def test_reading_is_fast() -> None:
    dataset = embedded(size=24, flip=True)
    dataset.read("validation", 0)
    fastest = min(_milliseconds(dataset, range(start, start + 50)) for start in range(0, 500, 50))
    assert fastest < 1.5  # 0.3 on an idle core


def _milliseconds(dataset: ParquetDataset, indices: range) -> float:
    start = time.perf_counter()
    for index in indices:
        dataset.read("validation", index, 1)
    return (time.perf_counter() - start) / len(indices) * 1e3


def test_a_folder_of_shards_is_read_in_the_order_of_names(tmp_path: Path) -> None:
    folder = tmp_path / "train"
    folder.mkdir()
    write(folder / "b.parquet", [png(2), png(3)], ["x", "y"])
    write(folder / "a.parquet", [png(0), png(1)], ["z", "y"])
    (folder / "notes.txt").write_text("not data")
    validation = write(tmp_path / "validation.parquet", [png(9)], ["z"])
    dataset = ParquetDataset(ParquetConfig(train=folder, validation=validation, size=4), {})
    assert [int(dataset.read("train", index)["image"][0, 0, 0]) for index in range(4)] == [0, 1, 2, 3]
    assert dataset.info.label_names == ("x", "y", "z")
    assert [int(dataset.read("train", index)["label"]) for index in range(4)] == [2, 1, 0, 1]
    assert dataset.read("validation", 0)["label"] == 2


def test_plain_bytes_other_names_and_further_splits(tmp_path: Path) -> None:
    path = tmp_path / "data.parquet"
    pq.write_table(pa.table({"picture": [png(7)], "kind": pa.array(["a"]).dictionary_encode()}), path)
    config = ParquetConfig(
        train=path, validation=path, extra_splits={"selection": path}, image_column="picture", label_column="kind", size=4
    )
    dataset = ParquetDataset(config, {})
    assert dataset.info.splits == {"train": 1, "validation": 1, "selection": 1}
    assert dataset.read("selection", 0)["label"] == 0


@pytest.mark.parametrize("labels", [[10, -5, 10, 3], [True, False, True, True], [None] * 0 or ["b", "a", "b", "c"]])
def test_classes_from_values(tmp_path: Path, labels: list[Any]) -> None:
    path = write(tmp_path / "data.parquet", [png(value) for value in range(4)], labels)
    dataset = ParquetDataset(ParquetConfig(train=path, validation=path, size=4), {})
    ordered = sorted(set(labels))
    assert dataset.info.label_names == tuple(map(str, ordered))
    assert [ordered[int(dataset.read("train", index)["label"])] for index in range(4)] == labels


def test_no_labels(tmp_path: Path) -> None:
    path = write(tmp_path / "data.parquet", [png(1)])
    dataset = ParquetDataset(ParquetConfig(train=path, validation=path, size=4, label_column=""), {})
    assert dataset.info.label_names is None
    assert dataset.info.columns == ("image",)
    assert set(dataset.read("train", 0)) == {"image"}


def test_limits(tmp_path: Path) -> None:
    assert small(tmp_path, limit=2).info.splits == {"train": 2, "validation": 1}
    assert small(tmp_path, limit={"train": 3}).info.splits == {"train": 3, "validation": 1}
    with pytest.raises(ProblemsError, match="there is no split test"):
        _ = small(tmp_path, limit={"test": 3}).info


def test_a_changed_file_is_read_again(tmp_path: Path) -> None:
    assert small(tmp_path).read("train", 1)["image"][0, 0, 0] == 1
    time.sleep(0.01)
    assert small(tmp_path, train=(5, 6, 7, 8)).read("train", 1)["image"][0, 0, 0] == 6


def test_everything_wrong_is_said_at_once(tmp_path: Path) -> None:
    train = write(tmp_path / "train.parquet", [png(1)], ["a"], size=[3.5])
    text = tmp_path / "text.parquet"
    text.write_text("not parquet")
    empty = write(tmp_path / "empty.parquet", [], pa.array([], pa.string()))
    config = ParquetConfig(
        train=train,
        validation=tmp_path / "missing.parquet",
        extra_splits={"test": text, "selection": empty},
        image_column="label",
        label_column="size",
        size=4,
        limit={"other": 1},
    )
    with pytest.raises(ProblemsError) as caught:
        _ = ParquetDataset(config, {}).info
    message = str(caught.value)
    assert "limit: there is no split other" in message
    assert f"{train}: column label holds string, not encoded images; set image_column to image" in message
    assert f"{train}: column size holds double, which cannot be classes" in message
    assert "missing.parquet: no such file or folder, for the validation split" in message
    assert "text.parquet: cannot be read as Parquet" in message
    assert "empty.parquet" in message
    assert len(caught.value.problems) >= 6


def test_a_missing_column_names_those_that_exist(tmp_path: Path) -> None:
    path = write(tmp_path / "data.parquet", [png(1)], name=["x"])
    with pytest.raises(ProblemsError, match=r"has no column label \(label_column\); its columns are image, name; .*\"\""):
        _ = ParquetDataset(ParquetConfig(train=path, validation=path, size=4), {}).info


def test_an_empty_split(tmp_path: Path) -> None:
    path = write(tmp_path / "data.parquet", [png(1)], ["a"])
    empty = tmp_path / "empty.parquet"
    pq.write_table(pq.read_table(path).slice(0, 0), empty)
    with pytest.raises(ProblemsError, match="the validation split is empty"):
        _ = ParquetDataset(ParquetConfig(train=path, validation=empty, size=4), {}).info


def test_a_validation_label_that_training_does_not_have(tmp_path: Path) -> None:
    train = write(tmp_path / "train.parquet", [png(1)], ["a"])
    validation = write(tmp_path / "validation.parquet", [png(1), png(2)], ["a", "b"])
    with pytest.raises(ProblemsError, match=r"validation\.parquet: labels .* that the training split does not have: b"):
        _ = ParquetDataset(ParquetConfig(train=train, validation=validation, size=4), {}).info


def test_splits_with_different_classes(tmp_path: Path) -> None:
    train = write(tmp_path / "train.parquet", [png(1)], ["a"])
    validation = write(tmp_path / "validation.parquet", [png(1)], [1])
    with pytest.raises(ProblemsError, match="are not those of the training split"):
        _ = ParquetDataset(ParquetConfig(train=train, validation=validation, size=4), {}).info


def test_a_row_without_a_label(tmp_path: Path) -> None:
    path = write(tmp_path / "data.parquet", [png(1), png(2)], ["a", None])
    with pytest.raises(ProblemsError, match="rows without a label"):
        _ = ParquetDataset(ParquetConfig(train=path, validation=path, size=4), {}).info


def test_a_corrupt_image_is_named_by_file_row_and_column(tmp_path: Path) -> None:
    folder = tmp_path / "train"
    folder.mkdir()
    write(folder / "a.parquet", [png(0), png(1)], [0, 1])
    write(folder / "b.parquet", [png(2), png(3, 40)[:60], None], [0, 1, 0])
    validation = write(tmp_path / "validation.parquet", [png(9)], [0])
    dataset = ParquetDataset(ParquetConfig(train=folder, validation=validation, size=4), {})
    assert dataset.read("train", 2)["image"].shape == (3, 4, 4)
    with pytest.raises(DataError, match=r"b\.parquet: row 1, column image: corrupt image"):
        dataset.read("train", 3)
    with pytest.raises(DataError, match=r"b\.parquet: row 2, column image: no image bytes"):
        dataset.read("train", 4)


def test_a_class_number_out_of_range(tmp_path: Path) -> None:
    from datasets import ClassLabel, Features
    from datasets import Image as ImageFeature

    schema = Features({"image": ImageFeature(), "label": ClassLabel(names=["a", "b"])}).arrow_schema
    path = tmp_path / "data.parquet"
    rows = {"image": [{"bytes": png(1), "path": None}] * 2, "label": [0, 2]}
    pq.write_table(pa.table(rows, schema=schema), path)
    dataset = ParquetDataset(ParquetConfig(train=path, validation=path, size=4), {})
    assert dataset.info.label_names == ("a", "b")
    with pytest.raises(DataError, match="row 1, column image: label 2 outside the 2 classes"):
        dataset.read("train", 1)


def test_a_parquet_file_damaged_in_the_middle(tmp_path: Path) -> None:
    dataset = small(tmp_path, train=tuple(range(200)))
    data = bytearray((tmp_path / "one.parquet").read_bytes())
    data[4:400] = bytes(396)
    (tmp_path / "one.parquet").write_bytes(data)
    assert dataset.info.splits["train"] == 200
    with pytest.raises(DataError, match=r"one\.parquet: row 0 or one of the 64 from there: corrupt Parquet file"):
        dataset.read("train", 0)


def test_pickles_small_and_reopens(tmp_path: Path) -> None:
    dataset = embedded(size=24, flip=True)
    first = dataset.read("validation", 3, 1)["image"]
    pickled = pickle.dumps(dataset)
    assert len(pickled) < 10_000
    np.testing.assert_array_equal(pickle.loads(pickled).read("validation", 3, 1)["image"], first)


@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_worker_processes(method: str) -> None:
    dataset = embedded(size=8)
    here = [dataset.read("validation", index, 1)["image"] for index in range(4)]
    with multiprocessing.get_context(method).Pool(1) as pool:
        there = pool.starmap(dataset.read, [("validation", index, 1) for index in range(4)])
    for expected, example in zip(here, there, strict=True):
        np.testing.assert_array_equal(example["image"], expected)


_CONCURRENT = """
import sys
from pathlib import Path
from tamingplat_datasets.config import ParquetConfig
from tamingplat_datasets.parquet import ParquetDataset
path = Path(sys.argv[1])
print(ParquetDataset(ParquetConfig(train=path, validation=path, size=8), {}).read("train", 100)["image"].sum())
"""


@pytest.mark.slow
def test_concurrent_processes_make_one_table(cache: Path) -> None:
    path = EMBEDDED / "noto-emoji-64-train.parquet"
    command = [sys.executable, "-c", _CONCURRENT, str(path)]
    running = [subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) for _ in range(2)]
    results = [process.communicate() for process in running]
    assert [process.returncode for process in running] == [0, 0], results
    assert results[0] == results[1]
    assert results[0][1] == ""
    assert len(list((cache / "parquet").glob("*.arrow"))) == 1
    assert not list(cache.glob(".writing-*"))


def test_a_cache_that_cannot_be_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from tamingplat_datasets.cache import cache_root

    (tmp_path / "file").write_text("")
    monkeypatch.setenv("TAMINGPLAT_CACHE", str(tmp_path / "file"))
    with pytest.raises(ValueError, match=r"TAMINGPLAT_CACHE: .* cannot be written"):
        cache_root()
    monkeypatch.delenv("TAMINGPLAT_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    monkeypatch.setattr("sys.platform", "linux")
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    assert cache_root() == tmp_path / f"tamingplat-{os.getuid()}"
