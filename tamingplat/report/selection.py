"""Which lines of the table are shown, and in which order: ``--filter`` and ``--sort``."""

from __future__ import annotations

import math
import operator
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType

from tamingplat.interfaces import Problem, ProblemsError
from tamingplat.registry import did_you_mean
from tamingplat.report.formats import column_heading
from tamingplat.report.line_columns import FURTHER, averaged, costs
from tamingplat.report.lines import KINDS, names_of
from tamingplat.report.pools import pools
from tamingplat.report.summary import SummaryRow
from tamingplat.stages import ResultRow, Results

_AVERAGED = "EMA"
_TEXTS = (*KINDS, "manifest", "kind", "status", _AVERAGED)
_SEEDS = ("seed", "tokenizer_seed")

_OPERATORS: Mapping[str, Callable[[float, float], bool]] = MappingProxyType(
    {"<=": operator.le, ">=": operator.ge, "!=": operator.ne, "<": operator.lt, ">": operator.gt, "=": operator.eq}
)

_EXAMPLE = "write COLUMN=VALUE, or COLUMN<NUMBER and the like"


@dataclass(frozen=True)
class Condition:
    """What a line has to fulfil: a column, an operator, and the values that it is compared with, of which one is enough."""

    column: str
    sign: str
    values: tuple[str, ...]

    def of_text(self, text: str) -> bool:
        """Whether a text fulfils it."""
        return (text in self.values) == (self.sign == "=")

    def of_number(self, number: float) -> bool:
        """Whether a number fulfils it; a fraction that it is to equal may be written as it is shown, to four digits."""
        targets = [float(value) for value in self.values]
        if self.sign in ("=", "!="):
            tolerance = 0 if number == round(number) else 5e-4
            near = any(math.isclose(number, target, rel_tol=tolerance) for target in targets)
            return near == (self.sign == "=")
        return all(_OPERATORS[self.sign](number, target) for target in targets)


@dataclass(frozen=True)
class Selection:
    """Conditions that all have to hold, and a column to sort by.

    Attributes:
        conditions: On lines: on their names, or on their means over seeds. One on ``seed`` chooses rows instead, before means
            are taken and lines ranked. The others hide lines and change no number and no verdict.
        sort: The column; empty for the order of the manifest.
        descending: Largest first.
    """

    conditions: tuple[Condition, ...] = ()
    sort: str = ""
    descending: bool = False

    def rows(self, results: Results) -> Results:
        """The rows with the seeds that were asked for; rows without a seed stay."""
        of_seeds = [condition for condition in self.conditions if condition.column == "seed"]

        def kept(row: ResultRow) -> bool:
            return row.seed is None or all(condition.of_number(row.seed) for condition in of_seeds)

        return replace(results, rows=tuple(row for row in results.rows if kept(row))) if of_seeds else results

    def lines(self, rows: Sequence[SummaryRow], results: Results) -> list[SummaryRow]:
        """The lines that are shown, sorted; those of real images and of reconstructions stay, last, beside the cells.

        Lines whose numbers may not be compared are sorted apart: whichever way, one pool comes after the other.
        """
        cells = any(row.kind == "cell" for row in rows)
        compared = [row for row in rows if (row.kind == "cell") == cells and row.kind != "real"]
        beside = [row for row in rows if row not in compared]
        shown = [row for row in compared if all(_holds(condition, row) for condition in self.conditions)]
        if self.sort:
            column = self.sort
            having = [row for row in shown if _sorted_by(row, column) is not None]
            having.sort(key=lambda row: _sorted_by(row, column) or ("",), reverse=self.descending)
            pool = pools(results, column).of_line
            having.sort(key=lambda row: pool.get(row.line, 0))
            shown = having + [row for row in shown if _sorted_by(row, column) is None]
        about = [condition for condition in self.conditions if condition.column in _TEXTS]
        return [*shown, *(row for row in beside if all(_holds(one, row) for one in about if _says(row, one.column)))]


def parse_selection(filters: Iterable[str], sort: str, results: Results) -> Selection:
    """Read filters and a column to sort by.

    Args:
        filters: Texts such as ``prior=gpt,ordering=raster|z-curve`` and ``nll<3``.
        sort: ``COLUMN``, ``COLUMN:asc`` or ``COLUMN:desc``; empty for none.
        results: What is shown, which says what columns there are.

    Raises:
        ProblemsError: Everything that is wrong with them: an unknown column or name, a comparison that says nothing.
    """
    problems: list[Problem] = []
    conditions = [
        condition
        for text in filters
        for part in _split(text, ",")
        if (condition := _condition(part.strip(), results, problems)) is not None
    ]
    column, _, direction = sort.rpartition(":") if sort.endswith((":asc", ":desc")) else (sort, "", "")
    known = _find(column, results, f"--sort {sort}", problems) if sort else ""
    if problems:
        raise ProblemsError(problems)
    return Selection(tuple(conditions), known or "", direction == "desc")


