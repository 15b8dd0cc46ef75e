"""Where commands print."""

from __future__ import annotations

import json
import os
import sys
from typing import Any

from rich.console import Console
from rich.table import Table

# Wide enough for any row: what is piped into another program is neither wrapped nor shortened.
_PIPED_WIDTH = 2000


def make_console(*, stderr: bool = False) -> Console:
    """A console for text that may contain anything, such as brackets: no markup is interpreted.

    In a terminal it is as wide as that; into a pipe or a file every row is one line, unless ``COLUMNS`` says otherwise.
    """
    console = Console(stderr=stderr, markup=False, highlight=False, emoji=False)
    if not console.is_terminal and not os.environ.get("COLUMNS"):
        console = Console(stderr=stderr, markup=False, highlight=False, emoji=False, width=_PIPED_WIDTH)
    return console


def make_table(*columns: str, title: str | None = None) -> Table:
    """A plain table whose cells are folded, never shortened, where the console is too narrow."""
    table = Table(box=None, pad_edge=False, title=title, title_justify="left", title_style="bold", header_style="bold")
    for column in columns:
        table.add_column(column, overflow="fold")
    return table


def print_table(console: Console, table: Table) -> None:
    """Print a table; into a pipe or a file without the blanks that fill its last column up."""
    if console.is_terminal:
        console.print(table)
        return
    with console.capture() as captured:
        console.print(table)
    console.out("\n".join(line.rstrip() for line in captured.get().splitlines()), highlight=False)


def print_json(value: Any) -> None:
    """Print JSON and nothing else to standard output."""
    sys.stdout.write(json.dumps(value, indent=2) + "\n")
