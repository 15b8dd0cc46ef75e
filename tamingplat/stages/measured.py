"""The numbers of a row, read from the records of its evaluations."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from tamingplat.manifest import ResolvedComponent
from tamingplat.stages.build import Builder
from tamingplat.stages.evaluate import PER_IMAGE, EvaluateImages, EvaluateStage
from tamingplat.stages.families import families_behind
from tamingplat.stages.plan import Plan, PlannedCell
from tamingplat.stages.result_rows import Column, Instrument, Tuning
from tamingplat.stages.tokenizer_stage import TokenizerStage
from tamingplat.store import Artifact, Store, content_key, open_array


@dataclass
class Measured:
    """The metrics of a row, by column, as they are gathered; see ``ResultRow``."""

    metrics: dict[str, float] = field(default_factory=dict)
    sources: dict[str, str] = field(default_factory=dict)
    standard_errors: dict[str, float] = field(default_factory=dict)
    instruments: dict[str, Instrument] = field(default_factory=dict)
    per_image: dict[str, npt.NDArray[np.float64]] = field(default_factory=dict)
    trained_on: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    @property
    def fields(self) -> dict[str, Any]:
        """The fields of a ``ResultRow``."""
        return {**vars(self), "trained_on": tuple(self.trained_on), "notes": tuple(dict.fromkeys(self.notes))}


class MeasuredColumns:
    """The columns of a table as they are found, and which of the manifest's metrics each of them is of.

    Where a manifest has several blocks of one metric, with networks of the same components, all but the first have their names
    in their columns: by the manifest alone, whatever of it is in the store. Should metrics of different components give columns
    of one name all the same, it is that of the first one that was found.

    Args:
        metrics: All of the manifest, in its order.
    """

    def __init__(self, metrics: Sequence[ResolvedComponent]) -> None:
        self._found: dict[str, Column] = {}
        self._metric_of: dict[str, str] = {}
        first: dict[Hashable, str] = {}
        for metric in metrics:
            first.setdefault(_instrument_of(metric), metric.label)
        self._bare = frozenset(first.values())

    @property
    def all(self) -> tuple[Column, ...]:
        """In the order in which they were found."""
        return tuple(self._found.values())

    def add(self, metric: ResolvedComponent, item: Mapping[str, Any]) -> str:
        """The name of the column that a measurement belongs to."""
        name: str = item["name"]
        if metric.label not in self._bare or self._metric_of.setdefault(name, metric.label) != metric.label:
            name = f"{name} [{metric.label}]"
        column = Column(name, item["unit"], item["better"], item["description"], item["headline"], item["ranks"])
        self._found[name] = self._found[name].joined(column) if name in self._found else column
        return name


def _instrument_of(metric: ResolvedComponent) -> Hashable:
    """What names a metric's columns, apart from its settings: its component and those of its networks."""
    parts = sorted((place, part.component.reference) for place, part in metric.parts.items())
    return metric.component.reference, tuple(parts)


def read_measured(
    store: Store,
    builder: Builder,
    evaluations: Iterable[EvaluateStage],
    columns: MeasuredColumns,
    loss_families: frozenset[str],
) -> Measured:
    """Read what is in the store of some evaluations. Columns that are new are added to ``columns``.

    Args:
        store: Where the evaluations are.
        builder: Knows the metrics' classes.
        evaluations: Those of one row, in the order of the manifest's metrics.
        columns: Those of the table.
        loss_families: Families of the networks in the tokenizer's loss.
    """
    found = Measured()
    for stage in evaluations:
        artifact = store.find(stage.kind, stage.key)
        if artifact is None:
            continue
        instrument = _instrument(builder, stage)
        found.notes += artifact.details["result"].get("notes", ())
        for item in artifact.details["result"]["measurements"]:
            name = columns.add(stage.metric, item)
            found.metrics[name] = item["value"]
            found.sources[name] = stage.key
            found.instruments[name] = instrument
            if item["standard_error"] is not None:
                found.standard_errors[name] = item["standard_error"]
            if item["per_image"] is not None:
                found.per_image[name] = _values(artifact)[item["per_image"]]
            if item["network"] and families_behind(builder, stage.metric) & loss_families:
                found.trained_on.append(name)
    return found


