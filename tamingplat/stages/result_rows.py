"""The rows of a table of results, and one table of several.

A row can be read without the plan that it comes from.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal

Status = Literal["done", "failed", "refused", "missing"]
_SEVERITY: tuple[Status, ...] = ("done", "missing", "refused", "failed")


@dataclass(frozen=True)
class Column:
    """How a metric's column is read: unit, direction, description, and whether a narrow table shows it."""

    name: str
    unit: str
    better: str
    description: str
    headline: bool


@dataclass(frozen=True)
class ResultRow:
    """One row of the table.

    Attributes:
        kind: ``cell``, ``real`` or ``reconstruction``.
        dataset, tokenizer, prior, ordering, conditioner, sampler: Names in the manifest; empty where a row has none.
        components: The installed component behind each name, by kind.
        manifest: Name of the manifest that asks for it.
        group: What is the same in all seeds of the row: a hash of the content keys and settings behind it.
        seed: Of the prior and its samples; ``None`` for reference rows.
        tokenizer_seed: Of the tokenizer.
        status: ``done``, ``failed``, ``refused`` or ``missing``.
        reason: Why it is not done.
        metrics: Numbers by column name.
        sources: The content key of the evaluation that each number comes from: equal keys are one measurement.
        trained_on: Columns whose network, or a relative of it, was in the tokenizer's loss: not to be ranked.
        cost: Numbers by name: parameters, seconds, FLOPs, bytes.
        evaluation: What it was measured on: split of likelihoods and reconstructions, reference split of distances with a hash
            of its images and preprocessing, number of samples.
        machine: Host, device and threads of the training and of the sampling.
        artifacts: Content keys of tokenizer, prior and samples, and of a condition's own tokenizers by their place in its
            settings: ``conditioner.tokenizer``.
    """

    kind: Literal["cell", "real", "reconstruction"]
    dataset: str
    tokenizer: str = ""
    prior: str = ""
    ordering: str = ""
    conditioner: str = ""
    sampler: str = ""
    components: dict[str, str] = field(default_factory=dict)
    manifest: str = ""
    group: str = ""
    seed: int | None = None
    tokenizer_seed: int | None = None
    status: Status = "done"
    reason: str = ""
    metrics: dict[str, float] = field(default_factory=dict)
    sources: dict[str, str] = field(default_factory=dict)
    trained_on: tuple[str, ...] = ()
    cost: dict[str, float] = field(default_factory=dict)
    evaluation: dict[str, Any] = field(default_factory=dict)
    machine: dict[str, Any] = field(default_factory=dict)
    artifacts: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Results:
    """All rows of a manifest and how their columns are read, in the order of the manifest's metrics."""

    name: str
    rows: tuple[ResultRow, ...]
    columns: tuple[Column, ...]


def join_results(results: Sequence[Results]) -> Results:
    """The rows of several manifests in one table. What several of them ask for is one row, with the metrics of all."""
    columns = {column.name: column for one in results for column in one.columns}
    rows: dict[tuple[object, ...], ResultRow] = {}
    for row in (row for one in results for row in one.rows):
        # A refused cell has no group: it stays the row of its manifest.
        key = (row.kind, row.group or (row.manifest, len(rows)), row.seed)
        rows[key] = _united(rows[key], row) if key in rows else row
    return Results(", ".join(one.name for one in results), tuple(rows.values()), tuple(columns.values()))


def _united(row: ResultRow, other: ResultRow) -> ResultRow:
    worse = max(row, other, key=lambda one: _SEVERITY.index(one.status))
    return replace(
        row,
        metrics={**other.metrics, **row.metrics},
        sources={**other.sources, **row.sources},
        trained_on=tuple(dict.fromkeys((*row.trained_on, *other.trained_on))),
        status=worse.status,
        reason=worse.reason,
    )
