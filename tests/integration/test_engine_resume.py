"""Training that is killed, or interrupted, and started again in a process of its own."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.slow

SCRIPT = Path(__file__).parents[1] / "fixtures" / "engine_toys.py"
ROOT = Path(__file__).parents[2]
CASES: dict[str, dict[str, Any]] = {
    "adversarial": {
        "kind": "noisy-adversarial",
        "settings": {"steps": 30, "ema_decay": 0.9, "checkpoint_every": 7, "validate_every": 10, "gradient_clip": 0.5},
    },
    "regressor": {
        "kind": "noisy",
        "settings": {
            "steps": 24,
            "ema_decay": 0.8,
            "checkpoint_every": 5,
            "accumulation_steps": 2,
            "schedule": "cosine",
            "workers": 1,
        },
    },
}


def _start(jobs: list[dict[str, Any]], **environment: object) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, str(SCRIPT), json.dumps(jobs)],
        text=True,
        stderr=subprocess.PIPE,
        env={
            **os.environ,
            "PYTHONPATH": str(ROOT),
            "OMP_NUM_THREADS": "1",
            **{name: str(value) for name, value in environment.items()},
        },
    )


def _result(work: Path, steps: int) -> tuple[list[Any], dict[str, bytes]]:
    record = json.loads((work / "result.json").read_text())
    logged = [(point["split"], point["step"], point["images"], point["flops"], point["terms"]) for point in record["curve"]]
    files = [work / "result.safetensors", *(work / f"checkpoint-{steps}").glob("*.safetensors")]
    return logged, {path.name: path.read_bytes() for path in files}


# Before the first checkpoint; between two, in the middle of a logged interval; and just after one.
@pytest.mark.parametrize(("case", "killed_at"), [("adversarial", [3, 17]), ("regressor", [10])])
def test_a_killed_run_ends_like_one_that_was_not(tmp_path: Path, case: str, killed_at: list[int]):
    job, steps = CASES[case], CASES[case]["settings"]["steps"]
    for step in killed_at:
        process = _start([{**job, "work": str(tmp_path / f"killed-{step}")}], KILL_AT=step)
        assert process.wait(timeout=120) == -signal.SIGKILL, process.stderr.read()
        assert not (tmp_path / f"killed-{step}" / "result.json").exists()
    works = [tmp_path / "whole", *(tmp_path / f"killed-{step}" for step in killed_at)]
    process = _start([{**job, "work": str(work)} for work in works])
    _, errors = process.communicate(timeout=240)
    assert process.returncode == 0, errors
    logged, files = _result(works[0], steps)
    assert files.keys() == {"result.safetensors", "model.safetensors", "optimizer.safetensors", "average.safetensors"}
    assert len(logged) == steps // 2 + (3 if case == "adversarial" else 1)
    for work, step in zip(works[1:], killed_at, strict=True):
        resumed, resumed_files = _result(work, steps)
        assert resumed == logged
        assert resumed_files == files
        record = json.loads((work / "result.json").read_text())
        assert record["resumptions"] == (1 if step > job["settings"]["checkpoint_every"] else 0)


def test_ctrl_c_of_a_whole_process_group_leaves_a_checkpoint(tmp_path: Path):
    work, reached = tmp_path / "work", tmp_path / "reached"
    job = {"work": str(work), "kind": "noisy", "settings": {"steps": 100000, "workers": 1, "checkpoint_every": 100000}}
    # A terminal sends the signal to the loader's process, too.
    process = subprocess.Popen(
        [sys.executable, str(SCRIPT), json.dumps([{**job, "stop_at": 10**6}])],
        text=True,
        stderr=subprocess.PIPE,
        start_new_session=True,
        env={**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", "SLOW_FROM": "5", "REACHED": str(reached)},
    )
    deadline = time.monotonic() + 120
    while not reached.exists():
        assert process.poll() is None and time.monotonic() < deadline, "training did not start"
        time.sleep(0.02)
    os.killpg(process.pid, signal.SIGINT)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 0, errors
    assert "Traceback" not in errors
    (checkpoint,) = work.glob("checkpoint-*")
    assert 5 <= json.loads((checkpoint / "state.json").read_text())["step"] < 10000
