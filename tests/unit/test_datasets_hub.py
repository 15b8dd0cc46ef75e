"""Repositories of the hub, through a downloaded copy, which takes the same path as the network does."""

from __future__ import annotations

import io
import pickle
import socket
from pathlib import Path
from typing import Any

import pytest
import tamingplat_datasets.hub as hub
from PIL import Image
from tamingplat_datasets.config import HubConfig
from tamingplat_datasets.hub import HubDataset

from tamingplat.interfaces import DataError, ProblemsError, UnavailableError

COMMIT = "0123456789abcdef0123456789abcdef01234567"


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("TAMINGPLAT_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise OSError(101, "Network is unreachable")

    monkeypatch.setattr(socket, "create_connection", refuse)
    for name in ("HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.delenv(name, raising=False)


def repository(folder: Path, labels: list[Any], **splits: int) -> Path:
    """A repository without a script: one Parquet file per split, as the hub's own converter lays them out."""
    (folder / "data").mkdir(parents=True)
    for split, count in splits.items():
        images = []
        for value in range(count):
            buffer = io.BytesIO()
            Image.new("RGB", (4, 4), (value, 0, 0)).save(buffer, "PNG")
            images.append({"bytes": buffer.getvalue(), "path": None})
        store(folder, split, images, [labels[value % len(labels)] for value in range(count)])
    return folder


def store(folder: Path, split: str, images: list[Any], labels: list[Any]) -> None:
    from datasets import Dataset, Features, Value
    from datasets import Image as ImageFeature

    label = Value("string" if isinstance(labels[0], str) else "int64")
    rows = Dataset.from_dict({"image": images, "label": labels}, Features({"image": ImageFeature(), "label": label}))
    rows.to_parquet(str(folder / "data" / f"{split}-00000-of-00001.parquet"))


def dataset(**settings: Any) -> HubDataset:
    return HubDataset(HubConfig(size=4, **settings), {})


def test_a_downloaded_copy(tmp_path: Path, no_network: None, capfd: pytest.CaptureFixture[str]) -> None:
    folder = repository(tmp_path / "mine", ["b", "a"], train=5, test=2)
    capfd.readouterr()
    found = dataset(folder=folder, validation="test")
    assert found.info.splits == {"train": 5, "validation": 2}
    assert found.info.label_names == ("a", "b")
    assert found.read("train", 3)["image"][0, 0, 0] == 3
    assert [int(found.read("train", index)["label"]) for index in range(2)] == [1, 0]
    assert pickle.loads(pickle.dumps(found)).read("validation", 1)["image"][0, 0, 0] == 1
    assert capfd.readouterr() == ("", "")  # no progress bars


def test_what_the_repository_says_of_itself_is_enough_for_info(tmp_path: Path, cache: Path) -> None:
    folder = repository(tmp_path / "mine", [0], train=2, validation=1)
    (folder / "README.md").write_text(
        """---
dataset_info:
  features:
  - name: image
    dtype: image
  - name: label
    dtype:
      class_label:
        names:
          '0': zero
          '1': one
  splits:
  - name: train
    num_examples: 2
    num_bytes: 1
  - name: validation
    num_examples: 1
    num_bytes: 1
---
"""
    )
    found = dataset(folder=folder)
    assert found.info.splits == {"train": 2, "validation": 1}
    assert found.info.label_names == ("zero", "one")
    assert not list(cache.rglob("*.arrow"))
    with pytest.raises(ProblemsError, match="no such split; there are train, validation; set validation to one of them"):
        _ = dataset(folder=folder, validation="test").info


def test_a_commit_is_downloaded_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = repository(tmp_path / "mine", [0, 1], train=3, validation=2)
    asked: list[tuple[object, ...]] = []
    load, describe = hub.load_split, hub.describe

    def from_the_copy(source: str, split: str, *, config: str | None, revision: str | None = None) -> Any:
        asked.append((source, split, revision))
        return load(str(folder), split, config=config)

    monkeypatch.setattr(hub, "load_split", from_the_copy)
    monkeypatch.setattr(hub, "describe", lambda source, **_: describe(str(folder), config=None))
    monkeypatch.setattr(hub, "_demand_network", lambda source: None)
    first = dataset(path="someone/mine", revision=COMMIT)
    assert first.info.splits == {"train": 3, "validation": 2}
    assert first.read("validation", 1)["image"][0, 0, 0] == 1
    assert asked == [("someone/mine", "train", COMMIT), ("someone/mine", "validation", COMMIT)]

    def refuse(source: str) -> None:
        raise AssertionError("the network was asked again")

    monkeypatch.setattr(hub, "_demand_network", refuse)
    again = dataset(path="someone/mine", revision=COMMIT)
    assert again.info == first.info
    assert again.read("train", 2)["image"][0, 0, 0] == 2


def test_without_a_network_the_local_alternative_is_named(no_network: None) -> None:
    found = dataset(path="ylecun/mnist", revision=COMMIT)
    with pytest.raises(UnavailableError, match=r"ylecun/mnist: .* cannot be reached .* use the dataset parquet or imagefolder"):
        _ = found.info


def test_offline_mode(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with pytest.raises(UnavailableError, match=r"HF_HUB_OFFLINE is set; .* parquet or imagefolder"):
        _ = dataset(path="ylecun/mnist", revision=COMMIT).info


def test_wrong_names(tmp_path: Path) -> None:
    folder = repository(tmp_path / "mine", ["a"], train=2, validation=1)
    with pytest.raises(ProblemsError, match=r"nope: .*[Uu]nknown split|no such split"):
        _ = dataset(folder=folder, train="nope").info
    with pytest.raises(ProblemsError, match="other"):
        _ = dataset(folder=folder, name="other").info
    with pytest.raises(ProblemsError) as caught:
        _ = dataset(folder=folder, image_column="picture", label_column="kind").info
    assert len(caught.value.problems) == 4
    assert "has no column picture (image_column); its columns are image, label" in str(caught.value)
    with pytest.raises(ProblemsError, match="no such folder"):
        _ = dataset(folder=tmp_path / "missing").info
    (tmp_path / "empty").mkdir()
    with pytest.raises(ProblemsError, match="empty"):
        _ = dataset(folder=tmp_path / "empty").info


def test_unknown_validation_labels(tmp_path: Path) -> None:
    folder = repository(tmp_path / "mine", ["a", "b"], train=1, validation=2)
    with pytest.raises(ProblemsError, match="that train does not have: b"):
        _ = dataset(folder=folder).info


def test_corrupt_images_and_files(tmp_path: Path) -> None:
    folder = repository(tmp_path / "mine", ["a"], train=2, validation=1)
    store(folder, "validation", [{"bytes": b"broken", "path": None}, None], ["a", "a"])
    found = dataset(folder=folder)
    with pytest.raises(DataError, match="validation, row 0, column image: not an image of a known format"):
        found.read("validation", 0)
    with pytest.raises(DataError, match="validation, row 1, column image: no image"):
        found.read("validation", 1)
    (folder / "data" / "train-00000-of-00001.parquet").write_text("broken")
    with pytest.raises(ProblemsError, match="train: Parquet file size is 6 bytes"):
        _ = dataset(folder=folder).info
