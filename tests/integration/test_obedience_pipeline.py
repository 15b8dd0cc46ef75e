"""Scores of obedience from a manifest to a table: each sample is held against the condition that it was made for."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tamingplat_agreement.low_resolution import averaged, signal_to_noise
from tamingplat_scenes.config import ScenesConfig
from tamingplat_scenes.dataset import ScenesDataset

from tamingplat.stages.shuffled import ShuffledDataset

SETTINGS = {"size": 4, "train": 12, "validation": 6, "extra_splits": {"test": 4}}
MANIFEST = """
schema = 1
name = "obedience"
[dataset.scenes]
config = { size = 4, train = 12, validation = 6, extra_splits = { test = 4 } }
[tokenizer.kmeans]
config = { codebook_size = 6, steps = 2 }
[prior.gpt]
config = { layers = 1, heads = 1, width = 8 }
train = { steps = 1, batch_size = 4 }
[sampler.lower]
use = "completion"
config = { region = [0, 0, 0.5, 1] }
[metric.small]
use = "low-resolution-agreement"
config = { factor = 2 }
[matrix]
dataset = ["scenes"]
tokenizer = ["kmeans"]
prior = ["gpt"]
ordering = ["raster"]
conditioner = ["class"]
sampler = ["ancestral", "lower"]
[evaluate]
metrics = ["small", "completion-agreement"]
samples = 7
reference = "test"
"""


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory, run_manifest: Callable[[Path], Path]) -> Path:
    """The store of the manifest, which has run."""
    manifest = tmp_path_factory.mktemp("obedience") / "obedience.toml"
    manifest.write_text(MANIFEST)
    return run_manifest(manifest)


def records(store: Path, kind: str, wanted: str) -> list[tuple[Path, dict[str, Any]]]:
    found = [(path.parent, json.loads(path.read_text())["record"]) for path in sorted((store / kind).rglob("stage.json"))]
    return [(path, record) for path, record in found if wanted in record["label"]]


@pytest.mark.parametrize(("sampler", "split", "count"), [("ancestral", "test", 4), ("lower", "validation", 6)])
def test_samples_are_scored_with_the_examples_that_they_belong_to(store: Path, sampler: str, split: str, count: int) -> None:
    ((folder, _),) = records(store, "sample", sampler)
    images = np.load(folder / "images.npy")
    dataset = ShuffledDataset(ScenesDataset(ScenesConfig(**SETTINGS), {}))
    wanted = averaged(np.stack([dataset.read(split, index % count)["image"] for index in range(7)]), 2)
    own = [signal_to_noise(one, other) for one, other in zip(averaged(images, 2), wanted, strict=True)]
    shuffled = [signal_to_noise(one, other) for one, other in zip(averaged(images, 2), np.roll(wanted, -1, 0), strict=True)]
    ((evaluated, record),) = [one for one in records(store, "evaluate", "small of sample") if sampler in one[1]["label"]]
    names = [item["name"] for item in record["result"]["measurements"]]
    assert names == ["low-res. PSNR", "low-res. PSNR shuffled", "low-res. PSNR gain"]
    values = np.load(evaluated / "per_image.npy")
    np.testing.assert_allclose(values, [own, shuffled, np.subtract(own, shuffled)])


def test_real_images_are_the_ceiling(store: Path) -> None:
    ((folder, record),) = records(store, "evaluate", "small of 6 images")
    assert record["result"]["measurements"][0]["value"] == 100
    assert (np.load(folder / "per_image.npy")[1] < 60).all()


def test_the_likelihood_of_the_rest_is_there(store: Path) -> None:
    ((_, record),) = records(store, "evaluate", "completion-agreement")
    own, shuffled, gain = (item["value"] for item in record["result"]["measurements"])
    assert own > 0 and gain == pytest.approx(shuffled - own)
