"""What the store holds of a plan, as one row for every cell and reference row."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from tamingplat.manifest import ResolvedComponent
from tamingplat.stages.evaluate import EvaluateImages, EvaluateStage
from tamingplat.stages.failures import read_failure
from tamingplat.stages.plan import Plan, PlannedCell, ReferenceRow
from tamingplat.stages.sample import SampleImages
from tamingplat.stages.stage import Stage
from tamingplat.stages.train_prior import TrainPrior
from tamingplat.stages.train_tokenizer import TrainTokenizer
from tamingplat.store import Store, content_key

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
        artifacts: Content keys of tokenizer, prior and samples.
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


def collect_results(plan: Plan, store: Store) -> Results:
    """Read the results of a plan; trains and computes nothing."""
    columns: dict[str, Column] = {}
    rows = [_cell_row(plan, planned, store, columns) for planned in plan.cells]
    rows += [_reference_row(plan, reference, store, columns) for reference in plan.references]
    return Results(plan.manifest.name, tuple(rows), tuple(columns.values()))


def _record(store: Store, stage: Stage) -> dict[str, Any] | None:
    artifact = store.find(stage.kind, stage.key)
    return None if artifact is None else artifact.details["result"]


@dataclass
class _Measured:
    """The metrics of a row, as they are gathered."""

    metrics: dict[str, float] = field(default_factory=dict)
    sources: dict[str, str] = field(default_factory=dict)
    trained_on: list[str] = field(default_factory=list)


def _measured(
    store: Store, evaluations: Iterable[EvaluateStage], columns: dict[str, Column], families: frozenset[str]
) -> _Measured:
    found = _Measured()
    for stage in evaluations:
        record = _record(store, stage)
        for item in record["measurements"] if record else ():
            # Two blocks of one metric in a manifest: the second is told apart by its block's name.
            name = f"{item['name']} [{stage.metric.label}]" if item["name"] in found.metrics else item["name"]
            columns.setdefault(name, Column(name, item["unit"], item["better"], item["description"], item["headline"]))
            found.metrics[name] = item["value"]
            found.sources[name] = stage.key
            if item["network"] and _families(stage) & families:
                found.trained_on.append(name)
    return found


def _families(stage: EvaluateStage) -> frozenset[str]:
    """The families of the networks that a metric takes by reference."""
    return frozenset(part.component.family for part in stage.metric.parts.values() if part.component.family)


def _loss_families(tokenizer: TrainTokenizer) -> frozenset[str]:
    """The families of the networks in a tokenizer's loss."""
    parts = tokenizer.tokenizer.parts.values()
    return frozenset(part.component.family for part in parts if part.component.family)


def _status(store: Store, stages: Sequence[Stage]) -> tuple[Status, str]:
    """Done when every stage is; else failed when one of them, or of what they need, failed last time."""
    missing = [stage for stage in stages if store.find(stage.kind, stage.key) is None]
    if not missing:
        return "done", ""
    pending, seen = list(missing), set[str]()
    while pending:
        stage = pending.pop()
        if stage.key in seen or store.find(stage.kind, stage.key) is not None:
            continue
        seen.add(stage.key)
        if error := read_failure(store, stage.key):
            return "failed", f"{stage.label}: {error}"
        pending.extend(stage.inputs)
    return "missing", f"not run yet: {missing[0].label}" + (f" and {len(missing) - 1} more" if len(missing) > 1 else "")


def _training_cost(store: Store, stage: TrainTokenizer | TrainPrior, name: str) -> dict[str, float]:
    record = _record(store, stage) or {}
    wanted = {
        "training_seconds": "seconds",
        "training_cpu_seconds": "cpu_seconds",
        "training_flops": "flops",
        "training_images": "images",
        "training_peak_memory_bytes": "peak_memory_bytes",
        "loading_seconds": "loading_seconds",
        "logging_seconds": "logging_seconds",
    }
    return {f"{name}_{ours}": record[theirs] for ours, theirs in wanted.items() if record.get(theirs) is not None}


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


def _evaluation(plan: Plan, dataset: ResolvedComponent) -> dict[str, Any]:
    evaluate = plan.manifest.evaluate
    return {
        "split": evaluate.split,
        "reference": evaluate.reference,
        "reference_hash": content_key({"dataset": plan.builder.identity(dataset), "split": evaluate.reference}),
        "samples": evaluate.samples,
    }


