"""Every comparison with the best of a ranking: difference, interval, adjusted p-value, seeds, verdict and what it rests on."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from tamingplat.report.formats import number
from tamingplat.report.ranking import Comparison, Ranking
from tamingplat.report.summary import SummaryRow
from tamingplat.report.text_table import TextTable

_HEADINGS = ("column", "line", "minus the best", "95 % interval", "adjusted p", "seeds", "verdict", "basis")

_NOTES = (
    "minus the best: mean over seeds of the difference, in the column's unit; both trainings of a difference share their seed",
    "the interval is of one comparison; adjusted p is Holm's over the comparisons with the best of the ranking, and decides",
    "the best is chosen by the same numbers, which this correction does not pay for: of rankings of lines that do not differ, "
    "5 % call some line worse where there are two lines, and 9 % where there are six",
)


def difference_table(
    rankings: Sequence[Ranking], lines: Sequence[SummaryRow], label: Callable[[SummaryRow], str], *, wide: bool = False
) -> TextTable:
    """Lay out rankings one after the other; those of columns that are no headlines only where it is wide."""
    shown = {line.line: line for line in lines}
    told = [ranking for ranking in rankings if not ranking.alone and (wide or ranking.column.headline)]
    titles = _titles(told)
    cells = [line for ranking, title in zip(told, titles, strict=True) for line in _of_ranking(ranking, title, shown, label)]
    return TextTable("Differences from the best", _HEADINGS, tuple(cells), 2, notes=_NOTES)


def _titles(rankings: Sequence[Ranking]) -> list[str]:
    """What each ranking is of: its column and, of several rankings of a column, in which settings it differs."""

    def title(ranking: Ranking, *, hashes: bool) -> str:
        held = [ranking.held[name] for name in ranking.split_by if name in ranking.held]
        split = ", ".join(one if hashes else one.partition(" #")[0] for one in held)
        return f"{ranking.column.name}, {split}" if split else ranking.column.name

    short = [title(ranking, hashes=False) for ranking in rankings]
    return [one if short.count(one) == 1 else title(ranking, hashes=True) for one, ranking in zip(short, rankings, strict=True)]


def _of_ranking(
    ranking: Ranking, title: str, shown: dict[str, SummaryRow], label: Callable[[SummaryRow], str]
) -> Iterator[tuple[str, ...]]:
    for comparison in ranking.comparisons:
        if comparison.group in shown:
            yield (title, label(shown[comparison.group]), *_cells(comparison))


def _cells(comparison: Comparison) -> tuple[str, ...]:
    if comparison.verdict == "best":
        return ("", "", "", str(comparison.seeds), "best", "")
    interval, p = comparison.interval, comparison.adjusted_p
    return (
        _signed(comparison.difference),
        "" if interval is None else f"{_signed(interval[0])} … {_signed(interval[1])}",
        "" if p is None else "< 0.001" if p < 0.001 else f"{p:.3f}",
        str(comparison.seeds),
        comparison.verdict,
        comparison.basis,
    )


def _signed(value: float) -> str:
    return f"{'−' if value < 0 else '+' if value > 0 else ''}{number(abs(value), 3)}"
