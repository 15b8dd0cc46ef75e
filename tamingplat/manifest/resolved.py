"""What a manifest means: components with all their settings, cells, and how they are measured and run."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic_core import to_jsonable_python

from tamingplat.interfaces import Component, Config, Kind, Problem, TrainingSettings
from tamingplat.manifest.schema import MATRIX_KINDS, EvaluateSettings, RuntimeSettings


@dataclass(frozen=True, eq=False)
class ResolvedComponent:
    """A component as a manifest uses it, with every default spelled out. The same use is the same object.

    Attributes:
        label: The block's name or, without a block, the component's; with the settings that an axis varies in brackets.
        component: What its plugin says of it.
        config: Its settings. Paths of files are absolute.
        parts: The components that its settings refer to, by the name of the setting.
        train: How it is trained; ``None`` for what is not trained, and for an imported artifact.
        artifact: Name of the imported artifact that is used instead of training.
        views: Versions of each training image that a tokenizer encodes; all but the first are augmented.
        encode_batch_size: Images that a tokenizer encodes together.
        where: Its place in the manifest, for messages.
    """

    label: str
    component: Component
    config: Config
    parts: Mapping[str, ResolvedComponent]
    train: TrainingSettings | None
    artifact: str | None = None
    views: int = 1
    encode_batch_size: int = 64
    where: str = ""

    @property
    def kind(self) -> Kind:
        """The component's kind."""
        return self.component.kind

    @property
    def settings(self) -> dict[str, Any]:
        """Everything that is set, as JSON knows it."""
        settings: dict[str, Any] = {
            "component": self.component.name,
            "revision": self.component.revision,
            "config": to_jsonable_python(self.config),
        }
        if self.parts:
            settings["parts"] = {name: {"label": part.label, **part.settings} for name, part in self.parts.items()}
        if self.train is not None:
            settings["train"] = self.train.model_dump(mode="json")
        if self.artifact is not None:
            settings["artifact"] = self.artifact
        if self.kind == "tokenizer":
            settings |= {"views": self.views, "encode_batch_size": self.encode_batch_size}
        return settings


@dataclass(frozen=True, eq=False, kw_only=True)
class Cell:
    """One combination that is trained, sampled and measured.

    Attributes:
        seed: Seed of prior training and sampling.
        tokenizer_seed: Seed of tokenizer training.
        axes: The value of every axis that this cell depends on, by the axis as the manifest writes it.
        where: Its place in the manifest, for messages.
    """

    dataset: ResolvedComponent
    tokenizer: ResolvedComponent
    prior: ResolvedComponent
    ordering: ResolvedComponent
    conditioner: ResolvedComponent
    sampler: ResolvedComponent
    seed: int
    tokenizer_seed: int
    axes: Mapping[str, object]
    where: str

    @property
    def components(self) -> Mapping[Kind, ResolvedComponent]:
        """The cell's components by kind, in the order of the pipeline."""
        parts = (self.dataset, self.tokenizer, self.prior, self.ordering, self.conditioner, self.sampler)
        return dict(zip(MATRIX_KINDS, parts, strict=True))

    @property
    def labels(self) -> dict[str, str | int]:
        """What tells the cell from the others: the label of each component, and the seeds."""
        labels: dict[str, str | int] = {kind: component.label for kind, component in self.components.items()}
        return {**labels, "seed": self.seed, "tokenizer_seed": self.tokenizer_seed}

    @property
    def label(self) -> str:
        """The same in one text."""
        names = "/".join(component.label for component in self.components.values())
        return f"{names}/seed={self.seed}/tokenizer_seed={self.tokenizer_seed}"


@dataclass(frozen=True, eq=False, kw_only=True)
class Manifest:
    """A manifest without mistakes.

    Attributes:
        path: The file.
        name: Name of the comparison.
        seeds: Seeds of prior training and sampling.
        tokenizer_seeds: Seeds of tokenizer training.
        cells: Every combination, in the order of the matrix.
        metrics: What is measured.
        evaluate: How it is measured.
        executor: What runs the stages.
        runtime: Where they run.
        compare_with: Tables of published figures, absolute.
        warnings: What is odd and stops nothing.
    """

    path: Path
    name: str
    seeds: tuple[int, ...]
    tokenizer_seeds: tuple[int, ...]
    cells: tuple[Cell, ...]
    metrics: tuple[ResolvedComponent, ...]
    evaluate: EvaluateSettings
    executor: ResolvedComponent
    runtime: RuntimeSettings
    compare_with: tuple[Path, ...] = ()
    warnings: tuple[Problem, ...] = ()

    def resolved(self) -> dict[str, Any]:
        """Everything that the manifest means, with every default spelled out, as JSON knows it."""
        components: dict[str, dict[str, Any]] = {}
        for cell in self.cells:
            for kind, component in cell.components.items():
                of_kind = components.setdefault(kind, {})
                if component.label not in of_kind:
                    of_kind[component.label] = component.settings
        components["metric"] = {metric.label: metric.settings for metric in self.metrics}
        components["executor"] = {self.executor.label: self.executor.settings}
        return {
            "schema": 1,
            "name": self.name,
            "seeds": list(self.seeds),
            "tokenizer_seeds": list(self.tokenizer_seeds),
            "compare_with": [str(path) for path in self.compare_with],
            "components": components,
            "evaluate": self.evaluate.model_dump(mode="json"),
            "runtime": self.runtime.model_dump(mode="json"),
            "cells": [
                {**cell.labels, **({"axes": to_jsonable_python(dict(cell.axes))} if cell.axes else {})} for cell in self.cells
            ],
        }


def write_resolved(manifest: Manifest, path: Path) -> None:
    """Write what a manifest means as JSON. A file that is there is replaced at once and never half written."""
    path.parent.mkdir(parents=True, exist_ok=True)
    text = json.dumps(manifest.resolved(), indent=2, sort_keys=True, ensure_ascii=False, allow_nan=False) + "\n"
    beside = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        with beside.open("w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        beside.replace(path)
    finally:
        beside.unlink(missing_ok=True)
