"""A run in processes side by side finds what a run in one process finds."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Run = Callable[..., subprocess.CompletedProcess[str]]

TEXT = """
[tokenizer.colours]
use = "kmeans"
config = { codebook_size = 8, steps = 5 }

[prior.gpt]
config = { layers = 1, heads = 1, width = 8 }
train = { steps = 4, batch_size = 8 }

[matrix]
dataset = ["blobs"]
tokenizer = ["colours"]
prior = ["gpt"]
ordering = ["raster", "spiral-out"]

[evaluate]
metrics = ["nll"]
samples = 4
"""
LOCAL = """
[executor.pair]
use = "local"
config = { jobs = 2, devices = ["cpu"], threads = 1 }

[runtime]
executor = "pair"
"""
INLINE = '\n[runtime]\ndevice = "cpu"\n'


def _run(tamingplat_here: Run, manifest: Path, store: Path) -> list[dict[str, Any]]:
    result = tamingplat_here("run", manifest, "--store", store)
    assert result.returncode == 0, result.stderr + result.stdout
    compared = tamingplat_here("compare", manifest, "--store", store, "--format", "json")
    assert compared.returncode == 0, compared.stderr
    return [row for row in json.loads(compared.stdout) if row["kind"] == "cell"]


def _commands(store: Path) -> list[list[str]]:
    """The command lines of the processes that trained priors."""
    return [json.loads(path.read_text())["provenance"]["command"] for path in store.glob("train_prior/*/*/stage.json")]


@pytest.mark.slow
def test_two_jobs_find_what_one_process_finds(
    write_manifest: Callable[..., Path], tmp_path: Path, tamingplat_here: Run
) -> None:
    alone, pair = tmp_path / "alone", tmp_path / "pair"
    ours = _run(tamingplat_here, write_manifest(TEXT + INLINE, "alone"), alone)
    theirs = _run(tamingplat_here, write_manifest(TEXT + LOCAL, "pair"), pair)
    assert len(ours) == 2 and all(row["status"] == "done" for row in (*ours, *theirs))
    assert [row["metrics"] for row in ours] == [row["metrics"] for row in theirs]
    # Where something is run enters no key.
    assert [row["artifacts"] for row in ours] == [row["artifacts"] for row in theirs]
    # Each stage of the second run had a process of its own.
    assert len(_commands(alone)) == len(_commands(pair)) == 2
    assert all("run" in command and "stage" not in command for command in _commands(alone))
    assert all("stage" in command and "run" not in command for command in _commands(pair))
    assert len({tuple(command) for command in _commands(pair)}) == 2
