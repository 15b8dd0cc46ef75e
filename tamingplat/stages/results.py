"""What the store holds of a plan, as one row for every cell and reference row."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any

from tamingplat.engine import CurvePoint
from tamingplat.manifest import ResolvedComponent
from tamingplat.stages.evaluate import EvaluateImages
from tamingplat.stages.failures import read_failure
from tamingplat.stages.measured import (
    MeasuredColumns,
    cell_settings,
    loss_families,
    read_measured,
    reference_settings,
    tuning,
)
from tamingplat.stages.plan import Plan, PlannedCell, PlannedTokenizer, ReferenceRow
from tamingplat.stages.prior_stage import PriorStage
from tamingplat.stages.result_rows import ResultRow, Results, Status
from tamingplat.stages.sample import SampleImages
from tamingplat.stages.stage import Stage
from tamingplat.stages.tokenizer_stage import WEIGHTS, TokenizerStage
from tamingplat.stages.train_classifier import TrainClassifier
from tamingplat.stages.train_prior import TrainPrior
from tamingplat.stages.train_tokenizer import TrainTokenizer
from tamingplat.store import Store, content_key

TrainedModel = TokenizerStage | PriorStage | TrainClassifier


def collect_results(plan: Plan, store: Store) -> Results:
    """Read the results of a plan; trains and computes nothing."""
    columns = MeasuredColumns(plan.manifest.metrics)
    rows = [_cell_row(plan, planned, store, columns) for planned in plan.cells]
    rows += [_tokenizer_row(plan, planned, store, columns) for planned in plan.tokenizers]
    rows += [_reference_row(plan, reference, reference.evaluations, store, columns) for reference in plan.references]
    return Results(plan.manifest.name, tuple(rows), columns.all)


def _record(store: Store, stage: Stage) -> dict[str, Any] | None:
    artifact = store.find(stage.kind, stage.key)
    return None if artifact is None else artifact.details["result"]


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


def _training_cost(store: Store, stage: TrainedModel, name: str) -> dict[str, float]:
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


def _weights(store: Store, **stages: TrainedModel) -> dict[str, str]:
    """SHA-256 of the weight files of models, by name, of those that are in the store."""
    found = {name: store.find(stage.kind, stage.key) for name, stage in stages.items()}
    return {name: artifact.record["files"][WEIGHTS]["sha256"] for name, artifact in found.items() if artifact is not None}


def _machine(training: dict[str, Any]) -> dict[str, Any]:
    """Where a training ran, from its record."""
    return {key: training[key] for key in ("host", "device", "threads", "processes", "contended", "precision")}


def _tokenizer_cost(plan: Plan, store: Store, stage: TokenizerStage) -> dict[str, float]:
    return {"tokenizer_parameters": plan.parameters[stage.key], **_training_cost(store, stage, "tokenizer")}


def _condition_cost(plan: Plan, store: Store, planned: PlannedCell) -> dict[str, float]:
    """What a condition's own tokenizers cost together: ``condition_tokenizer_parameters`` and what their trainings took."""
    return _cost_together(plan, store, (stage for _, stage in planned.condition_tokenizers), "condition_tokenizer")


def _cost_together(plan: Plan, store: Store, stages: Iterable[TrainedModel], what: str) -> dict[str, float]:
    """What models beside a row's own cost together: their parameters, and what their trainings took."""
    total: dict[str, float] = {}
    for stage in stages:
        cost = {f"{what}_parameters": plan.parameters[stage.key]}
        for name, value in (cost | _training_cost(store, stage, what)).items():
            total[name] = max(total.get(name, 0), value) if name.endswith("memory_bytes") else total.get(name, 0) + value
    return total


def _evaluation(plan: Plan, dataset: ResolvedComponent, samples: int) -> dict[str, Any]:
    evaluate = plan.manifest.evaluate
    return {
        "split": evaluate.split,
        "reference": evaluate.reference,
        "reference_hash": content_key({"dataset": plan.builder.identity(dataset), "split": evaluate.reference}),
        "samples": samples,
    }


def _group(prior: PriorStage, samples: SampleImages, evaluation: dict[str, Any]) -> str:
    """What a cell is apart from its seed."""
    identities = [{name: value for name, value in stage.identity().items() if name != "seed"} for stage in (prior, samples)]
    inputs = [stage.key for stage in (*prior.sources, *(stage for _, stage in samples.parts))]
    return content_key({"identities": identities, "inputs": inputs, "evaluation": evaluation})


