"""Work that takes turns is done, each piece in a process of its own."""

from __future__ import annotations

import functools
import importlib
import os
from pathlib import Path
from types import ModuleType

import pytest

BENCHMARKS = Path(__file__).parents[2] / "experiments" / "benchmarks"


@pytest.fixture
def turns(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(BENCHMARKS)
    return importlib.import_module("turns")


def test_every_job_is_done_in_a_process_of_its_own(turns: ModuleType) -> None:
    # The sum takes many turns, and the last job as long as it takes.
    done = turns.by_turns(
        {
            "sum": turns.Job(functools.partial, (sum, range(3_000_000)), 0.001),
            "process": turns.Job(functools.partial, (os.getpid,), 0.001),
            "power": turns.Job(functools.partial, (pow, 2, 5), None),
        }
    )
    assert list(done) == ["sum", "process", "power"]
    assert done["sum"].result == 4_499_998_500_000 and done["power"].result == 32
    assert done["process"].result != os.getpid()
    assert all(one.seconds > 0 for one in done.values())


def test_a_job_that_fails_is_named(turns: ModuleType, capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(RuntimeError, match=r"^wrong ended without a result"):
        turns.by_turns({"wrong": turns.Job(functools.partial, (int, "x"), 1.0)})
    assert "invalid literal" in capfd.readouterr().err
