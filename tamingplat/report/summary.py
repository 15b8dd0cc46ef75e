"""Rows of the table: the cells of one combination over its seeds, as mean and standard error."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

from tamingplat.stages import ResultRow, Results

KINDS = ("dataset", "tokenizer", "prior", "ordering", "conditioner", "sampler")


@dataclass(frozen=True)
class Value:
    """A number over seeds.

    Attributes:
        mean: Over the seeds that are done.
        standard_error: Of the mean, the seed being the unit; ``None`` for a single seed.
        seeds: How many there were.
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


def over_seeds(values: Sequence[float]) -> Value:
    """Mean and standard error of the values of several seeds."""
    mean = math.fsum(values) / len(values)
    if len(values) == 1:
        return Value(mean, None, 1)
    variance = math.fsum((value - mean) ** 2 for value in values) / (len(values) - 1)
    return Value(mean, math.sqrt(variance / len(values)), len(values))


def summarise(results: Results) -> list[SummaryRow]:
    """One line per combination, in the order of the manifest; reference rows last.

    Rows of one name in different manifests are different lines unless the same content is behind them.
    """
    groups: dict[tuple[object, ...], list[ResultRow]] = {}
    for row in results.rows:
        names = (row.manifest, *(_name(row, kind) for kind in KINDS), row.tokenizer_seed)
        groups.setdefault((row.kind, row.group or names), []).append(row)
    return [_summary(rows) for rows in groups.values()]


def _name(row: ResultRow, kind: str) -> str:
    return {
        "dataset": row.dataset,
        "tokenizer": row.tokenizer,
        "prior": row.prior,
        "ordering": row.ordering,
        "conditioner": row.conditioner,
        "sampler": row.sampler,
    }[kind]


def _summary(rows: Sequence[ResultRow]) -> SummaryRow:
    first = rows[0]
    unfinished = [row for row in rows if row.status != "done"]

    def gather(numbers: Sequence[dict[str, float]], sources: Sequence[dict[str, str]]) -> dict[str, Value]:
        gathered: dict[str, dict[str, float]] = {}
        for seed, (values, origins) in enumerate(zip(numbers, sources, strict=True)):
            for name, value in values.items():
                # One measurement that several rows share, of their tokenizer say, counts once.
                gathered.setdefault(name, {})[origins.get(name, str(seed))] = value
        return {name: over_seeds(list(values.values())) for name, values in gathered.items()}

    return SummaryRow(
        kind=first.kind,
        manifest=first.manifest,
        names={kind: _name(first, kind) for kind in KINDS},
        components=first.components,
        tokenizer_seed=first.tokenizer_seed,
        seeds=tuple(row.seed for row in rows if row.seed is not None and row.status == "done"),
        status=unfinished[0].status if unfinished else "done",
        reason=unfinished[0].reason if unfinished else "",
        metrics=gather([row.metrics for row in rows], [row.sources for row in rows]),
        cost=gather([row.cost for row in rows], [{} for _ in rows]),
        trained_on=tuple(dict.fromkeys(name for row in rows for name in row.trained_on)),
    )