def _cell_row(plan: Plan, planned: PlannedCell, store: Store, columns: MeasuredColumns) -> ResultRow:
    cell = planned.cell
    names: dict[str, Any] = {
        **cell.labels,
        "kind": "cell",
        "manifest": plan.manifest.name,
        "evaluation": _evaluation(plan, cell.dataset, plan.manifest.evaluate.sampled),
        "components": {kind: part.component.name for kind, part in cell.components.items()},
    }
    tokenizer, prior, samples = planned.tokenizer, planned.prior, planned.samples
    if planned.refusals or tokenizer is None or prior is None or samples is None:
        return ResultRow(**names, status="refused", reason=planned.reason)
    status, reason = _status(store, (*planned.evaluations, samples))
    measured = read_measured(store, plan.builder, planned.evaluations, columns, loss_families(plan.builder, tokenizer))
    cost: dict[str, float] = {
        **_tokenizer_cost(plan, store, tokenizer),
        "prior_parameters": plan.parameters[prior.key],
        **_condition_cost(plan, store, planned),
        **_cost_together(plan, store, {stage.key: stage for _, stage in samples.parts}.values(), "sampler_classifier"),
        **_training_cost(store, prior, "prior"),
    }
    machine: dict[str, Any] = {}
    curve: tuple[CurvePoint, ...] = ()
    if drawn := store.find(samples.kind, samples.key):
        sampling = drawn.details["result"]
        cost |= {
            "sampling_seconds": sampling["seconds"],
            "samples_per_second": sampling["images_per_second"],
            "seconds_per_sample": 1 / sampling["images_per_second"],
            "sampled_tokens_per_second": sampling["tokens_per_second"],
            "sampling_candidates": sampling["candidates"],
            "sampling_batch_size": sampling["batch_size"],
            "sampling_peak_memory_bytes": sampling["peak_memory_bytes"],
        }
        # Samples of before the type was recorded have none.
        stated = ("device", "dtype", "threads", "processes", "decode_included")
        machine["sampling"] = {"host": drawn.provenance.get("host")}
        machine["sampling"] |= {key: sampling[key] for key in stated if key in sampling}
    if isinstance(prior, TrainPrior) and (training := _record(store, prior)):
        machine["training"] = _machine(training)
        machine["ema"] = prior.settings.ema_decay
        points = map(CurvePoint.from_json, training["curve"])
        curve = tuple(point for point in points if point.split == "validation")
    own = {f"conditioner.{path}": stage.key for path, stage in planned.condition_tokenizers}
    own |= {f"sampler.{path}": stage.key for path, stage in samples.parts}
    artifacts = {"tokenizer": tokenizer.key, **own, "prior": prior.key, "samples": samples.key}
    return ResultRow(
        **names,
        group=_group(prior, samples, names["evaluation"]),
        status=status,
        reason=reason,
        **measured.fields,
        cost=cost,
        machine=machine,
        artifacts=artifacts,
        weights=_weights(store, tokenizer=tokenizer, prior=prior),
        settings=cell_settings(plan, planned),
        tuning=tuning(plan, cell.components.values()),
        curve=curve,
    )


def _reference_group(plan: Plan, reference: ReferenceRow) -> str:
    """Which images a row without a prior is about: of which tokenizer and dataset and, where they are measured, how many and
    beside which split.
    """
    images, tokenizer = reference.images, reference.tokenizer
    measured = any(isinstance(stage, EvaluateImages) for stage in reference.evaluations)
    beside = [images.count, plan.manifest.evaluate.reference] if measured else None
    of = [images.split, beside, plan.builder.identity(images.dataset)]
    return content_key({"row": reference.kind, "tokenizer": tokenizer and tokenizer.key, "of": of})


def _reference_row(
    plan: Plan, reference: ReferenceRow, needed: Sequence[Stage], store: Store, columns: MeasuredColumns
) -> ResultRow:
    """A row without a prior; it is done when ``needed`` is."""
    images, tokenizer = reference.images, reference.tokenizer
    parts = (images.dataset, tokenizer.tokenizer) if tokenizer else (images.dataset,)
    families = loss_families(plan.builder, tokenizer) if tokenizer else frozenset[str]()
    measured = read_measured(store, plan.builder, reference.evaluations, columns, families)
    status, reason = _status(store, needed)
    machine: dict[str, Any] = {}
    if isinstance(tokenizer, TrainTokenizer) and (training := _record(store, tokenizer)):
        machine["training"] = _machine(training)
        machine["ema"] = tokenizer.settings and tokenizer.settings.ema_decay
    return ResultRow(
        kind=reference.kind,
        manifest=plan.manifest.name,
        group=_reference_group(plan, reference),
        dataset=images.dataset.label,
        tokenizer=tokenizer.tokenizer.label if tokenizer else "",
        components={part.kind: part.component.name for part in parts},
        tokenizer_seed=tokenizer.seed if tokenizer else None,
        status=status,
        reason=reason,
        **measured.fields,
        cost=_tokenizer_cost(plan, store, tokenizer) if tokenizer else {},
        evaluation=_evaluation(plan, images.dataset, images.count),
        machine=machine,
        artifacts={"tokenizer": tokenizer.key} if tokenizer else {},
        weights=_weights(store, tokenizer=tokenizer) if tokenizer else {},
        settings=reference_settings(plan, images.dataset, tokenizer),
        tuning=tuning(plan, parts),
    )


def _tokenizer_row(plan: Plan, planned: PlannedTokenizer, store: Store, columns: MeasuredColumns) -> ResultRow:
    cell = planned.cell
    if planned.row is not None:
        row = _reference_row(plan, planned.row, planned.stages, store, columns)
        return replace(row, tokenizer=cell.tokenizer.label, tokenizer_seed=cell.tokenizer_seed)
    return ResultRow(
        kind="reconstruction",
        dataset=cell.dataset.label,
        tokenizer=cell.tokenizer.label,
        components={kind: part.component.name for kind, part in cell.components.items()},
        manifest=plan.manifest.name,
        tokenizer_seed=cell.tokenizer_seed,
        status="refused",
        reason=planned.reason,
    )
