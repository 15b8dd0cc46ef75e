"""Which lines of the table can be told apart from the best, column by column.

Seeds are the unit: a difference is a mean over seeds of differences between two trainings that share a seed, and so initial
weights and the order of their batches. Its interval is Student's t over seeds. Intervals over images alone speak of the trained
models at hand, decide nothing about the methods, and say so. Tokenizers are compared over their own seeds, by what they do to
images; a likelihood is never averaged over tokenizers.

The best of a ranking is chosen by the numbers that it is then compared with. Holm's correction over the comparisons with it
does not pay for that choice: among lines that do not differ at all, with six seeds, some line is called worse in 5 % of the
rankings of two lines, 7 % of three and 9 % of six (simulated; ``test_report_ranking.py`` holds it to that).
"""

from __future__ import annotations

import math
from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from tamingplat.report.comparability import Setting, in_words, settings_of
from tamingplat.report.lines import joined, lines_of, marks, measurements, seed_of, trainings
from tamingplat.report.statistics import Estimate, holm, of_sample, of_two_samples
from tamingplat.report.summary import mean, value_of
from tamingplat.stages import Column, ResultRow, Results

Verdict = Literal["best", "tied", "worse", "undecided"]

ALPHA = 0.05
"""Probability of a wrong "worse" that Holm's correction keeps to, over the comparisons with the best."""

ENOUGH_SEEDS = 6
"""Below, an interval across zero says that nobody knows, and not that there is no difference."""

_NORMAL = 1.959964
"""Standard errors on either side of a normal interval that covers 95 %."""

ONE_MODEL = "these trained models only"


@dataclass(frozen=True)
class Comparison:
    """One line beside the best of its ranking.

    Attributes:
        group: The line, as ``line_of`` names it: the rows' ``group``.
        difference: This line minus the best, in the column's unit: the mean over seeds.
        interval: Its 95 % interval, for this comparison alone; ``None`` where there is nothing to make one from.
        adjusted_p: Holm's, over the comparisons with the best of this ranking; ``None`` for the best, and where seeds decide
            nothing.
        seeds: How many independent trainings there are of it, or of it and the best together.
        verdict: ``best``; ``tied``, not distinguishable from it; ``worse``; ``undecided``, for want of seeds.
        basis: What the interval is over: ``t interval over 6 seeds``, ``these trained models only``, …
    """

    group: str
    difference: float
    interval: tuple[float, float] | None
    adjusted_p: float | None
    seeds: int
    verdict: Verdict
    basis: str


@dataclass(frozen=True)
class Ranking:
    """Lines that may be compared by one column.

    Attributes:
        column: The column.
        held: What all of them share, by setting, in words.
        split_by: The settings in which they differ from other rankings of the column.
        comparisons: One for each line, the best first, then in order of the difference.
    """

    column: Column
    held: dict[str, str]
    split_by: tuple[str, ...]
    comparisons: tuple[Comparison, ...]

    @property
    def alone(self) -> bool:
        """Whether there is nothing to compare: a line whose settings no other has, or lines that share one measurement."""
        return all(comparison.verdict == "best" for comparison in self.comparisons)


@dataclass(frozen=True)
class _Entrant:
    """What takes part once: one line, or several that share a measurement, as samplers share a likelihood, or are the seeds of
    one tokenizer.
    """

    groups: tuple[str, ...]
    rows: tuple[ResultRow, ...]
    value: float


def rankings(results: Results) -> list[Ranking]:
    """Every ranking of every column that ranks, in the order of the columns.

    Rows of real images are no entrants. Reconstructions are ranked among themselves, and numbers of tokenizers on their rows
    alone. A ranking in which there is nothing to compare is there too, so that it can be said what keeps its line apart.
    """
    found: list[Ranking] = []
    lines = lines_of(results)
    for column in results.columns:
        if not column.ranks or not column.better:
            continue
        for kind in ("cell", "reconstruction"):
            found += _of_column(column, {line: _entrants(rows, kind, column) for line, rows in lines.items()})
    return found


