"""Rankings for the page: how far each line is from the best of its ranking, with what is known of the difference."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from tamingplat.report.formats import number, with_error
from tamingplat.report.page.lines import TableLine
from tamingplat.report.ranking import Comparison, Ranking

SPAN = 200
"""Width of the pictures of intervals, in their own units."""

WORDS = {
    "best": "best",
    "tied": "not distinguishable from the best",
    "worse": "worse",
    "undecided": "undecided",
}


@dataclass(frozen=True)
class Interval:
    """A difference as a picture ``SPAN`` wide: its place and the ends of its interval, and where no difference would lie."""

    at: float
    low: float | None
    high: float | None
    none: float


@dataclass(frozen=True)
class RankedLine:
    """One line beside the best.

    Attributes:
        anchor: The fragment of its details.
        label: What tells it from the others.
        value: Its number over seeds.
        difference, interval, p: As text; empty where there is none.
        seeds: How many.
        verdict: A word for the style sheet.
        word: The verdict in words.
        basis: What it rests on.
        picture: The difference and its interval.
    """

    anchor: str
    label: str
    value: str
    difference: str
    interval: str
    p: str
    seeds: int
    verdict: str
    word: str
    basis: str
    picture: Interval


@dataclass(frozen=True)
class RankingTable:
    """One ranking.

    Attributes:
        title: Of which column.
        apart: What tells it from other rankings of its column.
        unit: Of the differences.
        better: In words.
        headline: Whether its column is one of the first that the table shows.
        held: What its lines share, as pairs of setting and value.
        lines: The best first.
    """

    title: str
    apart: str
    unit: str
    better: str
    headline: bool
    held: tuple[tuple[str, str], ...]
    lines: tuple[RankedLine, ...]

    @property
    def decided(self) -> bool:
        """Whether there is an interval or a p at all."""
        return any(line.interval or line.p for line in self.lines)


def ranking_tables(rankings: Sequence[Ranking], lines: Sequence[TableLine]) -> list[RankingTable]:
    """Every ranking in which there is something to compare."""
    line_of = {line.group: line for line in lines}
    told = [ranking for ranking in rankings if not ranking.alone]
    short = [(ranking.column.name, _apart(ranking, hashes=False)) for ranking in told]
    return [
        _table(ranking, line_of, _apart(ranking, hashes=short.count(title) > 1))
        for ranking, title in zip(told, short, strict=True)
    ]


def _apart(ranking: Ranking, *, hashes: bool) -> str:
    """What tells a ranking from others of its column; with hashes where words are not enough, as for namesakes."""
    held = {name: ranking.held[name] for name in ranking.split_by if ranking.held.get(name)}
    return ", ".join(f"{name} {value if hashes else _short(value)}" for name, value in held.items())


def _table(ranking: Ranking, line_of: Mapping[str, TableLine], apart: str) -> RankingTable:
    comparisons = [comparison for comparison in ranking.comparisons if comparison.group in line_of]
    ends = [0.0]
    for comparison in comparisons:
        ends += [comparison.difference, *(comparison.interval or ())]
    column = ranking.column
    return RankingTable(
        title=column.name,
        apart=apart,
        unit=column.unit,
        better={"lower": "lower is better", "higher": "higher is better"}.get(column.better, ""),
        headline=column.headline,
        held=tuple(ranking.held.items()),
        lines=tuple(
            _line(comparison, line_of[comparison.group], column.name, min(ends), max(ends)) for comparison in comparisons
        ),
    )


def _short(value: str) -> str:
    """A setting without the hash at its end, which stands in full below the heading."""
    return re.sub(r" #[0-9a-f]+$", "", value)


def _line(comparison: Comparison, line: TableLine, column: str, low: float, high: float) -> RankedLine:
    best = comparison.verdict == "best"
    p = comparison.adjusted_p
    interval = comparison.interval
    return RankedLine(
        anchor=line.anchor,
        label=line.label,
        value=with_error(line.summary.metrics.get(column)),
        difference="" if best else _signed(comparison.difference),
        interval="" if interval is None or best else f"{_signed(interval[0])} … {_signed(interval[1])}",
        p="" if p is None else ("< 0.001" if p < 0.001 else f"{p:.3f}"),
        seeds=comparison.seeds,
        verdict=comparison.verdict,
        word=WORDS[comparison.verdict],
        basis=comparison.basis,
        picture=_picture(comparison, low, high),
    )


def _signed(value: float) -> str:
    text = number(abs(value), 3)
    return text if value == 0 else f"{'+' if value > 0 else '−'}{text}"


def _picture(comparison: Comparison, low: float, high: float) -> Interval:
    span = (high - low) or 1.0

    def place(value: float) -> float:
        return round(8 + (SPAN - 16) * (value - low) / span, 1)

    interval = comparison.interval if comparison.verdict != "best" else None
    low_end, high_end = (None, None) if interval is None else (place(interval[0]), place(interval[1]))
    return Interval(place(comparison.difference), low_end, high_end, place(0.0))
