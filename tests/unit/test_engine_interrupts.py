"""Signals while training runs."""

from __future__ import annotations

import signal
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from tamingplat.engine import Progress, make_accelerator, train
from tamingplat.interfaces import TrainingSettings


@pytest.fixture
def start(toys: ModuleType, tmp_path: Path) -> Callable[..., Any]:
    """Trains with a function that is called at every report."""

    def run(act: Callable[[Progress], None], steps: int = 1000) -> Any:
        settings = TrainingSettings(steps=steps, batch_size=8, log_every=1, checkpoint_every=10**6)
        accelerator = make_accelerator(settings, "cpu")
        model, data = toys.build("regressor"), toys.Points()
        return train(model, data, settings, accelerator=accelerator, seed=0, work=tmp_path, report=act)

    return run


def _checkpoints(work: Path) -> list[str]:
    return [path.name for path in work.glob("checkpoint-*")]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_stops_after_the_step_with_a_checkpoint(start: Callable[..., Any], tmp_path: Path, number: int):
    before = {each: signal.getsignal(each) for each in (signal.SIGINT, signal.SIGTERM)}

    def act(progress: Progress) -> None:
        if progress.step == 3:
            signal.raise_signal(number)

    with pytest.raises(KeyboardInterrupt, match="stopped after step 4 of 1000"):
        start(act)
    assert _checkpoints(tmp_path) == ["checkpoint-4"]
    assert {each: signal.getsignal(each) for each in before} == before


def test_a_second_signal_stops_at_once(start: Callable[..., Any], tmp_path: Path):
    def act(progress: Progress) -> None:
        if progress.step == 3:
            signal.raise_signal(signal.SIGINT)
            signal.raise_signal(signal.SIGINT)
            raise AssertionError("the second signal was swallowed")

    with pytest.raises(KeyboardInterrupt):
        start(act)
    assert _checkpoints(tmp_path) == []
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_an_ignored_signal_stays_ignored(start: Callable[..., Any], tmp_path: Path):
    previous = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        record = start(lambda progress: signal.raise_signal(signal.SIGINT), steps=4)
        assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGINT, previous)
    assert record.steps == 4


def test_handlers_are_given_back_when_training_fails(start: Callable[..., Any]):
    before = signal.getsignal(signal.SIGINT)

    def act(progress: Progress) -> None:
        raise RuntimeError("the watcher failed")

    with pytest.raises(RuntimeError, match="the watcher failed"):
        start(act)
    assert signal.getsignal(signal.SIGINT) is before