def _values(artifact: Artifact) -> npt.NDArray[np.float64]:
    """float64 (k, n), memory-mapped."""
    return open_array(artifact.path(PER_IMAGE))


def _instrument(builder: Builder, stage: EvaluateStage) -> Instrument:
    metric_class = builder.load_class(stage.metric)
    extractor = stage.metric.parts[metric_class.extractor].component.name if metric_class.extractor else ""
    # Classifiers that were trained differently are different instruments, though their settings are the same.
    parts = [part.key for _, part in stage.parts]
    if isinstance(stage, EvaluateImages) and stage.features is not None:
        parts += [part.key for _, part in stage.features.parts]
    identity = {"metric": builder.identity(stage.metric), "parts": parts}
    return Instrument(metric_class.measures, content_key(identity), extractor)


def loss_families(builder: Builder, tokenizer: TokenizerStage) -> frozenset[str]:
    """The families of the networks in a tokenizer's loss."""
    return families_behind(builder, tokenizer.tokenizer)


def dataset_settings(plan: Plan, dataset: ResolvedComponent) -> dict[str, str]:
    """What decides whether any rows may be compared, beside what ``evaluation`` says."""
    return {"preprocessing": content_key(plan.builder.identity(dataset))}


def reference_settings(plan: Plan, dataset: ResolvedComponent, tokenizer: TokenizerStage | None) -> dict[str, str]:
    """The same of a row without a prior."""
    settings = dataset_settings(plan, dataset)
    if tokenizer is not None:
        identity = {name: value for name, value in tokenizer.identity().items() if name != "seed"}
        settings["recipe"] = content_key({"identity": identity, "inputs": [stage.key for stage in tokenizer.inputs]})
    return settings


def cell_settings(plan: Plan, planned: PlannedCell) -> dict[str, str]:
    """What decides whether cells may be compared, beside what ``evaluation`` and ``artifacts`` say; of a possible cell."""
    prior, samples, builder = planned.prior, planned.samples, plan.builder
    assert prior is not None and samples is not None
    condition = {
        "conditioner": builder.identity(planned.cell.conditioner),
        "tokenizers": [stage.key for _, stage in planned.condition_tokenizers],
    }
    identity = {name: value for name, value in samples.identity().items() if name not in ("seed", "count")}
    # A sampler's own trained parts decide too; the prior is what is compared, and the tokenizer a setting of its own.
    inputs = [stage.key for stage in samples.inputs if stage.key not in (prior.key, prior.codes.tokenizer.key)]
    settings = {
        **dataset_settings(plan, planned.cell.dataset),
        "condition": content_key(condition),
        "decoding": content_key({"identity": identity, "inputs": inputs}),
    }
    if prior.training is not None:
        # Known before anything is measured: along plans that differ from image to image a likelihood is a bound.
        settings["likelihood"] = "bound" if builder.ordering(prior.ordering).random else "exact"
        settings["validation_images"] = str(prior.training.validation_images)
        if prior.windows is not None:
            settings["validation_images"] += f" windows of {prior.windows.size[0]}×{prior.windows.size[1]}"
    return settings


def tuning(plan: Plan, components: Iterable[ResolvedComponent]) -> dict[str, Tuning]:
    """How many settings were tried of a cell's trained components, by kind.

    What the block declares, and the variants that this manifest's axes make of it.
    """
    found: dict[str, Tuning] = {}
    for component in components:
        if component.kind not in ("tokenizer", "prior"):
            continue
        declared = component.tuning
        variants = _variants(plan, component)
        if declared is not None or variants > 1:
            tried, note = (None, "") if declared is None else (declared.settings_tried, declared.note)
            found[component.kind] = Tuning(tried, variants, note)
    return found


def _variants(plan: Plan, component: ResolvedComponent) -> int:
    """How many variants of a component's block there are in the manifest; one without axes."""
    block = _block(component.label)
    cells: Sequence[Any] = plan.manifest.combinations
    labels = {cell.components[component.kind].label for cell in cells}
    return sum(_block(label) == block for label in labels)


def _block(label: str) -> str:
    """The block of a label ``block[setting=value]``: blocks' names have no brackets."""
    return label.partition("[")[0]
