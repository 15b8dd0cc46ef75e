"""Progress as a person sees it, in a terminal and in a log file."""

from __future__ import annotations

import io
from typing import Any

import pytest
from rich.console import Console

from tamingplat.cli.display import RunDisplay, describe_progress
from tamingplat.engine import Progress
from tamingplat.interfaces import StageOutcome, TrainingSettings
from tamingplat.stages import Stage, StageContext


class _Training(Stage):
    kind = "train_prior"

    def __init__(self, name: str) -> None:
        self.name = name

    @property
    def label(self) -> str:
        return f"train {self.name}"

    @property
    def training(self) -> TrainingSettings:
        return TrainingSettings()

    def identity(self) -> dict[str, Any]:
        return {"name": self.name}

    def run(self, context: StageContext) -> dict[str, Any]:
        raise AssertionError("only shown")


PROGRESS = Progress("training", 40, 100, {"total": 3.25, "nll": 3.0}, images_per_second=123.4, eta_seconds=75)


def _show(*, terminal: bool) -> str:
    console = Console(file=io.StringIO(), force_terminal=terminal, width=140, color_system=None)
    display = RunDisplay(console, total=5, cached=2, read=lambda key: PROGRESS)
    good, bad = _Training("gpt"), _Training("pixelsnail")
    with display:
        display.started(good)
        if terminal:
            console.print(display._render())
        display.ended(good, StageOutcome(good.key, "done", seconds=12.0))
        display.started(bad)
        display.ended(bad, StageOutcome(bad.key, "failed", "ran out of memory", 3.0))
        display.ended(_Training("other"), StageOutcome(_Training("other").key, "skipped", "it needs another"))
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def test_progress_says_activity_step_terms_speed_and_time_left() -> None:
    assert describe_progress(PROGRESS) == "training 40/100; total 3.250, nll 3; 123 images/s; 1 min 15 s left"
    assert describe_progress(Progress("fitting", 7, 0)) == "fitting"


@pytest.mark.parametrize("terminal", [False, True])
def test_every_end_is_a_line_and_failures_say_why(terminal: bool) -> None:
    text = _show(terminal=terminal)
    assert "[3/5] train gpt: 12 s" in text
    assert "train pixelsnail: failed: ran out of memory" in text
    assert "1 stages skipped" in text


def test_a_terminal_shows_the_running_stage_and_what_is_left() -> None:
    text = _show(terminal=True)
    assert "123 images/s" in text and "2 cached" in text and "3 left" in text
    assert "123 images/s" not in _show(terminal=False)
