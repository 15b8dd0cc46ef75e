"""The rows of a table of results, and one table of several.

A row can be read without the plan that it comes from.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from typing import Any, Literal, TypeVar

import numpy as np
import numpy.typing as npt

from tamingplat.engine import CurvePoint

T = TypeVar("T")

Status = Literal["done", "failed", "refused", "missing"]
_SEVERITY: tuple[Status, ...] = ("done", "missing", "refused", "failed")


@dataclass(frozen=True)
class Column:
    """How a metric's column is read: unit, direction, description; shown in a narrow table or not, ranking rows or not.

    Whether it ranks is to follow from its name: a column is one, whatever rows are in it.
    """

    name: str
    unit: str
    better: str
    description: str
    headline: bool
    ranks: bool = True

    def joined(self, other: Column) -> Column:
        """This column with the numbers of another one of its name: where one of them ranks nothing, all of it does not."""
        return replace(self, ranks=self.ranks and other.ranks)


@dataclass(frozen=True)
class Tuning:
    """How much was tried before a block got the settings that it has.

    Attributes:
        declared: Settings that its manifest says were tried, this one included; ``None`` where it does not say.
        variants: How many variants of the block the axes of this manifest make; one without axes.
        note: What was tried, in the manifest's words.
    """

    declared: int | None = None
    variants: int = 1
    note: str = ""

    @property
    def tried(self) -> int:
        """Settings tried, as far as is known: variants of this manifest come on top of what was tried before it."""
        return (self.declared or 1) + self.variants - 1


@dataclass(frozen=True)
class Instrument:
    """What a column's number was measured with and on.

    Attributes:
        measures: ``tokenizer``, ``prior`` or ``images``: what it is a property of.
        metric: Hash of the metric's settings, its extractor and other networks included.
        extractor: Name of the feature extractor; empty where there is none.
    """

    measures: str
    metric: str = ""
    extractor: str = ""


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
        artifacts: Content keys of tokenizer, prior and samples, and of a condition's own tokenizers and a sampler's classifiers
            by their place in its settings: ``conditioner.tokenizer``, ``sampler.classifier``.
        weights: SHA-256 of the weight files of ``tokenizer`` and ``prior``, of what is done: an artifact that was copied under
            another key has the same.
        standard_errors: By column name, where the metric's own estimator has one: over subsets of the images, not over seeds.
        instruments: What each column was measured with, by its name.
        settings: Hashes, or the values themselves, of what decides which rows are compared: ``preprocessing`` (the dataset with
            all its settings), ``condition``, ``decoding``, ``validation_images`` (how many the curve's points are means of),
            ``recipe`` (of a reconstruction: the tokenizer apart from its seed).
        tuning: How many settings were tried, for ``tokenizer`` and ``prior``.
        per_image: float64 (n,) by column name: one number for each image, of which the metric is the mean, in the order of the
            images; memory-mapped. Not in JSON or CSV.
        curve: Validation points of the prior's training. Not in JSON or CSV.
        notes: What is to be known of the row's numbers, such as why one that a reader expects is not reported.
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
    weights: dict[str, str] = field(default_factory=dict)
    standard_errors: dict[str, float] = field(default_factory=dict)
    instruments: dict[str, Instrument] = field(default_factory=dict)
    settings: dict[str, str] = field(default_factory=dict)
    tuning: dict[str, Tuning] = field(default_factory=dict)
    per_image: Mapping[str, npt.NDArray[np.float64]] = field(default_factory=dict, compare=False, repr=False)
    curve: tuple[CurvePoint, ...] = field(default=(), compare=False, repr=False)
    notes: tuple[str, ...] = ()

    def plain(self) -> dict[str, Any]:
        """All but what is too long for a table: the numbers of single images, and the curve."""
        return {one.name: getattr(self, one.name) for one in fields(self) if one.name not in ("per_image", "curve")}


@dataclass(frozen=True)
class Results:
    """All rows of a manifest and how their columns are read, in the order of the manifest's metrics."""

    name: str
    rows: tuple[ResultRow, ...]
    columns: tuple[Column, ...]


def join_results(results: Sequence[Results]) -> Results:
    """The rows of several manifests in one table. What several of them ask for is one row, with the metrics of all.

    Where a later manifest measures a line of an earlier one under the same name and otherwise, with other subsets of a kernel
    distance say, its column is called by its manifest, too, in all of its rows.
    """
    columns: dict[str, Column] = {}
    rows: dict[tuple[object, ...], ResultRow] = {}
    for one in results:
        while clashing := _measured_otherwise(rows.values(), one):
            one = _renamed(one, {name: f"{name} [{one.name}]" for name in clashing})
        for column in one.columns:
            columns[column.name] = columns[column.name].joined(column) if column.name in columns else column
        for row in one.rows:
            # A refused cell has no group: it stays the row of its manifest.
            key = (row.kind, row.group or (row.manifest, len(rows)), row.seed)
            rows[key] = _united(rows[key], row) if key in rows else row
    return Results(", ".join(one.name for one in results), tuple(rows.values()), tuple(columns.values()))


def _measured_otherwise(rows: Iterable[ResultRow], results: Results) -> set[str]:
    """The columns of some results in which a line of theirs is measured by another instrument than it was before."""
    known: dict[tuple[str, str], dict[str, Instrument]] = {}
    for row in rows:
        if row.group:
            known.setdefault((row.kind, row.group), {}).update(row.instruments)
    return {
        name
        for row in results.rows
        for name, instrument in row.instruments.items()
        if known.get((row.kind, row.group), {}).get(name, instrument) != instrument
    }


def _renamed(results: Results, names: Mapping[str, str]) -> Results:
    """Results whose columns have other names."""

    def of(found: Mapping[str, T]) -> dict[str, T]:
        return {names.get(name, name): value for name, value in found.items()}

    rows = [
        replace(
            row,
            metrics=of(row.metrics),
            sources=of(row.sources),
            standard_errors=of(row.standard_errors),
            instruments=of(row.instruments),
            per_image=of(row.per_image),
            trained_on=tuple(names.get(name, name) for name in row.trained_on),
        )
        for row in results.rows
    ]
    columns = [replace(column, name=names.get(column.name, column.name)) for column in results.columns]
    return replace(results, rows=tuple(rows), columns=tuple(columns))


def _united(row: ResultRow, other: ResultRow) -> ResultRow:
    worse = max(row, other, key=lambda one: _SEVERITY.index(one.status))
    return replace(
        row,
        metrics={**other.metrics, **row.metrics},
        sources={**other.sources, **row.sources},
        standard_errors={**other.standard_errors, **row.standard_errors},
        instruments={**other.instruments, **row.instruments},
        per_image={**other.per_image, **row.per_image},
        tuning={kind: _more_tried(row.tuning.get(kind), other.tuning.get(kind)) for kind in {**row.tuning, **other.tuning}},
        trained_on=tuple(dict.fromkeys((*row.trained_on, *other.trained_on))),
        notes=tuple(dict.fromkeys((*row.notes, *other.notes))),
        status=worse.status,
        reason=worse.reason,
    )


def _more_tried(one: Tuning | None, other: Tuning | None) -> Tuning:
    """What was tried of a model that several manifests have: the largest number that one of them states."""
    stated = [tuning for tuning in (one, other) if tuning is not None]
    return max(stated, key=lambda tuning: (tuning.tried, tuning.declared or 0))
