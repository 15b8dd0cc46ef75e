"""A table in plain text cells, and the same for a terminal, in Markdown and in LaTeX."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType

from rich import box
from rich.cells import cell_len
from rich.table import Table
from rich.text import Text


@dataclass(frozen=True)
class TextTable:
    """A table in plain text cells.

    Attributes:
        title: What it shows.
        headings: Of its columns.
        lines: Its cells, as many in each line as there are headings.
        names: How many columns on the left are names; the others are numbers.
        statuses: Of each line: ``done``, ``failed``, ``refused`` or ``missing``.
        notes: How it is read, each one line of text.
    """

    title: str
    headings: tuple[str, ...]
    lines: tuple[tuple[str, ...], ...]
    names: int
    statuses: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        assert all(len(line) == len(self.headings) for line in self.lines), f"{self.title}: a line of another length"


_BETWEEN = 3
"""Blanks between two columns on a terminal."""


def split(table: TextTable, width: int) -> list[TextTable]:
    """A table that is too wide as several below each other, each with the names and as many other columns as fit.

    Args:
        table: The table.
        width: Characters in a line.
    """
    if 1 + sum(_width(table, index, broken=False) + _BETWEEN for index in range(len(table.headings))) <= width:
        return [table]
    widths = [_width(table, index) + _BETWEEN for index in range(len(table.headings))]
    table = replace(table, headings=tuple(_broken(text, widths[index]) for index, text in enumerate(table.headings)))
    names = sum(widths[: table.names])
    blocks: list[list[int]] = [[]]
    for index in range(table.names, len(widths)):
        if blocks[-1] and 1 + names + sum(widths[other] for other in (*blocks[-1], index)) > width:
            blocks.append([])
        blocks[-1].append(index)
    if len(blocks) == 1:
        return [table]

    def take(cells: tuple[str, ...], block: list[int]) -> tuple[str, ...]:
        return (*cells[: table.names], *(cells[index] for index in block))

    return [
        replace(
            table,
            title=table.title if block is blocks[0] else "",
            headings=take(table.headings, block),
            lines=tuple(take(line, block) for line in table.lines),
        )
        for block in blocks
    ]


def _width(table: TextTable, index: int, *, broken: bool = True) -> int:
    """How wide a column is where its heading may be broken between words, or not, and nothing else is."""
    heading = table.headings[index]
    words = heading.split() if broken else [heading]
    return max(0, *map(cell_len, words), *(cell_len(line[index]) for line in table.lines))


def _broken(heading: str, width: int) -> str:
    """A heading in lines that are no wider than its column, whose width is given with the blanks behind it."""
    lines = [""]
    for word in heading.split():
        longer = f"{lines[-1]} {word}".strip()
        if cell_len(longer) <= width - _BETWEEN:
            lines[-1] = longer
        else:
            lines.append(word)
    return "\n".join(filter(None, lines))


def to_rich(table: TextTable, width: int | None = None) -> list[Table]:
    """The table for a terminal, without its notes.

    Args:
        table: The table.
        width: Characters in a line, into which it is split; ``None`` leaves it whole.
    """
    return [_rich(part) for part in (split(table, width) if width else [table])]


def _rich(table: TextTable) -> Table:
    drawn = Table(title=table.title or None, box=box.SIMPLE_HEAD, show_lines=False)
    for index, heading in enumerate(table.headings):
        drawn.add_column(Text(heading), justify="left" if index < table.names else "right", overflow="fold")
    statuses = table.statuses or ("done",) * len(table.lines)
    for line, status in zip(table.lines, statuses, strict=True):
        style = {"failed": "red", "refused": "yellow", "missing": "dim"}.get(status, "")
        drawn.add_row(*(Text(cell) for cell in line), style=style)
    return drawn


def to_markdown(tables: Sequence[TextTable]) -> str:
    """Markdown tables, each with its notes; all but the first under a heading of their own."""
    return "\n".join(_markdown(table, headed=index > 0) for index, table in enumerate(tables))


def _markdown(table: TextTable, *, headed: bool) -> str:
    def line(cells: Sequence[str]) -> str:
        return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"

    rule = ["---"] * table.names + ["---:"] * (len(table.headings) - table.names)
    title = [f"### {table.title}", ""] if headed else []
    notes = ["", *(f"- {note}" for note in table.notes)] if table.notes else []
    return "\n".join([*title, line(table.headings), line(rule), *map(line, table.lines), *notes]) + "\n"


def to_latex(tables: Sequence[TextTable]) -> str:
    """Booktabs tables, their notes as comments."""
    return "\n".join(_latex(table, headed=index > 0) for index, table in enumerate(tables))


def _latex(table: TextTable, *, headed: bool) -> str:
    alignment = "l" * table.names + "r" * (len(table.headings) - table.names)
    body = [" & ".join(escape_latex(cell) for cell in cells) + r" \\" for cells in table.lines]
    heading = " & ".join(escape_latex(cell) for cell in table.headings) + r" \\"
    notes = [f"% {note}" for note in table.notes]
    title = [f"% {table.title}"] if headed else []
    begin, end = rf"\begin{{tabular}}{{{alignment}}}", r"\end{tabular}"
    return "\n".join([*title, begin, r"\toprule", heading, r"\midrule", *body, r"\bottomrule", end, *notes]) + "\n"


_LATEX: Mapping[str, str] = MappingProxyType(
    {
        "\\": r"\textbackslash{}",
        "&": r"\&",
        "%": r"\%",
        "$": r"\$",
        "#": r"\#",
        "_": r"\_",
        "{": r"\{",
        "}": r"\}",
        "~": r"\textasciitilde{}",
        "^": r"\textasciicircum{}",
        "±": r"$\pm$",
        "↓": r"$\downarrow$",
        "↑": r"$\uparrow$",
        "†": r"$\dagger$",
        "≥": r"$\geq$",
        "≤": r"$\leq$",
        "−": "$-$",
        "<": "$<$",
        ">": "$>$",
        "…": r"\dots{}",
    }
)


def escape_latex(text: str) -> str:
    """Text that LaTeX sets as it is."""
    return "".join(_LATEX.get(character, character) for character in text)
