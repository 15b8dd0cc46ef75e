"""Learning curves of priors, and what they say at equal steps, equal time and equal training operations.

A number is read off a curve, between two validations in proportion. Where the learning rate decays, a training that was planned
to end there would have done better: curves of one schedule and length are compared fairly at their end, others not quite.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Literal

import numpy as np

from tamingplat.report.comparability import settings_of
from tamingplat.report.lines import line_of, names_of
from tamingplat.stages import ResultRow, Results

Budget = Literal["steps", "seconds", "flops"]

BUDGETS: tuple[Budget, ...] = ("steps", "seconds", "flops")


@dataclass(frozen=True)
class CurvePoint:
    """A validation during training.

    Attributes:
        steps: Optimizer steps taken.
        images: Training images seen.
        seconds: Training seconds, without validations and checkpoints.
        flops: Floating-point operations of training; ``None`` where they were not counted.
        nll: Mean over validation images, nats per token.
    """

    steps: int
    images: int
    seconds: float
    flops: float | None
    nll: float


@dataclass(frozen=True)
class LearningCurve:
    """The curve of one trained prior.

    Attributes:
        group: The line of the table that it belongs to; of several that differ in the sampler alone, the first.
        names: Names in the manifest by kind of component.
        seed: Of the prior.
        machine: Host, device, threads, processes of the training, and whether it was ``contended``.
        points: In order of time.
        held: What a likelihood has to share with others to be compared with them, by setting: hashes, or the values themselves.
        prior: Content key of the trained prior.
        lines: Every line of the table that it belongs to.
    """

    group: str
    names: dict[str, str]
    seed: int
    machine: dict[str, Any]
    points: tuple[CurvePoint, ...]
    held: dict[str, str] = field(default_factory=dict)
    prior: str = ""
    lines: tuple[str, ...] = ()


@dataclass(frozen=True)
class EqualBudget:
    """Curves at one budget.

    Attributes:
        budget: What is equal.
        at: How much of it: the most that every compared curve has reached; ``None`` where there is nothing to compare.
        nll: Of each curve, in their order, nats per token, interpolated between validations; ``None`` where it has none.
        reasons: Of each curve, why it has none; empty where it has one.
    """

    budget: Budget
    at: float | None
    nll: tuple[float | None, ...]
    reasons: tuple[str, ...]


def learning_curves(results: Results) -> list[LearningCurve]:
    """The curve of every trained prior of the table, each once, in the order of the rows.

    A prior all of whose rows failed before it had a likelihood has none: what was found to be no likelihood at all, such as one
    that beats its known source, is compared with nothing.
    """
    rows_of: dict[Hashable, list[ResultRow]] = {}
    for row in results.rows:
        if row.kind == "cell" and row.seed is not None and any("total" in point.terms for point in row.curve):
            rows_of.setdefault(row.artifacts.get("prior") or (line_of(row), row.seed), []).append(row)
    return [_curve(rows) for rows in rows_of.values() if not all(map(_failed, rows))]


def _curve(rows: Sequence[ResultRow]) -> LearningCurve:
    """The curve of one prior, from the rows that it is in."""
    row = rows[0]
    assert row.seed is not None
    points = tuple(
        CurvePoint(point.step, point.images, point.seconds, point.flops, point.terms["total"])
        for point in row.curve
        if "total" in point.terms
    )
    lines = tuple(dict.fromkeys(map(line_of, rows)))
    machine, prior = row.machine.get("training", {}), row.artifacts.get("prior", "")
    return LearningCurve(lines[0], names_of(row), row.seed, machine, points, _held(row), prior, lines)


def _failed(row: ResultRow) -> bool:
    return row.status == "failed" and not any(column.startswith("nll") for column in row.metrics)


def _held(row: ResultRow) -> dict[str, str]:
    """A likelihood's settings, and what else the points of a curve depend on."""
    likelihood = {name: setting.identity for name, setting in settings_of(row, "nll").items() if name not in ("metric", "N")}
    settings = {name: row.settings.get(name, "") for name in ("validation_images", "likelihood")}
    return {**likelihood, "N": settings["validation_images"], "likelihood": settings["likelihood"] or "exact"}


def comparable(curves: Sequence[LearningCurve]) -> list[list[LearningCurve]]:
    """Curves that may be compared, together: of the same codes, condition and validation images."""
    pools: dict[Hashable, list[LearningCurve]] = {}
    for curve in curves:
        pools.setdefault(tuple(sorted(curve.held.items())), []).append(curve)
    return list(pools.values())


def at_equal(curves: Sequence[LearningCurve], budget: Budget) -> EqualBudget:
    """Compare curves at the largest budget that all of them reached.

    Seconds are compared only between trainings on one host and device with as many threads and processes, none of which was
    contended: of several machines, the one with most lines. Operations always are, where they were counted.

    Args:
        curves: Such as ``comparable`` gives: those whose likelihoods may be compared.
        budget: What is to be equal.
    """
    reasons = [_refusal(curve, budget) for curve in curves]
    if budget == "seconds":
        chosen = _machine_with_most(curve for curve, reason in zip(curves, reasons, strict=True) if not reason)
        reasons = [
            reason or ("" if _machine(curve) == chosen else "another machine")
            for curve, reason in zip(curves, reasons, strict=True)
        ]
    compared = [curve for curve, reason in zip(curves, reasons, strict=True) if not reason]
    if len({curve.group for curve in compared}) < 2:
        alone = tuple(reason or "nothing to compare with" for reason in reasons)
        return EqualBudget(budget, None, (None,) * len(curves), alone)
    at = min(_spent(curve, budget)[-1] for curve in compared)
    values: list[float | None] = []
    for index, curve in enumerate(curves):
        if not reasons[index] and _spent(curve, budget)[0] > at:
            reasons[index] = "validated later only"
        values.append(None if reasons[index] else value_at(curve, budget, at))
    return EqualBudget(budget, at, tuple(values), tuple(reasons))


def value_at(curve: LearningCurve, budget: Budget, at: float) -> float:
    """A curve's NLL where ``at`` was spent, in proportion between the validations around it."""
    return float(np.interp(at, _spent(curve, budget), [point.nll for point in curve.points]))


def _spent(curve: LearningCurve, budget: Budget) -> list[float]:
    return [_SPENT[budget](point) for point in curve.points]


def _flops(point: CurvePoint) -> float:
    assert point.flops is not None, "curves without operations are not asked for them"
    return point.flops


_SPENT: Mapping[Budget, Callable[[CurvePoint], float]] = MappingProxyType(
    {"steps": lambda point: point.steps, "seconds": lambda point: point.seconds, "flops": _flops}
)


def _refusal(curve: LearningCurve, budget: Budget) -> str:
    if budget == "flops" and any(point.flops is None for point in curve.points):
        return "not counted"
    if budget == "seconds" and curve.machine.get("contended", True):
        return "contended" if "contended" in curve.machine else "machine unknown"
    return ""


def _machine(curve: LearningCurve) -> tuple[str, ...]:
    return tuple(str(curve.machine.get(name)) for name in ("host", "device", "threads", "processes"))


def _machine_with_most(curves: Iterable[LearningCurve]) -> tuple[str, ...] | None:
    """The machine on which most lines were trained, then most curves."""
    lines: dict[tuple[str, ...], list[str]] = {}
    for curve in curves:
        lines.setdefault(_machine(curve), []).append(curve.group)
    return max(lines, key=lambda machine: (len(set(lines[machine])), len(lines[machine]), machine), default=None)