def _entrants(rows: Sequence[ResultRow], kind: str, column: Column) -> list[ResultRow]:
    def takes_part(row: ResultRow) -> bool:
        of_tokenizer = column.name in row.instruments and row.instruments[column.name].measures == "tokenizer"
        return row.kind == kind and column.name not in row.trained_on and not (kind == "cell" and of_tokenizer)

    return measurements([row for row in rows if takes_part(row)], column.name)


def _of_column(column: Column, lines: dict[str, list[ResultRow]]) -> list[Ranking]:
    groups: dict[tuple[tuple[str, str], ...], dict[str, list[ResultRow]]] = {}
    held: dict[tuple[tuple[str, str], ...], dict[str, Setting]] = {}
    for line, rows in lines.items():
        for row in rows:
            settings = settings_of(row, column.name)
            key = tuple((name, setting.identity) for name, setting in settings.items())
            held.setdefault(key, settings)
            groups.setdefault(key, {}).setdefault(line, []).append(row)
    return [
        Ranking(column, in_words(held[key]), _split_by(key, list(groups)), _compare(column, members))
        for key, members in groups.items()
    ]


def _split_by(key: tuple[tuple[str, str], ...], keys: Sequence[tuple[tuple[str, str], ...]]) -> tuple[str, ...]:
    own = dict(key)
    return tuple(name for name in own if any(dict(other).get(name) != own[name] for other in keys))


def _compare(column: Column, lines: dict[str, list[ResultRow]]) -> tuple[Comparison, ...]:
    entrants = _merge(column.name, lines)
    sign = 1 if column.better == "lower" else -1
    # By the name of the line where two are exactly equal, so that the order of the rows decides nothing.
    ordered = sorted(entrants, key=lambda one: (sign * one.value, min(one.groups)))
    best, others = ordered[0], ordered[1:]
    compared = [_difference(column.name, other, best) for other in others]
    adjusted = iter(holm([p for _, p in compared if p is not None]))
    comparisons = [
        Comparison(group, 0.0, None, None, len(trainings(best.rows, column.name)), "best", "") for group in sorted(best.groups)
    ]
    for other, (difference, p) in zip(others, compared, strict=True):
        adjusted_p = None if p is None else next(adjusted)
        verdict = _verdict(adjusted_p, difference.seeds, behind=sign * difference.mean > 0)
        comparisons += [
            Comparison(group, difference.mean, difference.interval, adjusted_p, difference.seeds, verdict, difference.basis)
            for group in sorted(other.groups)
        ]
    return tuple(comparisons)


def _verdict(adjusted_p: float | None, seeds: int, *, behind: bool) -> Verdict:
    """The verdict on a line that is ``behind`` the best over the seeds of the comparison, or is not.

    Where the lines have different seeds, the best over its own can be beaten on those that both have: nothing is decided then.
    """
    if adjusted_p is None or (adjusted_p < ALPHA and not behind):
        return "undecided"
    if adjusted_p < ALPHA:
        return "worse"
    return "tied" if seeds >= ENOUGH_SEEDS else "undecided"


def _merge(column: str, lines: dict[str, list[ResultRow]]) -> list[_Entrant]:
    """Lines with the same measurements are one entrant: a likelihood does not depend on the sampler. So are the reconstructions
    of one tokenizer under several seeds.
    """
    found: dict[Hashable, tuple[list[str], list[ResultRow]]] = {}
    for line, members in lines.items():
        sources = frozenset(row.sources.get(column, "") for row in members)
        recipe = members[0].settings.get("recipe")
        groups, rows = found.setdefault(recipe or (line if "" in sources else sources), ([], []))
        groups.append(line)
        rows += members
    of_column = [(groups, measurements(rows, column)) for groups, rows in found.values()]
    return [_Entrant(tuple(groups), tuple(rows), value_of(rows, column).mean) for groups, rows in of_column]


