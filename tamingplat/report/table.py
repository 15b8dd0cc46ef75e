"""The comparison table: one line for every combination, with what is known of its place among the others."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet

from tamingplat.report.budgets import BudgetTable
from tamingplat.report.formats import column_heading, with_error
from tamingplat.report.line_columns import averaged, independent_seeds, settings_tried, tried
from tamingplat.report.line_columns import costs as costs_of
from tamingplat.report.lines import KINDS, lines_of
from tamingplat.report.ranking import ENOUGH_SEEDS, ONE_MODEL, Comparison, Ranking
from tamingplat.report.summary import SummaryRow, Value
from tamingplat.report.text_table import TextTable
from tamingplat.stages import Column, ResultRow

TRAINED_ON = "†"

VERDICTS: Mapping[str, str] = {"best": "*", "tied": "=", "undecided": "?", "worse": ""}
"""How a line's place in its ranking is marked behind its number."""


class ComparisonTable:
    """Lays out lines.

    Args:
        budgets: The results, with likelihoods at equal budgets.
        every: All lines, which say what names are needed to tell them apart.
        rows: The lines that are shown, in their order.
        rankings: Of all results, shown or not: what is hidden changes no verdict.
        wide: Every column; otherwise those that a metric calls a headline, and names only where they differ.
    """

    def __init__(
        self,
        budgets: BudgetTable,
        every: Sequence[SummaryRow],
        rows: Sequence[SummaryRow],
        rankings: Sequence[Ranking],
        *,
        wide: bool = False,
    ) -> None:
        self.rows, self.wide = rows, wide
        self._budgets = budgets
        self._rankings = rankings
        self._members = lines_of(budgets.results)
        self._verdicts: dict[tuple[str, str], Comparison] = {
            (ranking.column.name, comparison.group): comparison
            for ranking in rankings
            if not ranking.alone
            for comparison in ranking.comparisons
        }
        self._names = self._name_columns(every)

    def main(self) -> TextTable:
        """The table of all metrics and costs; the likelihoods at equal budgets have one of their own."""
        rows = self.rows
        of_budgets = {column.name for column in self._budgets.columns}
        columns = [
            column
            for column in self._budgets.results.columns
            if self.wide or (column.headline and column.name not in of_budgets)
        ]
        cells = [row for row in rows if row.kind == "cell"]
        costs = [cost for cost in costs_of(of_cells=bool(cells)) if any(cost.name in row.cost for row in cells or rows)]
        further = list(self._further())
        status = self.wide or any(row.status != "done" for row in rows)
        headings = [*self._names, *map(column_heading, columns), *(cost.heading for cost in costs)]
        headings += [heading for heading, _ in further] + (["status"] if status else [])
        lines = [
            (
                *self._name(row),
                *(self.cell(row, column) for column in columns),
                *(_cost(row.cost.get(cost.name), cost.show) for cost in costs),
                *(show(row) for _, show in further),
                *([row.status] if status else []),
            )
            for row in rows
        ]
        notes = [*self._notes(columns), *_of_lines(rows), *self._remarks(), *_reasons(rows)]
        return self._table(self._budgets.results.name, headings, lines, notes)

    def _remarks(self) -> Iterator[str]:
        """What is to be known of single lines' numbers."""
        remarks: dict[str, list[str]] = {}
        for row in self.rows:
            for note in row.notes:
                remarks.setdefault(note, []).append(self.label(row))
        yield from (f"{'; '.join(labels)}: {note}" for note, labels in remarks.items())

    def at_equal_budgets(self) -> TextTable:
        """The lines that have a learning curve, at equal steps, time and operations."""
        columns = self._budgets.columns
        rows = [row for row in self.rows if any(self.cell(row, column) for column in columns)]
        headings = [*self._names, *map(column_heading, columns)]
        lines = [(*self._name(row), *(self.cell(row, column) for column in columns)) for row in rows]
        notes = [*self._budgets.notes, *self._notes(columns)]
        return self._table("NLL at equal budgets of training", headings, lines, notes)

    def cell(self, row: SummaryRow, column: Column) -> str:
        """A metric with its standard error and its marks, or why it is not there."""
        reasons = list(dict.fromkeys(self._unmeasured(row.line, column)))
        text = with_error(row.metrics.get(column.name))
        if not text:
            return ", ".join(reasons)
        if reasons:
            text = f"{text} ({', '.join(reasons)}: other seeds)"
        comparison = self._verdicts.get((column.name, row.line))
        mark = TRAINED_ON if column.name in row.trained_on else VERDICTS[comparison.verdict] if comparison else ""
        return f"{text} {mark}".rstrip()

    def label(self, row: SummaryRow) -> str:
        """A line's names in one text."""
        return " ".join(filter(None, self._name(row)))

    def _unmeasured(self, line: str, column: Column) -> Iterator[str]:
        members: Sequence[ResultRow] = self._members.get(line, [])
        return (reason for row in members if (reason := self._budgets.reason(row, column.name)))

    def _table(self, title: str, headings: Sequence[str], lines: Sequence[tuple[str, ...]], notes: Sequence[str]) -> TextTable:
        flat = tuple(" ".join(note.split("\n")) for note in notes)
        statuses = tuple(row.status for row in self.rows) if len(lines) == len(self.rows) else ()
        return TextTable(title, tuple(headings), tuple(lines), len(self._names), statuses, flat)

    def _name_columns(self, rows: Sequence[SummaryRow]) -> list[str]:
        of_kind = {kind: {row.names[kind] for row in rows if row.names[kind]} for kind in KINDS}
        always = KINDS if self.wide else ("tokenizer", "prior")
        kinds = [kind for kind in KINDS if len(of_kind[kind]) > (0 if kind in always else 1)]
        names = [(row.kind, row.tokenizer_seed, *row.names.values()) for row in rows]
        colliding = len(set(names)) < len(names)
        several_seeds = len({row.tokenizer_seed for row in rows if row.tokenizer_seed is not None}) > 1
        return [*(["manifest"] if colliding else []), *kinds, *(["tokenizer seed"] if several_seeds else [])]

    def _name(self, row: SummaryRow) -> tuple[str, ...]:
        seed = "" if row.tokenizer_seed is None else str(row.tokenizer_seed)
        special = {"manifest": row.manifest, "tokenizer seed": seed}
        return tuple(special[name] if name in special else _row_name(row, name) for name in self._names)

    def _further(self) -> Iterator[tuple[str, Callable[[SummaryRow], str]]]:
        """Columns that are shown where every column is, or where lines differ in them."""
        cells = [row for row in self.rows if row.kind == "cell"]
        if cells and (self.wide or len({independent_seeds(row) for row in cells if row.metrics}) > 1):
            yield "seeds", lambda row: str(independent_seeds(row) or "")
        averages = {averaged(row) for row in self.rows} - {""}
        if averages and (self.wide or len(averages) > 1):
            yield "EMA", averaged
        if self.wide:
            for kind in ("prior", "tokenizer") if cells else ("tokenizer",):
                if any(row.names[kind] for row in self.rows):
                    yield f"{kind} settings tried", lambda row, kind=kind: settings_tried(row, kind)  # type: ignore[misc]

    def _notes(self, columns: Sequence[Column]) -> Iterator[str]:
        for column in columns:
            yield f"{column.name}{f' [{column.unit}]' if column.unit else ''}: {column.description}"
        shown, lines = {column.name for column in columns}, {row.line for row in self.rows}
        marks = {comparison.verdict for (name, line), comparison in self._verdicts.items() if name in shown and line in lines}
        if marks:
            yield legend(marks)
        if any(column.name in row.trained_on for row in self.rows for column in columns):
            yield f"{TRAINED_ON} the tokenizer was trained on a relative of this metric's network: not to be ranked"
        yield from split_notes([ranking for ranking in self._rankings if ranking.column.name in shown])
        unranked = [column.name for column in columns if column.better and not column.ranks]
        if unranked:
            yield f"{', '.join(unranked)}: shown and not ranked: too few images for it"
        copied = [f"{self.label(row)}: seed {', '.join(map(str, row.copies))}" for row in self.rows if row.copies]
        if copied:
            yield f"the same trained model as under another seed, and counted once: {'; '.join(copied)}"