def _columns(results: Results) -> list[str]:
    of_rows = dict.fromkeys(name for row in results.rows for name in row.cost)
    return [*_TEXTS, *_SEEDS, *FURTHER, *(column.name for column in results.columns), *of_rows]


def _headings(results: Results, columns: Sequence[str]) -> dict[str, str]:
    """What stands above the columns of the table, where that is not their name."""
    of_cells = any(row.kind == "cell" for row in results.rows)
    of_costs = {cost.heading: cost.name for cost in costs(of_cells=of_cells) if cost.name in columns}
    return {"tokenizer seed": "tokenizer_seed", **of_costs, **{column_heading(one): one.name for one in results.columns}}


def _find(name: str, results: Results, where: str, problems: list[Problem]) -> str | None:
    """A column by its name, by its heading, or by what stands before the parentheses in its name."""
    columns = _columns(results)
    if name in columns:
        return name
    headings = _headings(results, columns)
    if name in headings:
        return headings[name]
    short = [column for column in columns if column.split(" (")[0] == name]
    if len(short) == 1:
        return short[0]
    if short:
        problems.append(Problem(where, f"{name} may be any of {', '.join(short)}", "name one of them"))
        return None
    known = dict.fromkeys((*columns, *headings))
    remedy = did_you_mean(name, known) or f"there are {', '.join(known)}"
    problems.append(Problem(where, f"there is no column {name}", remedy))
    return None


def _condition(text: str, results: Results, problems: list[Problem]) -> Condition | None:
    where = f"--filter {text}"
    name, sign, value = _parts(text)
    if not sign or not name or not value:
        problems.append(Problem(where, "is no condition", _EXAMPLE))
        return None
    column = _find(name, results, where, problems)
    if column is None:
        return None
    values = tuple(part.strip() for part in _split(value, "|"))
    if column in _TEXTS:
        if sign not in ("=", "!="):
            problems.append(Problem(where, f"{column} is a name", f"write {column}={value} or {column}!={value}"))
            return None
        known = dict.fromkeys(("yes", "no") if column == _AVERAGED else (_text(row, column) for row in results.rows))
        for one in values:
            if one not in known:
                remedy = did_you_mean(one, known) or f"there are {', '.join(filter(None, known))}"
                problems.append(Problem(where, f"no row has {column} {one}", remedy))
        return Condition(column, sign, values)
    wrong = [one for one in values if not _is_number(one)]
    if wrong:
        problems.append(Problem(where, f"{column} is a number, and {', '.join(wrong)} is none", _EXAMPLE))
        return None
    return Condition(column, sign, values)


def _is_number(text: str) -> bool:
    try:
        return math.isfinite(float(text))
    except ValueError:
        return False


def _split(text: str, separator: str) -> list[str]:
    """Parts between separators; what is in brackets, as in the names of columns and of variants, is not looked at."""
    parts, depth = [""], 0
    for character in text:
        depth += (character in "([") - (character in ")]")
        if character == separator and depth <= 0:
            parts.append("")
        else:
            parts[-1] += character
    return parts


def _parts(text: str) -> tuple[str, str, str]:
    """Column, operator and value; the operator is the first outside of brackets, and empty where there is none."""
    depth = 0
    for index, character in enumerate(text):
        depth += (character in "([") - (character in ")]")
        found = re.match(r"<=|>=|!=|<|>|=", text[index:]) if depth <= 0 else None
        if found:
            return text[:index].strip(), found.group(), text[index + len(found.group()) :].strip()
    return text, "", ""


def _text(row: ResultRow, column: str) -> str:
    return {**names_of(row), "manifest": row.manifest, "kind": row.kind, "status": row.status}[column]


def _text_of_line(row: SummaryRow, column: str) -> str:
    return {**row.names, "manifest": row.manifest, "kind": row.kind, "status": row.status, _AVERAGED: averaged(row)}[column]


def _says(row: SummaryRow, column: str) -> bool:
    """Whether a row has such a name at all: a reconstruction has no prior, and a filter on priors is not about it."""
    return column != "manifest" and column != "status" and bool(_text_of_line(row, column))


def _number(row: SummaryRow, column: str) -> float | None:
    if column == "tokenizer_seed":
        return row.tokenizer_seed
    if column in FURTHER:
        return FURTHER[column](row)
    value = row.metrics.get(column) or row.cost.get(column)
    return None if value is None else value.mean


def _holds(condition: Condition, row: SummaryRow) -> bool:
    if condition.column == "seed":
        return True
    if condition.column in _TEXTS:
        return condition.of_text(_text_of_line(row, condition.column))
    number = _number(row, condition.column)
    return number is not None and condition.of_number(number)


def _sorted_by(row: SummaryRow, column: str) -> tuple[float] | tuple[str] | None:
    if column in _TEXTS:
        text = _text_of_line(row, column)
        return (text,) if text else None
    number = row.seeds[0] if column == "seed" and row.seeds else _number(row, column)
    return None if number is None else (number,)
