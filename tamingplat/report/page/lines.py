"""Lines of the page's table: one for every combination, with what each cell is sorted and filtered by."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from tamingplat.report.budgets import BudgetTable
from tamingplat.report.formats import arrow, with_error
from tamingplat.report.line_columns import settings_tried
from tamingplat.report.lines import KINDS, lines_of
from tamingplat.report.page.costs import COSTS, HEADLINES, TOKENIZER_HEADLINES, Cost
from tamingplat.report.pools import pools
from tamingplat.report.ranking import Ranking, Verdict
from tamingplat.report.summary import SummaryRow, summarise
from tamingplat.stages import Column, ResultRow

Sort = float | str | None

_TRIED = "of this prior, as its manifest declares; ≥ where it does not, and only the variants in it are known"


@dataclass(frozen=True)
class Heading:
    """A column of the table.

    Attributes:
        label: Its heading, without an arrow.
        kind: What is in it.
        better: ``lower``, ``higher`` or empty.
        unit, description: How it is read.
        wide: Whether it is hidden until every column is asked for.
        component: Whether it names components, of which a row of real images or of reconstructions may have none.
        pools: How many groups of lines there are whose numbers cannot be compared; sorting stays within each.
        split_by: The settings that keep these apart.
    """

    label: str
    kind: Literal["line", "name", "count", "metric", "cost", "status"]
    better: str = ""
    unit: str = ""
    description: str = ""
    wide: bool = False
    component: bool = False
    pools: int = 0
    split_by: tuple[str, ...] = ()

    @property
    def arrow(self) -> str:
        """Which way is better."""
        return arrow(self.better)


@dataclass(frozen=True)
class TableCell:
    """What stands in one place of the table.

    Attributes:
        text: As a person reads it.
        sort: What it is sorted by; ``None`` comes last.
        verdict: Where it stands in its ranking; empty where it is in none.
        pool: With which lines it is sorted, counted from 1: those whose numbers may be compared; 0 for all.
        trained_on: Whether the tokenizer was trained on a relative of the metric's network.
    """

    text: str
    sort: Sort = None
    verdict: Verdict | Literal[""] = ""
    pool: int = 0
    trained_on: bool = False


@dataclass(frozen=True)
class TableLine:
    """One line.

    Attributes:
        anchor: The fragment that opens its details.
        label: What tells it from the others, in one text.
        summary: Its numbers over seeds.
        rows: Its seeds.
        cells: One for each heading.
    """

    anchor: str
    label: str
    summary: SummaryRow
    rows: tuple[ResultRow, ...]
    cells: tuple[TableCell, ...] = field(default=())

    @property
    def group(self) -> str:
        """What rankings and curves call it."""
        return self.summary.line


@dataclass(frozen=True)
class PageTable:
    """The table.

    Attributes:
        headings: Its columns.
        lines: Those that are compared.
        references: Real images, and reconstructions beside cells.
        shared: What all lines have in common, in one text.
        filters: For each kind of component with several names, these names.
        notes: What has to be known to read it.
    """

    headings: tuple[Heading, ...]
    lines: tuple[TableLine, ...]
    references: tuple[TableLine, ...]
    shared: str
    filters: tuple[tuple[str, tuple[str, ...]], ...]
    notes: tuple[str, ...] = ()

    @property
    def all(self) -> tuple[TableLine, ...]:
        """Every line."""
        return (*self.lines, *self.references)


def make_table(budgets: BudgetTable, rankings: Sequence[Ranking]) -> PageTable:
    """Lay out the table, in the order of the manifests.

    Args:
        budgets: The results, with likelihoods at equal budgets.
        rankings: Of these.
    """
    results = budgets.results
    grouped = lines_of(results)
    layout = _Layout(budgets, rankings, summarise(results), grouped)
    lines = [layout.line(index, one, grouped[one.line]) for index, one in enumerate(layout.summaries)]
    compared = [line for line in lines if line.summary.kind == "cell"]
    compared = compared or [line for line in lines if line.summary.kind == "reconstruction"]
    references = [line for line in lines if line not in compared]
    notes = [*budgets.notes, *dict.fromkeys(note for line in lines for note in line.summary.notes)]
    return PageTable(layout.headings(), tuple(compared), tuple(references), layout.shared(), layout.filters(), tuple(notes))


class _Layout:
    """Which columns there are, and what stands in them."""

    def __init__(
        self,
        budgets: BudgetTable,
        rankings: Sequence[Ranking],
        summaries: Sequence[SummaryRow],
        rows: Mapping[str, Sequence[ResultRow]],
    ) -> None:
        results = budgets.results
        self.budgets, self.summaries, self.rows = budgets, summaries, rows
        self.columns = results.columns
        self.rankings = {
            column.name: [ranking for ranking in rankings if ranking.column.name == column.name] for column in results.columns
        }
        tokenizer_seeds = {summary.tokenizer_seed for summary in summaries} - {None}
        self.several_tokenizer_seeds = len(tokenizer_seeds) > 1
        self.names = {kind: tuple(dict.fromkeys(one.names[kind] for one in summaries if one.names[kind])) for kind in KINDS}
        self.kinds = [kind for kind in KINDS if self.names[kind]]
        self.manifests = tuple(dict.fromkeys(summary.manifest for summary in summaries))
        self.pools = {column.name: pools(results, column.name) for column in results.columns}
        self.tried = any("prior" in summary.tuning for summary in summaries)
        self.averages = any(summary.averaged for summary in summaries)
        self.costs = [cost for cost in COSTS if any(cost.name in summary.cost for summary in summaries)]

    def _tells_apart(self, kind: str) -> bool:
        return len(self.names[kind]) > 1 or kind in ("tokenizer", "prior")

    def shared(self) -> str:
        """What all lines have in common and the heading of a line leaves out."""
        names = [self.names[kind][0] for kind in self.kinds if len(self.names[kind]) == 1]
        return " · ".join(name for name in names if name != "none")

    def headings(self) -> tuple[Heading, ...]:
        """The columns. The first says all in which lines differ; each name has a column of its own too, to sort by."""
        headings = [Heading("line", "line", description="what tells it from the others; opens its details")]
        headings += [Heading(kind, "name", wide=True, component=True) for kind in self.kinds]
        headings += [Heading("manifest", "name", wide=True)] if len(self.manifests) > 1 else []
        headings += [Heading("tokenizer seed", "name", wide=True)] if self.several_tokenizer_seeds else []
        one_seed = all(len(summary.seeds) <= 1 for summary in self.summaries)
        headings.append(Heading("seeds", "count", description="how many seeds the numbers are means of", wide=one_seed))
        if self.tried:
            headings.append(Heading("settings tried", "count", description=_TRIED))
        if self.averages:
            headings.append(Heading("averaged", "name", description="whether the prior's weights are averages over training"))
        headings += [self._metric_heading(column) for column in self.columns]
        headlines = HEADLINES if any(one.kind == "cell" for one in self.summaries) else TOKENIZER_HEADLINES
        headings += [_cost_heading(cost, wide=cost.name not in headlines) for cost in self.costs]
        done = all(summary.status == "done" for summary in self.summaries)
        return (*headings, Heading("status", "status", wide=done))

    def _metric_heading(self, column: Column) -> Heading:
        apart = self.pools[column.name]
        return Heading(
            column.name,
            "metric",
            column.better,
            column.unit,
            column.description,
            wide=not column.headline,
            pools=apart.count,
            split_by=apart.split_by,
        )

    def line(self, index: int, summary: SummaryRow, rows: Sequence[ResultRow]) -> TableLine:
        """One line, its cells in the order of the headings."""
        names = [summary.manifest] if len(self.manifests) > 1 else []
        names += [_text(summary.tokenizer_seed)] if self.several_tokenizer_seeds else []
        apart = self._parts(summary, [kind for kind in self.kinds if len(self.names[kind]) > 1])
        whole = self._parts(summary, [kind for kind in self.kinds if self._tells_apart(kind)])
        cells = [TableCell(apart or whole, apart or whole)]
        # A reconstruction has no prior, and is neither sorted nor filtered by what stands in its place.
        cells += [TableCell(_name(summary, kind), summary.names[kind] or None) for kind in self.kinds]
        cells += [TableCell(name, name or None) for name in names]
        seeds = len(summary.seeds)
        cells.append(TableCell(str(seeds), float(seeds)) if seeds else TableCell(""))
        if self.tried:
            tuning = summary.tuning.get("prior")
            cells.append(TableCell(settings_tried(summary, "prior"), None if tuning is None else float(tuning.tried)))
        if self.averages:
            cells.append(TableCell("yes" if summary.averaged else "", "yes" if summary.averaged else None))
        cells += [self._metric(summary, column) for column in self.columns]
        cells += [_cost(summary, cost) for cost in self.costs]
        cells.append(TableCell(summary.status, summary.status))
        return TableLine(_anchor(rows[0], index), whole, summary, tuple(rows), tuple(cells))

    def _parts(self, summary: SummaryRow, kinds: Sequence[str]) -> str:
        """A line's names of some kinds, with manifest and tokenizer seed where there are several."""
        seed = summary.tokenizer_seed
        parts = [summary.names[kind] for kind in kinds]
        parts += [f"({summary.kind})"] if summary.kind == "real" or (summary.kind != "cell" and "prior" in self.kinds) else []
        parts += [summary.manifest] if len(self.manifests) > 1 else []
        parts += [f"tokenizer seed {seed}"] if self.several_tokenizer_seeds and seed is not None else []
        return " · ".join(filter(None, parts))

    def _metric(self, summary: SummaryRow, column: Column) -> TableCell:
        value = summary.metrics.get(column.name)
        if value is None:
            reasons = dict.fromkeys(self.budgets.reason(row, column.name) for row in self.rows[summary.line])
            return TableCell(", ".join(filter(None, reasons)))
        pool = self.pools[column.name].of_line.get(summary.line, 0)
        for ranking in self.rankings[column.name]:
            for comparison in ranking.comparisons:
                if comparison.group == summary.line:
                    verdict: Verdict | Literal[""] = "" if ranking.alone else comparison.verdict
                    return TableCell(with_error(value), value.mean, verdict, pool)
        return TableCell(with_error(value), value.mean, pool=pool, trained_on=column.name in summary.trained_on)

    def filters(self) -> tuple[tuple[str, tuple[str, ...]], ...]:
        """The kinds with several names."""
        manifests = [("manifest", self.manifests)] if len(self.manifests) > 1 else []
        return (*manifests, *((kind, self.names[kind]) for kind in self.kinds if len(self.names[kind]) > 1))


def _anchor(row: ResultRow, index: int) -> str:
    """The same for the same line whenever the page is made; for one without a group, by its place."""
    if not row.group:
        return f"row-{index + 1}"
    return f"row-{hashlib.sha256(f'{row.kind}/{row.group}'.encode()).hexdigest()[:10]}"


def _name(summary: SummaryRow, kind: str) -> str:
    if summary.kind == "cell" or summary.names[kind]:
        return summary.names[kind]
    return f"({summary.kind})" if kind == "prior" or (kind == "tokenizer" and summary.kind == "real") else ""


def _text(seed: int | None) -> str:
    return "" if seed is None else str(seed)


def _cost_heading(cost: Cost, *, wide: bool) -> Heading:
    return Heading(cost.label, "cost", cost.better, "", cost.description, wide=wide)


def _cost(summary: SummaryRow, cost: Cost) -> TableCell:
    value = summary.cost.get(cost.name)
    return TableCell("") if value is None else TableCell(cost.show(value.mean), value.mean)
