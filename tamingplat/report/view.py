"""What ``compare`` shows of results: rankings, equal budgets and a selection of lines, in every format."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

from tamingplat.report.budgets import BudgetTable, with_budgets
from tamingplat.report.collected import Collected
from tamingplat.report.difference_table import difference_table
from tamingplat.report.evolution_table import evolution_tables
from tamingplat.report.lines import line_of
from tamingplat.report.pools import pools
from tamingplat.report.published import PublishedTable
from tamingplat.report.published_table import published_table
from tamingplat.report.ranking import Ranking, rankings
from tamingplat.report.rate_distortion import rate_distortion, tokenizers_of
from tamingplat.report.rate_table import rate_table
from tamingplat.report.selection import Selection, parse_selection
from tamingplat.report.summary import SummaryRow, summarise
from tamingplat.report.table import ComparisonTable
from tamingplat.report.text_table import TextTable
from tamingplat.stages import ResultRow, Results

EVERY_SECTION = ("differences", "evolution", "rate-distortion")
"""What can be asked for beside the table."""


@dataclass(frozen=True)
class View:
    """Results as they are shown.

    Attributes:
        everything: With likelihoods at equal budgets; of the seeds that were asked for.
        selection: Which lines, in which order.
        wide: Every column.
        sections: Further tables, of ``EVERY_SECTION``.
        figures: Published metrics, beside which the lines that are shown stand.
        sizes: Published numbers of parameters beside ours.
    """

    everything: BudgetTable
    selection: Selection
    wide: bool = False
    sections: tuple[str, ...] = ()
    figures: tuple[PublishedTable, ...] = ()
    sizes: tuple[TextTable, ...] = ()

    @cached_property
    def rankings(self) -> list[Ranking]:
        """Of all results, shown or not: a filter hides lines and changes no verdict."""
        return rankings(self.everything.results)

    @cached_property
    def every_line(self) -> list[SummaryRow]:
        """All lines, shown or not."""
        return summarise(self.everything.results)

    @cached_property
    def lines(self) -> list[SummaryRow]:
        """The lines that are shown."""
        return self.selection.lines(self.every_line, self.everything.results)

    @property
    def rows(self) -> list[ResultRow]:
        """The rows of these lines."""
        members: dict[str, list[ResultRow]] = {}
        for row in self.everything.results.rows:
            members.setdefault(line_of(row), []).append(row)
        return [row for line in self.lines for row in members[line.line]]

    def tables(self) -> list[TextTable]:
        """The table, the sections that belong to it or were asked for, and published figures beside ours."""
        return list(self._tables())

    def _tables(self) -> Iterator[TextTable]:
        layout = ComparisonTable(self.everything, self.every_line, self.lines, self.rankings, wide=self.wide)
        main = layout.main()
        yield replace(main, notes=(*main.notes, *self._sorted_apart()))
        if self.everything.columns:
            yield layout.at_equal_budgets()
        if "evolution" in self.sections:
            yield from evolution_tables(self.everything.results, self.lines, layout.label)
        points = [point for point in rate_distortion(self.everything.results) if point.group in self._shown]
        if points and ("rate-distortion" in self.sections or tokenizers_of(points) > 1):
            yield rate_table(points, self.everything.results.columns, wide=self.wide)
        if "differences" in self.sections:
            yield difference_table(self.rankings, self.lines, layout.label, wide=self.wide)
        yield from (published_table(figures, self.lines) for figures in self.figures)
        yield from self.sizes

    def _sorted_apart(self) -> Iterator[str]:
        """What keeps lines apart in the order that was asked for."""
        column = self.selection.sort
        apart = pools(self.everything.results, column)
        if apart.count > 1:
            yield f"sorted by {column} among lines of the same {' and '.join(apart.split_by)}, which differ here"

    @property
    def _shown(self) -> set[str]:
        return {line.line for line in self.lines}


def make_view(
    collected: Collected | Results,
    *,
    filters: Sequence[str] = (),
    sort: str = "",
    wide: bool = False,
    sections: Sequence[str] = (),
) -> View:
    """Prepare results for being shown, with the published tables beside them if they were collected.

    Raises:
        ProblemsError: Everything that is wrong with the filters and the column to sort by.
    """
    if isinstance(collected, Results):
        collected = Collected(collected)
    results = collected.results
    selection = parse_selection(filters, sort, with_budgets(results).results)
    budgets = with_budgets(selection.rows(results))
    return View(budgets, selection, wide, tuple(sections), collected.figures, collected.sizes)
