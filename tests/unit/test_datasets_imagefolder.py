"""A folder of image files: classes, splits by name, and what users get wrong."""

from __future__ import annotations

import os
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from tamingplat_datasets.config import ImageFolderConfig
from tamingplat_datasets.imagefolder import ImageFolderDataset
from tamingplat_datasets.listing import image_files, list_images

from tamingplat.interfaces import DataError, ProblemsError


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("TAMINGPLAT_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def fill(folder: Path, names: list[str]) -> Path:
    for number, name in enumerate(names):
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (6, 6), (number, 0, 0)).save(path)
    return folder


def dataset(**settings: Any) -> ImageFolderDataset:
    return ImageFolderDataset(ImageFolderConfig(size=4, **settings), {})


def problems(**settings: Any) -> str:
    with pytest.raises(ProblemsError) as caught:
        _ = dataset(**settings).info
    return str(caught.value)


def test_one_folder_per_split_with_classes(tmp_path: Path) -> None:
    train = fill(tmp_path / "train", ["dog/a.png", "cat/b.PNG", "cat/deep/c.jpg", "dog/a.txt.bmp"])
    (train / "cat" / "notes.txt").write_text("ignored")
    (train / "cat" / ".hidden.png").write_bytes(b"ignored")
    (train / "nothing").mkdir()
    validation = fill(tmp_path / "validation", ["dog/x.webp"])
    found = dataset(train=train, validation=validation)
    assert found.info.splits == {"train": 4, "validation": 1}
    assert found.info.label_names == ("cat", "dog")
    assert found.info.columns == ("image", "label")
    labels = [int(found.read("train", index)["label"]) for index in range(4)]
    assert labels == [0, 0, 1, 1]
    assert found.read("train", 2)["image"].tolist()[0][0][0] == 0  # dog/a.png
    assert found.read("validation", 0)["label"] == 1


def test_no_subfolders_and_no_labels(tmp_path: Path) -> None:
    train, validation = fill(tmp_path / "t", ["a.png", "b.png"]), fill(tmp_path / "v", ["c.png"])
    found = dataset(train=train, validation=validation)
    assert found.info.label_names is None
    assert set(found.read("train", 1)) == {"image"}
    nested = fill(tmp_path / "n", ["x/a.png", "b.png"])
    assert dataset(train=nested, validation=validation, labels=False).info.splits["train"] == 2


def test_root_is_split_by_names_alone(tmp_path: Path) -> None:
    names = [f"{index % 3}/{index:03}.png" for index in range(120)]
    root = fill(tmp_path / "root", names[:80])
    before = _split(root)
    assert 5 < len(before["validation"]) < 30
    assert before["train"] | before["validation"] == set(names[:80])
    fill(root, names)
    after = _split(root)
    assert before["train"] < after["train"]
    assert before["validation"] < after["validation"]
    found = dataset(root=root, validation_fraction=0.2)
    assert found.info.splits == {split: len(files) for split, files in after.items()}
    assert found.info.label_names == ("0", "1", "2")


def _split(root: Path) -> dict[str, set[str]]:
    found = dataset(root=root, validation_fraction=0.2)
    return {split: {found._path(split, index) for index in range(count)} for split, count in found.info.splits.items()}


def test_a_larger_fraction_only_moves_files_into_validation(tmp_path: Path) -> None:
    root = fill(tmp_path / "root", [f"{index}.png" for index in range(100)])
    fewer, more = (list_images(root, ("train", "validation"), fraction).counts["validation"] for fraction in (0.1, 0.5))
    assert 0 < fewer < more < 100


def test_names_that_are_not_text(tmp_path: Path) -> None:
    train = fill(tmp_path / "t", ["a.png"])
    odd = os.fsencode(train) + b"/\xff\xfe.png"
    try:
        Path(os.fsdecode(odd)).write_bytes((train / "a.png").read_bytes())
    except OSError:
        pytest.skip("this file system allows UTF-8 names alone")
    found = dataset(train=train, validation=fill(tmp_path / "v", ["c.png"]))
    assert [found.read("train", index)["image"].shape for index in range(2)] == [(3, 4, 4)] * 2


