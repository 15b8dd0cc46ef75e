"""One table of several manifests: their rows stay apart where they are different, and are one where they are the same."""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tamingplat.report import number

Run = Callable[..., subprocess.CompletedProcess[str]]

TEXT = """schema = 1
name = "{name}"
seeds = {seeds}

[dataset.blobs]
use = "parquet"
config = {{ train = "{blobs}/train.parquet", validation = "{blobs}/validation.parquet", size = {size} }}

[tokenizer.colours]
use = "kmeans"
config = {{ codebook_size = 8, steps = 5 }}

[prior.gpt]
config = {{ layers = 1, heads = 1, width = 8 }}
train = {{ steps = {steps}, batch_size = 8 }}

[matrix]
dataset = ["blobs"]
tokenizer = ["colours"]
prior = ["gpt"]
ordering = ["raster"]

[evaluate]
metrics = ["{metric}"]
samples = 4
"""


@pytest.fixture(scope="module")
def manifests(blobs: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a store and three manifests that have run in it.

    ``small`` gives the names of ``large`` to smaller images and a shorter training; ``again`` measures one cell of ``large`` by
    another metric.
    """
    folder = tmp_path_factory.mktemp("manifests")
    for name, seeds, size, steps, metric in (
        ("large", [0, 1], 8, 4, "nll"),
        ("small", [0], 4, 2, "nll"),
        ("again", [0], 8, 4, "codebook"),
    ):
        manifest = folder / f"{name}.toml"
        manifest.write_text(TEXT.format(name=name, seeds=seeds, blobs=blobs, size=size, steps=steps, metric=metric))
        result = subprocess.run(
            [sys.executable, "-m", "tamingplat", "run", manifest, "--store", folder / "store"],
            capture_output=True,
            text=True,
            check=False,
            timeout=240,
            env={**os.environ, "OMP_NUM_THREADS": "1"},
        )
        assert result.returncode == 0, result.stderr + result.stdout
    return folder


def _rows(tamingplat: Run, folder: Path, *names: str, kind: str = "cell") -> list[dict[str, Any]]:
    paths = [folder / f"{name}.toml" for name in names]
    result = tamingplat("compare", *paths, "--store", folder / "store", "--format", "json")
    assert result.returncode == 0, result.stderr
    return [row for row in json.loads(result.stdout) if row["kind"] == kind]


@pytest.mark.slow
def test_rows_of_two_manifests_with_equal_names_stay_apart(manifests: Path, tamingplat: Run) -> None:
    large, small = (_rows(tamingplat, manifests, name) for name in ("large", "small"))
    together = _rows(tamingplat, manifests, "large", "small")
    assert len(large) == 2 and len(small) == 1
    assert [row["metrics"] for row in together] == [row["metrics"] for row in (*large, *small)]
    assert len({row["artifacts"]["prior"] for row in together}) == 3

    paths = [manifests / f"{name}.toml" for name in ("large", "small")]
    table = tamingplat("compare", *paths, "--store", manifests / "store", "--format", "table")
    assert table.returncode == 0, table.stderr
    over_seeds = number(statistics.fmean(row["metrics"]["nll"] for row in large))
    single = number(small[0]["metrics"]["nll"])
    # Averaged over the seeds of one manifest, and over nothing of the other.
    averaged = [line for line in table.stdout.splitlines() if f" {over_seeds} ±" in line]
    alone = [line for line in table.stdout.splitlines() if f" {single} " in line and "±" not in line]
    assert len(averaged) == 1 and len(alone) == 1, table.stdout
    for line, name in ((averaged[0], "large"), (alone[0], "small")):
        assert {name, "colours", "gpt"} <= set(line.split())


@pytest.mark.slow
def test_a_cell_of_two_manifests_is_one_row_with_the_metrics_of_both(manifests: Path, tamingplat: Run) -> None:
    large, again = (_rows(tamingplat, manifests, name) for name in ("large", "again"))
    assert [row["seed"] for row in large] == [0, 1] and [row["seed"] for row in again] == [0]
    assert not set(large[0]["metrics"]) & set(again[0]["metrics"])
    assert large[0]["artifacts"] == again[0]["artifacts"]
    for names in (("large", "again"), ("again", "large")):
        together = {row["seed"]: row for row in _rows(tamingplat, manifests, *names)}
        assert len(_rows(tamingplat, manifests, *names)) == 2
        assert together[0]["metrics"] == large[0]["metrics"] | again[0]["metrics"]
        assert together[1]["metrics"] == large[1]["metrics"]
        assert all(row["status"] == "done" for row in together.values())
    assert len(_rows(tamingplat, manifests, "large", "again", kind="reconstruction")) == 1
