"""Metrics of obedience hold samples to what they were made for, and to nothing else."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Run = Callable[..., subprocess.CompletedProcess[str]]
Plan = Callable[..., dict[str, Any]]
MANIFEST = """
schema = 1
name = "asked"
[dataset.scenes]
config = { size = 4, train = 8, validation = 4 }
[tokenizer.kmeans]
config = { codebook_size = 4, steps = 2 }
[tokenizer.small]
use = "kmeans"
config = { codebook_size = 4, steps = 2 }
[prior.gpt]
config = { layers = 1, heads = 1, width = 8 }
train = { steps = 1, batch_size = 4 }
[conditioner.lines]
use = "edges"
config = { tokenizer = "small", channels = 3, low = 20, high = 40 }
[conditioner.low]
use = "low-resolution"
config = { tokenizer = "small", factor = 2 }
[sampler.upper]
use = "completion"
config = { region = [0, 0, 0.5, 1] }
[classifier.judge]
use = "residual"
config = { width = 2, norm_groups = 1, stages = 1 }
train = { steps = 1, batch_size = 4, warmup_steps = 0 }
[metric.class]
use = "class-agreement"
config = { classifier = "judge" }
[metric.given]
use = "given-region"
config = { perceptual = "none" }
[metric.edges]
use = "edge-agreement"
config = { low = 20, high = 40 }
[metric.small]
use = "low-resolution-agreement"
config = { factor = 2 }
[matrix]
dataset = ["scenes"]
tokenizer = ["kmeans"]
prior = ["gpt"]
ordering = ["raster"]
conditioner = ["none", "class", "lines", "low"]
sampler = ["ancestral", "upper"]
[evaluate]
metrics = ["class", "given", "edges", "small"]
samples = 3
"""


@pytest.fixture(scope="module")
def manifest(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("asked") / "asked.toml"
    path.write_text(MANIFEST)
    return path


def refused(planned: dict[str, Any]) -> dict[tuple[str, str], str]:
    return {(cell["conditioner"], cell["sampler"]): cell["reason"] for cell in planned["cells"] if cell["status"] == "refused"}


def test_what_was_not_asked_for_is_left_out_and_everything_else_measured(manifest: Path, tamingplat_here: Run) -> None:
    small = ("--set", 'matrix.conditioner=["none", "class"]', "--store", manifest.parent / "store")
    result = tamingplat_here("run", manifest, *small)
    assert result.returncode == 0, result.stderr + result.stdout
    rows = json.loads(tamingplat_here("compare", manifest, *small, "--format", "json").stdout)
    cells = {(row["conditioner"], row["sampler"]): row for row in rows if row["sampler"]}
    assert {row["status"] for row in cells.values()} == {"done"} and len(cells) == 4
    with_class = {place for place, row in cells.items() if "class accuracy" in row["metrics"]}
    assert with_class == {("class", "ancestral"), ("class", "upper")}
    with_part = {place for place, row in cells.items() if "given PSNR" in row["metrics"]}
    assert with_part == {("none", "upper"), ("class", "upper")}
    assert all("edge F" in row["metrics"] and "low-res. PSNR" in row["metrics"] for row in cells.values())
    told = tamingplat_here("plan", manifest, *small, "--no-estimates").stdout
    told = " ".join(told.split())
    assert "no class of cells with none and ancestral: the condition names no class" in told
    assert "no given of cells with class and ancestral: the sampler is given no part of an image" in told


def test_settings_that_contradict_the_cell_are_refused_with_their_place(manifest: Path, plan_manifest: Plan) -> None:
    assert not refused(plan_manifest(manifest))
    edges = refused(plan_manifest(manifest, "metric.edges.config.low=30"))
    assert set(edges) == {("lines", "ancestral"), ("lines", "upper")}
    assert all("has low = 30, and that of the conditioner edges is 20" in reason for reason in edges.values())
    small = refused(plan_manifest(manifest, "metric.small.config.factor=4"))
    assert set(small) == {("low", "ancestral"), ("low", "upper")} and "set them alike" in small["low", "upper"]
    given = refused(plan_manifest(manifest, "metric.given.config.region=[0, 0, 0.25, 1]"))
    assert {sampler for _, sampler in given} == {"upper"} and len(given) == 4
    assert all("set its region to that of the sampler" in reason for reason in given.values())