def _group(prior: TrainPrior, samples: SampleImages, evaluation: dict[str, Any]) -> str:
    """What a cell is apart from its seed."""
    identities = [{name: value for name, value in stage.identity().items() if name != "seed"} for stage in (prior, samples)]
    return content_key({"identities": identities, "inputs": [stage.key for stage in prior.inputs], "evaluation": evaluation})


def _cell_row(plan: Plan, planned: PlannedCell, store: Store, columns: dict[str, Column]) -> ResultRow:
    cell = planned.cell
    names: dict[str, Any] = {
        **cell.labels,
        "kind": "cell",
        "manifest": plan.manifest.name,
        "evaluation": _evaluation(plan, cell.dataset),
        "components": {kind: part.component.name for kind, part in cell.components.items()},
    }
    tokenizer, prior, samples = planned.tokenizer, planned.prior, planned.samples
    if planned.refusals or tokenizer is None or prior is None or samples is None:
        return ResultRow(**names, status="refused", reason=planned.reason)
    status, reason = _status(store, (*planned.evaluations, samples))
    measured = _measured(store, planned.evaluations, columns, _loss_families(tokenizer))
    cost: dict[str, float] = {
        "tokenizer_parameters": plan.parameters[tokenizer.key],
        "prior_parameters": plan.parameters[prior.key],
        **_training_cost(store, tokenizer, "tokenizer"),
        **_training_cost(store, prior, "prior"),
    }
    machine: dict[str, Any] = {}
    if sampling := _record(store, samples):
        cost |= {
            "sampling_seconds": sampling["seconds"],
            "samples_per_second": sampling["images_per_second"],
            "sampling_batch_size": sampling["batch_size"],
            "sampling_peak_memory_bytes": sampling["peak_memory_bytes"],
        }
        machine["sampling"] = {key: sampling[key] for key in ("device", "threads", "processes")}
    if training := _record(store, prior):
        wanted = ("host", "device", "threads", "processes", "contended", "precision")
        machine["training"] = {key: training[key] for key in wanted}
        machine["ema"] = prior.settings.ema_decay
    artifacts = {"tokenizer": tokenizer.key, "prior": prior.key, "samples": samples.key}
    return ResultRow(
        **names,
        group=_group(prior, samples, names["evaluation"]),
        status=status,
        reason=reason,
        metrics=measured.metrics,
        sources=measured.sources,
        trained_on=tuple(measured.trained_on),
        cost=cost,
        machine=machine,
        artifacts=artifacts,
    )


def _reference_group(reference: ReferenceRow) -> str:
    """Which images a reference row is about: of which tokenizer or dataset, and how many."""
    sources = [stage.source for stage in reference.evaluations if isinstance(stage, EvaluateImages)]
    about = [
        [source.split, source.count, source.builder.identity(source.dataset)]
        for source in sources[:1]
        if not isinstance(source, SampleImages)
    ]
    return content_key({"row": reference.kind, "tokenizer": reference.tokenizer and reference.tokenizer.key, "of": about})


def _reference_row(plan: Plan, reference: ReferenceRow, store: Store, columns: dict[str, Column]) -> ResultRow:
    tokenizer = reference.tokenizer
    families = _loss_families(tokenizer) if tokenizer else frozenset[str]()
    measured = _measured(store, reference.evaluations, columns, families)
    status, reason = _status(store, reference.evaluations)
    return ResultRow(
        kind=reference.kind,
        manifest=plan.manifest.name,
        group=_reference_group(reference),
        dataset=reference.dataset,
        tokenizer=tokenizer.tokenizer.label if tokenizer else "",
        components={"tokenizer": tokenizer.tokenizer.component.name} if tokenizer else {},
        tokenizer_seed=tokenizer.seed if tokenizer else None,
        status=status,
        reason=reason,
        metrics=measured.metrics,
        sources=measured.sources,
        trained_on=tuple(measured.trained_on),
        cost={"tokenizer_parameters": plan.parameters[tokenizer.key]} if tokenizer else {},
        artifacts={"tokenizer": tokenizer.key} if tokenizer else {},
    )
