"""One line that says how far something is: live in a terminal, nothing elsewhere."""

from __future__ import annotations

from types import TracebackType
from typing import TYPE_CHECKING, Self

import typer
from rich.console import Console
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

if TYPE_CHECKING:
    from tamingplat.engine import Progress


class ProgressLine:
    """Shows progress on standard error while it is entered."""

    def __init__(self) -> None:
        self._console = Console(stderr=True, markup=False, highlight=False, emoji=False)
        self._live: Live | None = None

    def __enter__(self) -> Self:
        if self._console.is_terminal:
            self._live = Live(console=self._console, refresh_per_second=4, transient=True)
            self._live.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if self._live is not None:
            self._live.stop()

    def report(self, progress: Progress) -> None:
        """Show how far it is."""
        if self._live is None:
            return
        from tamingplat.cli.display import describe_progress

        line = Table.grid(padding=(0, 1))
        bar = ProgressBar(total=progress.steps or None, completed=progress.step, width=30)
        line.add_row(bar, Text(describe_progress(progress)))
        self._live.update(line)

    def print(self, text: str) -> None:
        """A line of standard output, above the progress."""
        typer.echo(text)
