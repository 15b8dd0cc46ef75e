"""Conditions with tokenizers of their own, from a manifest to a table, through the command line."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

Run = Callable[..., subprocess.CompletedProcess[str]]


SMALL = "embedding_dim = 4, downsampling = 2, channels = 8, channel_multipliers = [1, 1, 1], residual_blocks = 1"
BLOCKS = f"""
[tokenizer.colours]
use = "kmeans"
config = {{ codebook_size = 4 }}
views = 2

[tokenizer.regions]
use = "kmeans"
config = {{ codebook_size = 3 }}

[tokenizer.seg]
use = "vq-segmentation"
train = {{ steps = 2, batch_size = 4 }}
config = {{ classes = 3, codebook_size = 8, norm_groups = 4, {SMALL} }}

[tokenizer.vq]
use = "vqvae"
views = 2
train = {{ steps = 2, batch_size = 4 }}
config = {{ codebook_size = 8, norm_groups = 4, {SMALL} }}

[conditioner.labels]
use = "segmentation"
config = {{ tokenizer = "seg", dropout = 0.2 }}

[conditioner.regions]
use = "segmentation"
config = {{ tokenizer = "regions" }}

[conditioner.several]
use = "combined"
config = {{ dropout = 0.1, parts = ["class", {{ use = "segmentation", config = {{ tokenizer = "seg" }} }}, "lines"] }}

[conditioner.lines]
use = "edges"
config = {{ tokenizer = "vq" }}

[prior.gpt]
config = {{ layers = 1, heads = 2, width = 16 }}
train = {{ steps = 2, batch_size = 4 }}

[prior.pixelsnail]
config = {{ layers = 1, residual_layers = 1, width = 8 }}
train = {{ steps = 2, batch_size = 4 }}

[matrix]
dataset = ["shapes"]
tokenizer = ["vq"]
prior = ["gpt"]
ordering = ["raster"]
conditioner = ["labels"]
include = [{{ prior = "pixelsnail", conditioner = "several" }}]

[evaluate]
metrics = ["nll"]
samples = 3
"""


@pytest.fixture(scope="module")
def manifest(shapes: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("conditional") / "conditional.toml"
    files = f'train = "{shapes / "train.parquet"}", validation = "{shapes / "validation.parquet"}"'
    views = 'size = 8, resize = "none", crop = "random", flip = true'
    path.write_text(
        f"""schema = 1
