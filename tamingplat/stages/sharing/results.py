"""What the table says of a model that is shared, and how that was made: rows, columns and resolved settings without paths."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tamingplat.manifest import MATRIX_KINDS, ResolvedComponent, training_identity
from tamingplat.stages.build import Builder
from tamingplat.stages.plan import Plan
from tamingplat.stages.result_rows import ResultRow
from tamingplat.stages.results import collect_results
from tamingplat.stages.sharing.made import ColumnEntry, DatasetEntry, ResultsEntry, RowEntry
from tamingplat.store import Artifact, Store, content_key


def shared_results(plan: Plan, store: Store, artifact: Artifact) -> ResultsEntry:
    """The measured rows of a manifest that a model has a part in; those of real images and of reconstructions beside them."""
    results = collect_results(plan, store)
    measured = [row for row in results.rows if row.metrics]
    rows = [row for row in measured if artifact.key in row.artifacts.values()]
    datasets, tokenizers = {row.dataset for row in rows}, {row.artifacts.get("tokenizer") for row in rows}
    for row in measured:
        reference = row.kind == "real" or (row.kind == "reconstruction" and row.artifacts.get("tokenizer") in tokenizers)
        if reference and row.dataset in datasets and row not in rows:
            rows.append(row)
    shown = {name for row in rows for name in row.metrics}
    return ResultsEntry(
        manifest=plan.manifest.name,
        columns=tuple(
            ColumnEntry(**{name: getattr(column, name) for name in ColumnEntry.model_fields})
            for column in results.columns
            if column.name in shown
        ),
        rows=tuple(map(_row, rows)),
        datasets=_datasets(plan, rows),
        settings=_settings(plan, rows),
        evaluate=plan.manifest.evaluate.model_dump(mode="json"),
    )


def _row(row: ResultRow) -> RowEntry:
    content = {name: getattr(row, name) for name in RowEntry.model_fields}
    machine = {
        name: {key: value for key, value in of.items() if key != "host"} if isinstance(of, Mapping) else of
        for name, of in row.machine.items()
    }
    return RowEntry.model_validate({**content, "machine": machine})


def _datasets(plan: Plan, rows: list[ResultRow]) -> dict[str, DatasetEntry]:
    wanted = {row.dataset for row in rows}
    found: dict[str, DatasetEntry] = {}
    for cell in plan.combinations:
        resolved = cell.cell.dataset
        if resolved.label in wanted and resolved.label not in found:
            info = plan.builder.dataset(resolved).info
            found[resolved.label] = DatasetEntry(
                component=resolved.component.name,
                fingerprint=content_key(plan.builder.identity(resolved)),
                image_size=info.image_size,
                channels=info.channels,
                splits=dict(info.splits),
            )
    return found


def _settings(plan: Plan, rows: list[ResultRow]) -> dict[str, Any]:
    """Settings of everything that the rows name, by kind and name."""
    wanted = {(kind, label) for row in rows for kind in MATRIX_KINDS if (label := getattr(row, kind))}
    settings: dict[str, dict[str, Any]] = {}
    for cell in plan.combinations:
        for kind, resolved in cell.cell.components.items():
            if (kind, resolved.label) in wanted:
                settings.setdefault(kind, {})[resolved.label] = _of_component(plan.builder, resolved)
    settings["metric"] = {metric.label: _of_component(plan.builder, metric) for metric in plan.manifest.metrics}
    return settings


def _of_component(builder: Builder, resolved: ResolvedComponent) -> dict[str, Any]:
    identity = builder.identity(resolved)
    found: dict[str, Any] = {"component": identity["name"], "revision": identity["revision"], "config": identity["config"]}
    if resolved.train is not None:
        found["train"] = training_identity(resolved.train)
    if resolved.artifact is not None:
        found["artifact"] = resolved.artifact
    if resolved.kind == "tokenizer":
        found["views"] = resolved.views
    return found
