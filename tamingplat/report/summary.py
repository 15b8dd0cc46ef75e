"""Rows of the table: the cells of one combination over its seeds, as mean and standard error."""

from __future__ import annotations

import math
from collections.abc import Hashable, Sequence
from dataclasses import dataclass, field

from tamingplat.report.lines import KINDS, joined, lines_of, marks, names_of, trainings
from tamingplat.report.statistics import of_sample
from tamingplat.stages import ResultRow, Results, Tuning

__all__ = ["KINDS", "SummaryRow", "Value", "over_seeds", "summarise", "value_of"]


@dataclass(frozen=True)
class Value:
    """A number over seeds.

    Attributes:
        mean: Over the seeds that are done.
        standard_error: Of the mean, the seed being the unit; ``None`` for a single seed.
        seeds: How many independent ones there were.
    """

    mean: float
    standard_error: float | None
    seeds: int


@dataclass(frozen=True)
class SummaryRow:
    """One line of the table. Tokenizer artifacts are never averaged over, only the seeds of priors and samples.

    Attributes:
        kind: ``cell``, ``real`` or ``reconstruction``.
        manifest: Name of the manifest that asks for it, the first of several.
        names: Names in the manifest by kind of component; empty where a row has none.
        components: Installed components by kind.
        tokenizer_seed: Of the tokenizer.
        seeds: The seeds that are in it.
        status: ``done`` when every seed is; else the first other status.
        reason: Why it is not done.
        metrics, cost: Numbers by name.
        trained_on: Columns that are not to be ranked, since the tokenizer was trained on a relative of their network.
        line: What ``line_of`` calls its rows.
        tuning: How many settings were tried, by kind.
        averaged: Whether the prior's weights are an exponential moving average; ``None`` where nothing was trained.
        copies: Seeds that are no training of their own, but the same artifact as another one.
        notes: What is to be known of its numbers.
    """

    kind: str
    manifest: str
    names: dict[str, str]
    components: dict[str, str]
    tokenizer_seed: int | None
    seeds: tuple[int, ...]
    status: str
    reason: str
    metrics: dict[str, Value]
    cost: dict[str, Value]
    trained_on: tuple[str, ...] = field(default=())
    line: str = ""
    tuning: dict[str, Tuning] = field(default_factory=dict)
    averaged: bool | None = None
    copies: tuple[int, ...] = ()
    notes: tuple[str, ...] = ()


def over_seeds(values: Sequence[float]) -> Value:
    """Mean and standard error of the values of several seeds."""
    if len(values) == 1:
        return Value(values[0], None, 1)
    estimate = of_sample(values)
    return Value(estimate.mean, estimate.standard_error, len(values))


def value_of(rows: Sequence[ResultRow], column: str) -> Value:
    """A metric of a line over its independent trainings: what one training was measured at twice is averaged first."""
    return over_seeds([mean([row.metrics[column] for row in rows]) for rows in trainings(rows, column)])


def mean(values: Sequence[float]) -> float:
    """Their mean, exactly rounded; a single value stays what it is."""
    return math.fsum(values) / len(values)


def summarise(results: Results) -> list[SummaryRow]:
    """One line per combination, in the order of the manifest; reference rows last.

    Rows of one name in different manifests are different lines unless the same content is behind them.
    """
    return [_summary(line, rows) for line, rows in lines_of(results).items()]


def _cost(rows: Sequence[ResultRow], name: str) -> Value:
    """A cost over the artifacts that it was paid for: what several rows share was paid once."""
    part = next((kind for kind in ("prior", "tokenizer") if name.startswith(f"{kind}_")), "samples")
    found: dict[Hashable, float] = {}
    for index, row in enumerate(rows):
        if name in row.cost:
            found.setdefault(row.artifacts.get(part, index), row.cost[name])
    return over_seeds(list(found.values()))


def _summary(line: str, rows: Sequence[ResultRow]) -> SummaryRow:
    first = rows[0]
    unfinished = [row for row in rows if row.status != "done"]
    done = [row for row in rows if row.seed is not None and row.status == "done"]
    copies = [row for same in joined(done, marks) for row in same[1:]]
    averaged = [row.machine["ema"] is not None for row in rows if "ema" in row.machine]
    return SummaryRow(
        kind=first.kind,
        manifest=first.manifest,
        names=names_of(first),
        components=first.components,
        tokenizer_seed=first.tokenizer_seed,
        seeds=tuple(row.seed for row in done if row.seed is not None),
        status=unfinished[0].status if unfinished else "done",
        reason=unfinished[0].reason if unfinished else "",
        metrics={name: value_of(rows, name) for name in dict.fromkeys(name for row in rows for name in row.metrics)},
        cost={name: _cost(rows, name) for name in dict.fromkeys(name for row in rows for name in row.cost)},
        trained_on=tuple(dict.fromkeys(name for row in rows for name in row.trained_on)),
        line=line,
        tuning=first.tuning,
        averaged=averaged[0] if averaged else None,
        copies=tuple(row.seed for row in copies if row.seed is not None),
        notes=tuple(dict.fromkeys(note for row in rows for note in row.notes)),
    )
