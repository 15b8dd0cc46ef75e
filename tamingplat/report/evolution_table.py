"""How validation likelihoods evolve with training, line by line (the paper's Fig. 30)."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator, Sequence

from tamingplat.report.formats import with_error
from tamingplat.report.learning_curves import LearningCurve, comparable, learning_curves, value_at
from tamingplat.report.lines import joined
from tamingplat.report.summary import SummaryRow, over_seeds
from tamingplat.report.text_table import TextTable
from tamingplat.stages import Results

_MOST = 8
"""Columns of steps."""


def evolution_tables(results: Results, lines: Sequence[SummaryRow], label: Callable[[SummaryRow], str]) -> Iterator[TextTable]:
    """A table for every pool of curves that may be compared: mean and standard error over seeds at up to eight steps.

    A prior that is sampled in several ways is in several lines, and has one curve: it stands in the first of those shown.
    """
    shown = {line.line: line for line in lines}
    pools = comparable([curve for curve in learning_curves(results) if any(line in shown for line in curve.lines)])
    for pool in pools:
        steps = _steps(pool)
        of_line: dict[str, list[LearningCurve]] = {}
        for curve in pool:
            of_line.setdefault(next(line for line in curve.lines if line in shown), []).append(curve)
        cells = []
        for line, curves in of_line.items():
            trainings = joined(curves, _marks)
            cells.append((label(shown[line]), *(_at(trainings, step) for step in steps), str(len(trainings))))
        tokenizer = f", {pool[0].names['tokenizer']}" if len(pools) > 1 else ""
        headings = ("line", *(f"{step} steps" for step in steps), "seeds")
        note = "validation NLL, nats/token, between validations in proportion; ± is the standard error over seeds"
        yield TextTable(f"Validation NLL along training{tokenizer}", headings, tuple(cells), 1, notes=(note,))


def _marks(curve: LearningCurve) -> set[Hashable]:
    """What no two independent trainings have in common, as ``report.lines.marks`` says of rows."""
    values = tuple(point.nll for point in curve.points)
    return {("values", values), *([("artifact", curve.prior)] if curve.prior else [])}


def _steps(pool: Sequence[LearningCurve]) -> list[int]:
    """Steps of the curve that was validated most often, evenly thinned, as far as any curve goes."""
    longest = max(pool, key=lambda curve: (curve.points[-1].steps, len(curve.points)))
    steps = [point.steps for point in longest.points]
    if len(steps) <= _MOST:
        return steps
    return list(dict.fromkeys(steps[round(index * (len(steps) - 1) / (_MOST - 1))] for index in range(_MOST)))


def _at(trainings: Sequence[Sequence[LearningCurve]], step: int) -> str:
    """A line's likelihood at a step over those of its trainings that came so far; how many, where they are not all."""
    reached = [curves[0] for curves in trainings if curves[0].points[0].steps <= step <= curves[0].points[-1].steps]
    if not reached:
        return ""
    told = with_error(over_seeds([value_at(curve, "steps", step) for curve in reached]))
    return told if len(reached) == len(trainings) else f"{told} ({len(reached)} of {len(trainings)})"
