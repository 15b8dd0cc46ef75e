"""The plan: every cell of a manifest as a graph of stages, and every cell that is impossible, with the reason."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from tamingplat.interfaces import (
    Problem,
    TrainingSettings,
)
from tamingplat.manifest import Cell, Manifest, ResolvedComponent
from tamingplat.stages.build import Builder
from tamingplat.stages.check_dataset import CheckDataset
from tamingplat.stages.evaluate import EvaluateStage
from tamingplat.stages.sample import SampleImages
from tamingplat.stages.stage import Stage
from tamingplat.stages.train_prior import TrainPrior
from tamingplat.stages.train_tokenizer import TrainTokenizer
from tamingplat.store import Store


@dataclass(frozen=True)
class PlannedCell:
    """One combination of the matrix.

    Attributes:
        cell: What the manifest says.
        refusals: Why it is impossible: which component refuses what. Empty where it is possible, and the rest is set.
        evaluations: Every metric that belongs to the row.
    """

    cell: Cell
    refusals: tuple[Problem, ...] = ()
    tokenizer: TrainTokenizer | None = None
    prior: TrainPrior | None = None
    samples: SampleImages | None = None
    evaluations: tuple[EvaluateStage, ...] = ()

    @property
    def reason(self) -> str:
        """Why it is impossible, in one text."""
        return "; ".join(problem.what for problem in self.refusals)


@dataclass(frozen=True)
class ReferenceRow:
    """A row that every table carries beside its cells: what real images, or reconstructions of them, score.

    Attributes:
        kind: ``real`` or ``reconstruction``.
        dataset: Its label.
        tokenizer: The tokenizer that reconstructs, for a reconstruction.
        evaluations: Its metrics.
    """

    kind: Literal["real", "reconstruction"]
    dataset: str
    tokenizer: TrainTokenizer | None
    evaluations: tuple[EvaluateStage, ...]


@dataclass(frozen=True)
class Plan:
    """What a manifest asks for.

    Attributes:
        manifest: The request.
        stages: Every stage by key; inputs come before what needs them.
        cells: Every combination, also the refused ones.
        references: The rows of real images and of reconstructions.
        parameters: Number of parameters of every stage that trains, by key.
        checks: What looks at every image before anything runs.
        builder: What builds the components.
        notes: What was left out of the reference rows, and why.
    """

    manifest: Manifest
    stages: Mapping[str, Stage]
    cells: tuple[PlannedCell, ...]
    references: tuple[ReferenceRow, ...]
    parameters: Mapping[str, int]
    checks: tuple[CheckDataset, ...]
    builder: Builder
    notes: tuple[str, ...] = ()

    @property
    def refused(self) -> tuple[PlannedCell, ...]:
        return tuple(cell for cell in self.cells if cell.refusals)

    @property
    def trained(self) -> list[tuple[ResolvedComponent, TrainingSettings]]:
        """What is trained, and how."""
        pairs = []
        for stage in self.stages.values():
            if isinstance(stage, TrainTokenizer) and stage.settings is not None:
                pairs.append((stage.tokenizer, stage.settings))
            if isinstance(stage, TrainPrior):
                pairs.append((stage.prior, stage.settings))
        return pairs

    def missing(self, store: Store) -> list[Stage]:
        """The stages whose artifact is not in the store, inputs first."""
        return [stage for stage in self.stages.values() if store.find(stage.kind, stage.key) is None]
