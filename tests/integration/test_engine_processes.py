"""Several processes train like one at the same global batch."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.slow

SCRIPT = Path(__file__).parents[1] / "fixtures" / "engine_toys.py"
ROOT = Path(__file__).parents[2]
COMMON = {"steps": 20, "log_every": 1, "checkpoint_every": 6, "validate_every": 10}
JOBS: dict[str, dict[str, Any]] = {
    "adversarial": {"kind": "adversarial", "settings": {**COMMON, "ema_decay": 0.9, "gradient_clip": 0.5}},
    "accumulated": {"kind": "adversarial", "settings": {**COMMON, "accumulation_steps": 2}},
    "regressor": {"kind": "regressor", "settings": {**COMMON, "workers": 1}},
    "bfloat16": {"kind": "regressor", "settings": {**COMMON, "precision": "bfloat16"}},
}


def _run(command: list[str], jobs: list[dict[str, Any]]) -> None:
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", "ACCELERATE_USE_CPU": "1"}
    done = subprocess.run(
        [sys.executable, *command, str(SCRIPT), json.dumps(jobs)],
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
        env=environment,
    )
    assert done.returncode == 0, done.stderr


@pytest.fixture(scope="module")
def works(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Every job trained by one process, by two, and by two that were stopped by one of them in between."""
    folder = tmp_path_factory.mktemp("processes")
    _run([], [{**job, "work": str(folder / "one" / name)} for name, job in JOBS.items()])
    stopped = {**JOBS["adversarial"], "work": str(folder / "two" / "stopped")}
    two = [{**job, "work": str(folder / "two" / name)} for name, job in JOBS.items()]
    launcher = ["-m", "torch.distributed.run", "--standalone", "--nproc_per_node", "2"]
    fit = {"kind": "fit", "settings": {}, "work": str(folder / "two" / "fit")}
    _run(launcher, [*two, {**stopped, "stop_at": 8}, stopped, fit])
    return folder


def _record(work: Path, rank: str = "") -> dict[str, Any]:
    record: dict[str, Any] = json.loads((work / f"result{rank}.json").read_text())
    return record


@pytest.mark.parametrize("name", JOBS)
def test_two_processes_equal_one(works: Path, name: str):
    one, two = _record(works / "one" / name), _record(works / "two" / name)
    assert (one["processes"], two["processes"]) == (1, 2)
    assert len(one["curve"]) == len(two["curve"]) == 22
    tolerance = 2e-2 if name == "bfloat16" else 1e-4
    for first, second in zip(one["curve"], two["curve"], strict=True):
        assert [first[key] for key in ("split", "step", "images", "flops")] == [
            second[key] for key in ("split", "step", "images", "flops")
        ]
        assert second["terms"] == pytest.approx(first["terms"], rel=tolerance)
    assert one["flops"] == two["flops"]


def test_every_process_ends_with_the_same_weights_and_record(works: Path):
    for name in (*JOBS, "fit"):
        work = works / "two" / name
        assert (work / "result.safetensors").read_bytes() == (work / "result-1.safetensors").read_bytes()
        assert _record(work) == _record(work, "-1")


def test_processes_stop_together_and_continue_alike(works: Path):
    whole, stopped = _record(works / "two" / "adversarial"), _record(works / "two" / "stopped")
    assert stopped["resumptions"] == 1
    assert [point["terms"] for point in stopped["curve"]] == [point["terms"] for point in whole["curve"]]
    names = ("result.safetensors", "checkpoint-20/optimizer.safetensors", "checkpoint-20/average.safetensors")
    for name in names:
        assert (works / "two" / "stopped" / name).read_bytes() == (works / "two" / "adversarial" / name).read_bytes()


def test_a_fit_is_made_once_and_its_failure_told_to_all(works: Path):
    assert _record(works / "two" / "fit")["steps"] == 6
    assert (works / "two" / "fit" / "error-0").read_text() == "DataError: cat.png: not an image"
    told = "TamingplatError: the fit on process 0 failed: DataError: cat.png: not an image"
    assert (works / "two" / "fit" / "error-1").read_text() == told