def test_links_are_followed_and_loops_are_not(tmp_path: Path) -> None:
    root = fill(tmp_path / "root", ["a/x.png"])
    (root / "b").symlink_to(root / "a", target_is_directory=True)
    (root / "a" / "again").symlink_to(root, target_is_directory=True)
    assert list(image_files(root)) == ["a/x.png", "b/x.png"]


def test_a_corrupt_file_is_named(tmp_path: Path) -> None:
    train = fill(tmp_path / "t", ["a.png", "b.png"])
    (train / "b.png").write_bytes((train / "a.png").read_bytes()[:45])
    (train / "c.png").write_text("not an image")
    found = dataset(train=train, validation=fill(tmp_path / "v", ["c.png"]))
    assert found.info.splits["train"] == 3
    found.read("train", 0)
    for index, name in ((1, "b.png"), (2, "c.png")):
        with pytest.raises(DataError, match=f"{train / name}: "):
            found.read("train", index)
    (train / "a.png").unlink()
    with pytest.raises(DataError, match=r"a\.png: cannot be read \(No such file"):
        found.read("train", 0)


def test_everything_wrong_is_said_at_once(tmp_path: Path) -> None:
    file = tmp_path / "file.png"
    file.write_bytes(b"")
    message = problems(train=tmp_path / "missing", validation=file, limit={"test": 1})
    assert f"{tmp_path / 'missing'}: no such folder" in message
    assert f"{file}: is not a folder" in message
    assert "limit: there is no split test; the splits are train, validation" in message
    empty, mixed = tmp_path / "empty", fill(tmp_path / "mixed", ["a/x.png", "y.png"])
    empty.mkdir()
    message = problems(train=mixed, validation=empty)
    assert f"{empty}: no image files" in message
    assert f"{mixed}: images lie both in class folders (a) and beside them (y.png)" in message


def test_folders_that_overlap(tmp_path: Path) -> None:
    root = fill(tmp_path / "root", ["a/x.png", "b/y.png"])
    assert "overlap" in problems(train=root, validation=root / "a")
    assert "overlap" in problems(train=root, validation=root)


def test_root_that_holds_splits(tmp_path: Path) -> None:
    root = fill(tmp_path / "root", [f"{split}/{index}.png" for split in ("train", "val") for index in range(30)])
    assert "look like splits, not like classes; set train and validation" in problems(root=root)


def test_a_split_that_gets_nothing(tmp_path: Path) -> None:
    root = fill(tmp_path / "root", ["a.png"])
    assert "none of the 1 images falls into the" in problems(root=root)


def test_classes_that_do_not_match(tmp_path: Path) -> None:
    train, validation = fill(tmp_path / "t", ["cat/a.png"]), fill(tmp_path / "v", ["cat/a.png", "dog/a.png"])
    assert "that the training split does not have: dog" in problems(train=train, validation=validation)
    assert "has no class folders" in problems(train=train, validation=fill(tmp_path / "w", ["a.png"]))


@pytest.mark.skipif(os.geteuid() == 0, reason="root may list every folder")
def test_a_folder_that_may_not_be_listed(tmp_path: Path) -> None:
    train = fill(tmp_path / "t", ["cat/a.png"])
    (train / "cat").chmod(0)
    try:
        with pytest.raises(DataError, match="cat: cannot be listed"):
            _ = dataset(train=train, validation=fill(tmp_path / "v", ["cat/a.png"])).info
    finally:
        (train / "cat").chmod(0o700)


def test_pickles_with_its_list_and_survives_an_emptied_cache(tmp_path: Path, cache: Path) -> None:
    train, validation = fill(tmp_path / "t", ["a.png", "b.png"]), fill(tmp_path / "v", ["c.png"])
    found = dataset(train=train, validation=validation)
    first = found.read("train", 1)["image"]
    copy = pickle.loads(pickle.dumps(found))
    fill(train, ["0.png"])  # a worker process must not see other indices than the process that made it
    np.testing.assert_array_equal(copy.read("train", 1)["image"], first)
    for table in cache.rglob("*.arrow"):
        table.unlink()
    with pytest.raises(DataError, match="its files changed while they were in use"):
        pickle.loads(pickle.dumps(found)).read("train", 1)
    (train / "0.png").unlink()
    for table in cache.rglob("*.arrow"):
        table.unlink()
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(found)).read("train", 1)["image"], first)
