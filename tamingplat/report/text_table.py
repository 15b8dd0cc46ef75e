"""A table in plain text cells, and the same for a terminal, in Markdown and in LaTeX."""

from __future__ import annotations

import re
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
        statuses: Of each line: ``done``, ``failed``, ``refused`` or ``missing``; ``published`` for figures that are not ours.
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
        style = {"failed": "red", "refused": "yellow", "missing": "dim", "published": "cyan"}.get(status, "")
        drawn.add_row(*(Text(cell) for cell in line), style=style)
    return drawn


def to_markdown(tables: Sequence[TextTable]) -> str:
    """Markdown tables, each with its notes; all but the first under a heading of their own."""
    return "\n".join(_markdown(table, headed=index > 0) for index, table in enumerate(tables))


def _markdown(table: TextTable, *, headed: bool) -> str:
    def line(cells: Sequence[str]) -> str:
        return "| " + " | ".join(map(escape_markdown, cells)) + " |"

    rule = "| " + " | ".join(["---"] * table.names + ["---:"] * (len(table.headings) - table.names)) + " |"
    title = [f"### {escape_markdown(table.title)}", ""] if headed else []
    notes = ["", *(f"- {escape_markdown(note)}" for note in table.notes)] if table.notes else []
    return "\n".join([*title, line(table.headings), rule, *map(line, table.lines), *notes]) + "\n"


_MARKDOWN = re.compile(
    r"""
      [|`\[~$]                            # cells, code, links and tasks, struck text, formulas
    | \\(?=[!-/:-@\[-`{-~]|$)             # a backslash that would escape what follows, or end the cell
    | (?<=\S)\* | \*(?=\S) | ^\*          # emphasis and lists; not a star behind a blank, which marks the best
    | (?<![^\W_])_ | _(?![^\W_])          # emphasis; not within a word
    | <(?=[A-Za-z/!?])                   # HTML
    | &(?=\#?\w+;)                       # entities
    | ^[-+](?=[-\s]|$) | ^[>\#] | \#$     # lists, rules, quotes and headings
    | (?:(?<=^\d)|(?<=^\d\d)|(?<=^\d{3})|(?<=^\d{4}))[.)](?=\s|$)  # numbered lists
    """,
    re.VERBOSE,
)


def escape_markdown(text: str) -> str:
    """Text, in one line, that Markdown shows as it is: in a cell, a heading or an item of a list."""
    return _MARKDOWN.sub(r"\\\g<0>", " ".join(text.splitlines()).strip())


def to_latex(tables: Sequence[TextTable]) -> str:
    """Booktabs tables, their notes as comments."""
    return "\n".join(_latex(table, headed=index > 0) for index, table in enumerate(tables))


def _latex(table: TextTable, *, headed: bool) -> str:
    alignment = "l" * table.names + "r" * (len(table.headings) - table.names)

    def line(cells: Sequence[str]) -> str:
        # A line break and a rule look for a star or an option in brackets behind them, in the next line too.
        option = "{}" if cells[0].lstrip().startswith(("[", "*")) else ""
        return option + " & ".join(map(escape_latex, cells)) + r" \\"

    body, heading = map(line, table.lines), line(table.headings)
    notes = [f"% {' '.join(note.splitlines())}" for note in table.notes]
    title = [f"% {' '.join(table.title.splitlines())}"] if headed else []
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
        "|": r"\textbar{}",
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