def legend(marks: AbstractSet[str]) -> str:
    """What marks behind numbers mean: those that there are."""
    words = {
        "best": "best of its ranking",
        "tied": "not distinguishable from the best",
        "undecided": f"undecided: one seed, or fewer than {ENOUGH_SEEDS} and no significant difference from the best",
    }
    told = [f"{VERDICTS[mark]} {text}" for mark, text in words.items() if mark in marks]
    unmarked = ["no mark: worse"] if "worse" in marks else []
    method = "differences over seeds, t test, Holm's correction over the comparisons with the best"
    return f"{', '.join([*told, *unmarked])} ({method})"


def split_notes(rankings: Sequence[Ranking]) -> Iterator[str]:
    """Which settings keep lines out of one ranking, and of which columns."""
    columns: dict[tuple[str, ...], list[str]] = {}
    for name in dict.fromkeys(ranking.column.name for ranking in rankings):
        split = dict.fromkeys(setting for ranking in rankings if ranking.column.name == name for setting in ranking.split_by)
        if split:
            columns.setdefault(tuple(split), []).append(name)
    for settings, names in columns.items():
        yield f"{', '.join(names)}: ranked only among lines of the same {' and '.join(settings)}, which differ here"


def _row_name(row: SummaryRow, kind: str) -> str:
    if row.kind == "cell" or row.names[kind]:
        return row.names[kind]
    return f"({row.kind})" if kind == ("tokenizer" if row.kind == "real" else "prior") else ""


def _cost(value: Value | None, show: Callable[[float], str]) -> str:
    return "" if value is None else show(value.mean)


def _of_lines(rows: Sequence[SummaryRow]) -> Iterator[str]:
    seeds = sorted({len(row.seeds) - len(row.copies) for row in rows if row.kind == "cell" and row.seeds})
    if seeds and seeds[-1] > 1:
        yield "± is the standard error over seeds"
    elif seeds or _one_training_each(rows):
        whose = "one seed" if seeds else "one tokenizer seed"
        yield f"{whose}: differences between rows cannot be told from noise; intervals over images are of {ONE_MODEL}"
    notes = dict.fromkeys(
        f"{row.names[kind]}: {tried(tuning)} settings tried: {tuning.note}"
        for row in rows
        for kind, tuning in row.tuning.items()
        if tuning.note
    )
    yield from notes


def _reasons(rows: Sequence[SummaryRow]) -> Iterator[str]:
    reasons: dict[tuple[str, str], list[str]] = {}
    for row in rows:
        if row.reason:
            names = " ".join(row.names[kind] for kind in ("tokenizer", "prior", "ordering", "conditioner") if row.names[kind])
            reasons.setdefault((row.status, row.reason), []).append(names or row.kind)
    for (status, reason), names_of_rows in reasons.items():
        yield f"{status}: {'; '.join(names_of_rows)}: {reason}"


def _one_training_each(rows: Sequence[SummaryRow]) -> bool:
    """Whether the rows are tokenizers alone, some of them trained, and all from one seed."""
    trained = [row.tokenizer_seed for row in rows if "tokenizer_training_seconds" in row.cost]
    return all(row.kind != "cell" for row in rows) and len(set(trained)) == 1
