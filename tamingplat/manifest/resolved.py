"""What a manifest means: components with all their settings, cells, and how they are measured and run."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pydantic_core import to_jsonable_python

from tamingplat.interfaces import Component, Config, Kind, Problem, TrainingSettings
from tamingplat.manifest.expected import ExpectedData
from tamingplat.manifest.schema import MATRIX_KINDS, TOKENIZER_KINDS, EvaluateSettings, RuntimeSettings, TuningSettings


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
        artifact_absence: Why there is no such artifact yet; empty where there is.
        views: Versions of each training image that a tokenizer encodes; all but the first are augmented.
        encode_batch_size: Images that a tokenizer encodes together.
        tile: Side in pixels of the squares in which a tokenizer encodes and decodes larger images; ``None`` for whole images.
        window: Rows and columns of codes that a prior models, where it is one of windows.
        where: Its place in the manifest, for messages.
        expected: What a dataset's data are said to be, where the manifest says it.
        absent: The files and folders in the settings of such a dataset that do not exist.
        tuning: How much was tried before it got its settings, where its block says so.
    """

    label: str
    component: Component
    config: Config
    parts: Mapping[str, ResolvedComponent]
    train: TrainingSettings | None
    artifact: str | None = None
    views: int = 1
    encode_batch_size: int = 64
    tile: int | None = None
    window: tuple[int, int] | None = None
    where: str = ""
    expected: ExpectedData | None = None
    absent: tuple[Path, ...] = ()
    artifact_absence: str = ""
    tuning: TuningSettings | None = None

    @property
    def kind(self) -> Kind:
        """The component's kind."""
        return self.component.kind

    @property
    def absence(self) -> str:
        """Which files and folders do not exist, in words; empty where none is absent."""
        return f"there is no file or folder {', '.join(map(str, self.absent))}" if self.absent else ""

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
        if self.expected is not None:
            settings["expected"] = self.expected.model_dump(mode="json")
        if self.window is not None:
            settings["window"] = list(self.window)
        if self.tuning is not None:
            settings["tuning"] = self.tuning.model_dump(mode="json")
        if self.kind == "tokenizer":
            settings |= {"views": self.views, "encode_batch_size": self.encode_batch_size}
            settings |= {} if self.tile is None else {"tile": self.tile}
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
class TokenizerCell:
    """One tokenizer on one dataset, of a manifest without priors: it is trained, and its reconstructions are measured.

    Attributes:
        tokenizer_seed: Seed of tokenizer training.
        axes: The value of every axis that this cell depends on, by the axis as the manifest writes it.
        where: Its place in the manifest, for messages.
    """

    dataset: ResolvedComponent
    tokenizer: ResolvedComponent
    tokenizer_seed: int
    axes: Mapping[str, object]
    where: str

    @property
    def components(self) -> Mapping[Kind, ResolvedComponent]:
        """The cell's components by kind, in the order of the pipeline."""
        return dict(zip(TOKENIZER_KINDS, (self.dataset, self.tokenizer), strict=True))

    @property
    def labels(self) -> dict[str, str | int]:
        """What tells the cell from the others: the label of each component, and the seed."""
        labels: dict[str, str | int] = {kind: component.label for kind, component in self.components.items()}
        return {**labels, "tokenizer_seed": self.tokenizer_seed}


@dataclass(frozen=True, eq=False, kw_only=True)
class Manifest:
    """A manifest without mistakes. It has either cells or, where its matrix names no priors, cells of tokenizers alone.

    Attributes:
        path: The file.
        name: Name of the comparison.
        seeds: Seeds of prior training and sampling; none without priors.
        tokenizer_seeds: Seeds of tokenizer training.
        cells: Every combination with a prior, in the order of the matrix.
        tokenizer_cells: Every dataset and tokenizer of a matrix without priors, in its order.
        metrics: What is measured.
        evaluate: How it is measured.
        executor: What runs the stages.
        runtime: Where they run.
        compare_with: Tables of published figures, absolute.
        warnings: What is odd and stops nothing.
        samplers: Every block of a sampler by its name, whether or not a cell has it: what images can be drawn with later.
    """

    path: Path
    name: str
    seeds: tuple[int, ...]
    tokenizer_seeds: tuple[int, ...]
    cells: tuple[Cell, ...]
    tokenizer_cells: tuple[TokenizerCell, ...]
    metrics: tuple[ResolvedComponent, ...]
    evaluate: EvaluateSettings
    executor: ResolvedComponent
    runtime: RuntimeSettings
    compare_with: tuple[Path, ...] = ()
    warnings: tuple[Problem, ...] = ()
    samplers: Mapping[str, ResolvedComponent] = field(default_factory=dict)

    @property
    def combinations(self) -> tuple[Cell | TokenizerCell, ...]:
        """What is compared, of either sort."""
        return (*self.cells, *self.tokenizer_cells)

    @property
    def size(self) -> str:
        """How much is compared, in words."""
        return f"{len(self.cells)} cells" if self.cells else f"{len(self.tokenizer_cells)} cells of tokenizers alone"

    @property
    def absent(self) -> tuple[Problem, ...]:
        """The datasets and imported models that are not here but say what they will be, each with the way to get it."""
        components = {id(part): part for cell in self.combinations for part in cell.components.values()}.values()
        datasets = [
            Problem(part.where, part.absence, part.expected.download)
            for part in components
            if part.absence and part.expected is not None
        ]
        remedy = "import it with `tamingplat import`, or get it with `tamingplat pull`"
        models = [Problem(part.where, part.artifact_absence, remedy) for part in components if part.artifact_absence]
        return (*datasets, *models)

    def resolved(self) -> dict[str, Any]:
        """Everything that the manifest means, with every default spelled out, as JSON knows it."""
        components: dict[str, dict[str, Any]] = {}
        for cell in self.combinations:
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
                {**cell.labels, **({"axes": to_jsonable_python(dict(cell.axes))} if cell.axes else {})}
                for cell in self.combinations
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
