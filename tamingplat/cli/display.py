"""Progress of a run: in a terminal live, elsewhere a line when a training begins and one when a stage ends."""

from __future__ import annotations

import time
from collections.abc import Callable
from types import TracebackType
from typing import Self

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from tamingplat.engine import Progress
from tamingplat.interfaces import StageOutcome
from tamingplat.report import duration, number
from tamingplat.stages import Stage

_MAX_TERMS = 4


class RunDisplay:
    """Shows how far a run is.

    Args:
        console: Where to show it.
        total: Number of stages of the plan.
        cached: How many of them were done before.
        read: Gives the progress of a running stage, whichever process runs it.
    """

    def __init__(self, console: Console, *, total: int, cached: int, read: Callable[[str], Progress | None]) -> None:
        self._console = console
        self._total = total
        self._cached = cached
        self._read = read
        self._done = 0
        self._failed = 0
        self._skipped = 0
        self._running: dict[str, tuple[Stage, float]] = {}
        self._began = time.monotonic()
        self._live: Live | None = None

    def __enter__(self) -> Self:
        if self._console.is_terminal:
            self._live = Live(get_renderable=self._render, console=self._console, refresh_per_second=4, transient=True)
            self._live.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if self._live is not None:
            self._live.stop()
        if self._skipped:
            self._console.print(Text(f"{self._skipped} stages skipped, because what they need failed", style="red"))

    def started(self, stage: Stage) -> None:
        """A stage begins."""
        self._running[stage.key] = (stage, time.monotonic())
        if self._live is None and stage.training is not None:
            self._console.print(Text(f"{self._counter()} {stage.label} …"))

    def ended(self, stage: Stage, outcome: StageOutcome) -> None:
        """A stage has ended."""
        _, began = self._running.pop(stage.key, (stage, time.monotonic()))
        took = duration(outcome.seconds or time.monotonic() - began)
        match outcome.status:
            case "done":
                self._done += 1
                self._console.print(Text(f"{self._counter()} {stage.label}: {took}"))
            case "failed":
                self._failed += 1
                self._console.print(Text(f"{self._counter()} {stage.label}: failed: {outcome.error}", style="red"))
            case "skipped":
                self._skipped += 1

    def _counter(self) -> str:
        return f"[{self._cached + self._done}/{self._total}]"

    def _render(self) -> RenderableType:
        finished = self._cached + self._done + self._failed + self._skipped
        elapsed = time.monotonic() - self._began
        overall = Table.grid(padding=(0, 1))
        overall.add_row(
            ProgressBar(total=self._total, completed=finished, width=30),
            Text(
                f"{self._done} stages done, {self._cached} cached, {self._total - finished} left"
                + (f", {self._failed} failed" if self._failed else "")
                + f"; {duration(elapsed)}"
            ),
        )
        return Group(*(self._render_stage(stage, began) for stage, began in list(self._running.values())), overall)

    def _render_stage(self, stage: Stage, began: float) -> RenderableType:
        progress = self._read(stage.key)
        line = Table.grid(padding=(0, 1))
        bar: RenderableType = Text("")
        details = [duration(time.monotonic() - began)]
        if progress is not None:
            bar = ProgressBar(total=progress.steps or None, completed=progress.step, width=30)
            details = [describe_progress(progress)]
        line.add_row(bar, Text(stage.label, style="bold"), Text("; ".join(details)))
        return line


def describe_progress(progress: Progress) -> str:
    """Progress in words: activity, step, loss terms, images per second, time left."""
    parts = [f"{progress.stage} {progress.step}/{progress.steps}" if progress.steps else progress.stage]
    terms = [f"{name} {number(value)}" for name, value in list(progress.terms.items())[:_MAX_TERMS]]
    if terms:
        parts.append(", ".join(terms))
    if progress.images_per_second:
        parts.append(f"{number(progress.images_per_second, 3)} images/s")
    if progress.eta_seconds is not None:
        parts.append(f"{duration(progress.eta_seconds)} left")
    return "; ".join(parts)