name = "conditional"
[dataset.shapes]
use = "parquet"
config = {{ {files}, {views}, segmentation = {{ classes = 3 }} }}
[dataset.bare]
use = "parquet"
config = {{ {files}, {views} }}
{BLOCKS}"""
    )
    return path


@pytest.fixture(scope="module")
def store(manifest: Path, tamingplat_here: Run) -> Path:
    """The store of the manifest, which has run."""
    result = tamingplat_here("run", manifest, "--store", manifest.parent / "store")
    assert result.returncode == 0, result.stderr + result.stdout
    return manifest.parent / "store"


def plan(run: Run, manifest: Path, store: Path, *more: str) -> dict[str, Any]:
    result = run("plan", manifest, "--store", store, "--json", *(part for setting in more for part in ("--set", setting)))
    assert result.returncode == 0, result.stderr
    content: dict[str, Any] = json.loads(result.stdout)
    return content


def to_do(run: Run, manifest: Path, store: Path, *more: str) -> set[str]:
    return {stage["label"] for stage in plan(run, manifest, store, *more)["stages"] if not stage["cached"]}


def tokens(store: Path, stage: dict[str, Any], split: str = "train") -> np.ndarray:
    return np.load(store / stage["kind"] / stage["key"][:2] / stage["key"] / f"{split}.npy")


def test_every_cell_is_done_and_tokenizers_of_conditions_are_stages(manifest: Path, store: Path, tamingplat_here: Run) -> None:
    rows = json.loads(tamingplat_here("compare", manifest, "--store", store, "--format", "json").stdout)
    cells = [row for row in rows if row["kind"] == "cell"]
    assert [row["status"] for row in cells] == ["done"] * 2
    for row in cells:
        assert 0 < row["metrics"]["nll"] < 3 and row["cost"]["samples_per_second"] > 0
        assert row["cost"]["condition_tokenizer_training_flops"] > 0
    parameters = {row["conditioner"]: row["cost"]["condition_tokenizer_parameters"] for row in cells}
    assert parameters["several"] > parameters["labels"] > 0
    stages = plan(tamingplat_here, manifest, store)["stages"]
    assert all(stage["cached"] for stage in stages)
    trained = {stage["label"]: stage for stage in stages if stage["kind"] == "train_tokenizer"}
    # The segmentation alone and as a part of several conditions has one tokenizer, whatever share of them is left out.
    assert set(trained) == {"train vq on shapes", "train seg on shapes's segmentation", "train vq on shapes's edges"}
    assert trained["train seg on shapes's segmentation"]["parameters"] == parameters["labels"]
    encoded = {stage["label"]: stage for stage in stages if stage["kind"] == "encode_conditions"}
    labels = encoded["encode shapes's conditions with labels"]
    assert labels["inputs"] == [trained["train seg on shapes's segmentation"]["key"]]
    found = tokens(store, labels)
    assert found.shape == (24, 2, 4) and found.max() < 8
    together = tokens(store, encoded["encode shapes's conditions with several"])
    assert together.shape == (24, 2, 9) and np.array_equal(together[:, :, 1:5], found)


def test_a_second_run_computes_nothing(manifest: Path, store: Path, tamingplat_here: Run) -> None:
    before = {path: path.stat().st_mtime_ns for path in store.rglob("stage.json")}
    assert tamingplat_here("run", manifest, "--store", store).returncode == 0
    assert {path: path.stat().st_mtime_ns for path in store.rglob("stage.json")} == before


def test_what_a_change_recomputes(manifest: Path, store: Path, tamingplat_here: Run) -> None:
    only = "matrix.include=[]"
    longer = to_do(tamingplat_here, manifest, store, only, "tokenizer.seg.train.steps=3")
    assert {"train seg on shapes's segmentation", "encode shapes's conditions with labels"} <= longer
    assert "train vq on shapes" not in longer
    dropout = to_do(tamingplat_here, manifest, store, only, "conditioner.labels.config.dropout=0.3")
    assert "encode shapes's conditions with labels" in dropout and "train seg on shapes's segmentation" not in dropout
    lines = to_do(tamingplat_here, manifest, store, "conditioner.lines.config.low=50.0")
    assert "train vq on shapes's edges" in lines and "train seg on shapes's segmentation" not in lines


def test_stages_can_be_run_one_by_one(manifest: Path, store: Path, tamingplat_here: Run, tmp_path: Path) -> None:
    stages = plan(tamingplat_here, manifest, store)["stages"]
    wanted = next(stage for stage in stages if stage["label"] == "encode shapes's conditions with labels")
    for key in (*wanted["inputs"], wanted["key"]):
        result = tamingplat_here("stage", key, "--manifest", manifest, "--store", tmp_path)
        assert result.returncode == 0, result.stderr
    assert np.array_equal(tokens(tmp_path, wanted), tokens(store, wanted))
    assert np.array_equal(tokens(tmp_path, wanted, "validation"), tokens(store, wanted, "validation"))


def test_encoded_views_of_condition_and_image_are_the_same(manifest: Path, tamingplat_here: Run, tmp_path: Path) -> None:
    """Both through palettes that hold every colour and every class: each code of the image has one of the condition."""
    only = ('matrix.conditioner=["regions"]', 'matrix.tokenizer=["colours"]', "matrix.include=[]")
    settings = [part for setting in only for part in ("--set", setting)]
    stages = plan(tamingplat_here, manifest, tmp_path, *only)["stages"]
    encoded = {stage["kind"]: stage for stage in stages if stage["kind"].startswith("encode")}
    for stage in encoded.values():
        for key in (*stage["inputs"], stage["key"]):
            result = tamingplat_here("stage", key, "--manifest", manifest, "--store", tmp_path, *settings)
            assert result.returncode == 0, result.stderr
    codes, classes = tokens(tmp_path, encoded["encode"]), tokens(tmp_path, encoded["encode_conditions"])
    assert codes.shape == classes.shape == (24, 2, 64)
    assert (classes[:, 0] != classes[:, 1]).any()
    for view in range(2):
        pairs = np.unique(np.stack([codes[:, view].ravel(), classes[:, view].ravel()]), axis=1)
        assert pairs.shape[1] == 3 and len(set(pairs[0])) == len(set(pairs[1])) == 3


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        (
            ['matrix.dataset=["bare"]'],
            ["conditioner.labels: conditioner:segmentation: the dataset gives no segmentation; set the dataset's setting"],
        ),
        (
            ["tokenizer.seg.config.classes=5"],
            ["conditioner:segmentation, whose maps have 8×8 pixels and 3 channels: tokenizer:vq-segmentation", "5 classes"],
        ),
        (
            ["tokenizer.vq.config={ downsampling = 4 }", 'matrix.conditioner=["lines"]', 'matrix.tokenizer=["colours"]'],
            ["conditioner:edges, whose maps have 8×8 pixels and 1 channel: tokenizer:vqvae", "not divisible by 16"],
        ),
        (["conditioner.lines.config.dropout=0.5"], ["conditioner:combined: its part edges has a dropout of its own"]),
    ],
)
def test_what_is_impossible_is_refused_by_name(
    manifest: Path, tamingplat_here: Run, tmp_path: Path, changes: list[str], expected: list[str]
) -> None:
    cells = plan(tamingplat_here, manifest, tmp_path, *changes)["cells"]
    reasons = [cell["reason"] for cell in cells if cell["status"] == "refused"]
    refused = tamingplat_here("run", manifest, "--store", tmp_path, *(part for one in changes for part in ("--set", one)))
    assert refused.returncode == 2
    for words in expected:
        assert words in refused.stderr
        assert any(words.rpartition("conditioner.labels: ")[2] in reason for reason in reasons)
