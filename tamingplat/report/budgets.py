"""Likelihoods at equal steps, equal time and equal training operations as columns of the table (the paper's Tab. 1)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType

from tamingplat.report.formats import count, duration
from tamingplat.report.learning_curves import (
    BUDGETS,
    Budget,
    EqualBudget,
    LearningCurve,
    at_equal,
    comparable,
    learning_curves,
)
from tamingplat.report.lines import line_of
from tamingplat.stages import Column, Instrument, ResultRow, Results

COLUMNS: Mapping[Budget, Column] = MappingProxyType(
    {
        "steps": Column(
            "nll at equal steps",
            "nats/token",
            "lower",
            "Validation NLL, read off the learning curve where as many steps were taken as all compared priors took.",
            False,
        ),
        "seconds": Column(
            "nll at equal time",
            "nats/token",
            "lower",
            "The same at equal training seconds: on one machine with as many threads, and only where nothing else ran there.",
            False,
        ),
        "flops": Column(
            "nll at equal FLOPs",
            "nats/token",
            "lower",
            "The same at equal floating-point operations of training.",
            False,
        ),
    }
)


@dataclass(frozen=True)
class BudgetTable:
    """Results whose rows have likelihoods at equal budgets beside their metrics.

    Attributes:
        results: With the columns of ``COLUMNS`` that have something to compare, behind the others.
        columns: Those columns.
        reasons: Why a row has no number in one of them, by trained prior and column: ``contended``, ``another machine``, …
        notes: What was compared at how much, in words.
    """

    results: Results
    columns: tuple[Column, ...] = ()
    reasons: Mapping[tuple[str, str], str] = field(default_factory=dict)
    notes: tuple[str, ...] = ()

    def reason(self, row: ResultRow, column: str) -> str:
        """Why a row has no number in a column; empty where it has one, or has no curve."""
        return self.reasons.get((_prior(row), column), "")


def with_budgets(results: Results) -> BudgetTable:
    """Add likelihoods at equal budgets to every row whose curve can be compared with another line's.

    Curves are compared where likelihoods are: of one tokenizer artifact, condition and split. Each such pool has budgets of its
    own, and its rows are ranked among themselves.
    """
    pools = [pool for pool in comparable(learning_curves(results)) if len({curve.group for curve in pool}) > 1]
    values: dict[tuple[str, str], tuple[float, str]] = {}
    reasons: dict[tuple[str, str], str] = {}
    amounts: dict[str, list[str]] = {}
    found: set[str] = set()
    for pool in pools:
        kind = f"{pool[0].held.get('likelihood', '')} of {pool[0].held.get('N', '')} images"
        for budget in BUDGETS:
            equal, column = at_equal(pool, budget), COLUMNS[budget].name
            found.add(column)
            for curve, nll, reason in zip(pool, equal.nll, equal.reasons, strict=True):
                if nll is not None:
                    values[_key(curve), column] = (nll, kind)
                elif reason:
                    reasons[_key(curve), column] = reason
            amounts.setdefault(column, []).append(_told(pool, equal, several=len(pools) > 1))
    columns = tuple(column for column in COLUMNS.values() if column.name in found)
    notes = [f"{column}: {'; '.join(dict.fromkeys(told))}" for column, told in amounts.items()]
    rows = tuple(_with_values(row, columns, values) for row in results.rows)
    return BudgetTable(Results(results.name, rows, (*results.columns, *columns)), columns, reasons, tuple(notes))


def _key(curve: LearningCurve) -> str:
    return curve.prior or f"{curve.group} seed {curve.seed}"


def _prior(row: ResultRow) -> str:
    return row.artifacts.get("prior") or f"{line_of(row)} seed {row.seed}"


def _with_values(row: ResultRow, columns: tuple[Column, ...], values: Mapping[tuple[str, str], tuple[float, str]]) -> ResultRow:
    own = {column.name: values[_prior(row), column.name] for column in columns if (_prior(row), column.name) in values}
    if row.kind != "cell" or not own:
        return row
    return replace(
        row,
        metrics={**row.metrics, **{name: nll for name, (nll, _) in own.items()}},
        sources={**row.sources, **{name: f"{_prior(row)} {name}" for name in own}},
        instruments={**row.instruments, **{name: Instrument("prior", pool) for name, (_, pool) in own.items()}},
    )


def _told(pool: list[LearningCurve], equal: EqualBudget, *, several: bool) -> str:
    """At how much a pool was compared, or why it was not."""
    whose = f" on {pool[0].names['tokenizer']}" if several else ""
    if equal.at is None:
        return f"nothing to compare{whose} ({', '.join(dict.fromkeys(equal.reasons))})"
    return f"at {amount(equal.budget, equal.at)}{whose}"


def amount(budget: Budget, spent: float) -> str:
    """How much of a budget, in words."""
    match budget:
        case "steps":
            return f"{spent:g} steps"
        case "seconds":
            return f"{duration(spent)} of training"
        case "flops":
            return f"{count(spent)} operations of training"