@dataclass(frozen=True)
class _Difference:
    mean: float
    interval: tuple[float, float] | None
    seeds: int
    basis: str


def _difference(column: str, line: _Entrant, best: _Entrant) -> tuple[_Difference, float | None]:
    """A line minus the best, and the p-value over seeds where there are several."""
    pairs = _pairs(line.rows, best.rows)
    if len(pairs) > 1:
        estimate = of_sample([_mean(own, column) - _mean(others, column) for own, others in pairs])
        return _over_seeds(estimate, len(pairs), f"t interval over {len(pairs)} seeds")
    sides = [[_mean(rows, column) for rows in trainings(one.rows, column)] for one in (line, best)]
    if min(map(len, sides)) > 1:
        counts = f"{len(sides[0])} and {len(sides[1])} seeds"
        return _over_seeds(of_two_samples(*sides), min(map(len, sides)), f"Welch's t interval over {counts}, not paired")
    return _of_these_models(column, line, best), None


def _over_seeds(estimate: Estimate, seeds: int, basis: str) -> tuple[_Difference, float]:
    return _Difference(estimate.mean, estimate.interval(), seeds, basis), estimate.p_value()


def _pairs(line: Sequence[ResultRow], best: Sequence[ResultRow]) -> list[tuple[list[ResultRow], list[ResultRow]]]:
    """Trainings of both that share a seed. Seeds between which either side is the same training are one pair."""
    by_seed = {seed_of(row): row for row in best if seed_of(row) is not None}
    shared = [(row, by_seed[seed_of(row)]) for row in line if seed_of(row) in by_seed]

    def marks_of(pair: tuple[ResultRow, ResultRow]) -> set[Hashable]:
        return {(side, mark) for side, row in enumerate(pair) for mark in marks(row)}

    return [([own for own, _ in group], [other for _, other in group]) for group in joined(shared, marks_of)]


def _mean(rows: Sequence[ResultRow], column: str) -> float:
    return mean([row.metrics[column] for row in measurements(rows, column)])


def _of_these_models(column: str, line: _Entrant, best: _Entrant) -> _Difference:
    """What can be said of the models at hand, where seeds are too few to say anything of others."""
    difference = line.value - best.value
    own, other = _per_image(column, line.rows), _per_image(column, best.rows)
    if own is not None and other is not None and len(own) > 1:
        estimate = of_sample((own - other).tolist())
        return _Difference(difference, estimate.interval(), 1, f"{ONE_MODEL}: t interval over {len(own)} images")
    error, other_error = (_standard_error(column, one.rows) for one in (line, best))
    if error is not None and other_error is not None:
        half = _NORMAL * math.hypot(error, other_error)
        interval = (difference - half, difference + half)
        return _Difference(difference, interval, 1, f"{ONE_MODEL}: normal interval of the estimator's own standard errors")
    return _Difference(difference, None, 1, f"{ONE_MODEL}: no interval")


def _per_image(column: str, rows: Sequence[ResultRow]) -> npt.NDArray[np.float64] | None:
    """float64 (n,), averaged over trainings; ``None`` where a row has none."""
    sets = [[row.per_image.get(column) for row in same] for same in trainings(rows, column)]
    if any(values is None for same in sets for values in same):
        return None
    of_trainings = [np.mean(np.stack([values for values in same if values is not None]), axis=0) for same in sets]
    averaged: npt.NDArray[np.float64] = np.mean(np.stack(of_trainings), axis=0)
    return averaged


def _standard_error(column: str, rows: Sequence[ResultRow]) -> float | None:
    """Of a line with a single measurement; several are averaged, and their errors are not independent."""
    errors = [row.standard_errors.get(column) for row in measurements(rows, column)]
    return errors[0] if len(errors) == 1 else None
