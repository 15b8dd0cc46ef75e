"""The plan: every cell of a manifest as a graph of stages, and every cell that is impossible, with the reason."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from tamingplat.interfaces import (
    Problem,
    TrainingSettings,
)
from tamingplat.manifest import Cell, Manifest, ResolvedComponent, TokenizerCell
from tamingplat.stages.build import Builder
from tamingplat.stages.check_dataset import CheckDataset
from tamingplat.stages.condition_parts import ConditionTokenizers
from tamingplat.stages.evaluate import EvaluateStage
from tamingplat.stages.features import RealImages
from tamingplat.stages.prior_stage import PriorStage
from tamingplat.stages.sample import Reconstruct, SampleImages
from tamingplat.stages.stage import Stage
from tamingplat.stages.tokenizer_stage import TokenizerStage
from tamingplat.stages.train_classifier import TrainClassifier
from tamingplat.stages.train_prior import TrainPrior
from tamingplat.stages.train_tokenizer import TrainTokenizer
from tamingplat.store import Store


def _reason(refusals: Sequence[Problem]) -> str:
    """Refusals in one text."""
    return "; ".join(problem.what for problem in refusals)


@dataclass(frozen=True)
class PlannedCell:
    """One combination of the matrix.

    Attributes:
        cell: What the manifest says.
        refusals: Why it is impossible: which component refuses what. Empty where it is possible, and the rest is set.
        evaluations: Every metric that belongs to the row.
        condition_tokenizers: The condition's own tokenizers, by their place in the conditioner's settings.
    """

    cell: Cell
    refusals: tuple[Problem, ...] = ()
    tokenizer: TokenizerStage | None = None
    prior: PriorStage | None = None
    samples: SampleImages | None = None
    evaluations: tuple[EvaluateStage, ...] = ()
    condition_tokenizers: ConditionTokenizers = ()

    @property
    def reason(self) -> str:
        """Why it is impossible, in one text."""
        return _reason(self.refusals)


@dataclass(frozen=True)
class ReferenceRow:
    """What real images, or reconstructions of them, score: a row that stands beside the cells, or what tokenizers are
    compared by.

    Attributes:
        images: Which images.
        evaluations: Its metrics.
    """

    images: RealImages | Reconstruct
    evaluations: tuple[EvaluateStage, ...]

    @property
    def kind(self) -> Literal["real", "reconstruction"]:
        return "real" if self.reconstruct is None else "reconstruction"

    @property
    def reconstruct(self) -> Reconstruct | None:
        """What makes the images; ``None`` for real ones."""
        return None if isinstance(self.images, RealImages) else self.images

    @property
    def tokenizer(self) -> TokenizerStage | None:
        """The tokenizer that reconstructs, for a reconstruction."""
        return None if self.reconstruct is None else self.reconstruct.tokenizer


@dataclass(frozen=True)
class PlannedTokenizer:
    """One tokenizer on one dataset, of a matrix without priors.

    Attributes:
        cell: What the manifest says.
        refusals: Why it is impossible: which component refuses what. Empty where it is possible.
        row: What it is compared by; ``None`` where it is impossible.
    """

    cell: TokenizerCell
    refusals: tuple[Problem, ...] = ()
    row: ReferenceRow | None = None

    @property
    def reason(self) -> str:
        """Why it is impossible, in one text."""
        return _reason(self.refusals)

    @property
    def tokenizer(self) -> TokenizerStage | None:
        """The tokenizer that is trained or imported; ``None`` where it is impossible."""
        return None if self.row is None else self.row.tokenizer

    @property
    def stages(self) -> tuple[Stage, ...]:
        """Its reconstructions, whether or not a metric is about them, and its metrics; empty where it is impossible."""
        if self.row is None or self.row.reconstruct is None:
            return ()
        return (self.row.reconstruct, *self.row.evaluations)


@dataclass(frozen=True)
class Plan:
    """What a manifest asks for.

    Attributes:
        manifest: The request.
        stages: Every stage by key; inputs come before what needs them.
        cells: Every combination with a prior, also the refused ones.
        tokenizers: Every dataset and tokenizer of a matrix without priors, also the refused ones.
        references: The rows of real images and of reconstructions that stand beside them.
        parameters: Number of parameters of every stage that trains, by key.
        checks: What looks at every image before anything runs.
        builder: What builds the components.
        notes: What was left out of rows, and why.
        absent: Data and weights that are not on this machine, with the way to get them: nothing runs without.
        warnings: Where data are not quite what the manifest expects.
    """

    manifest: Manifest
    stages: Mapping[str, Stage]
    cells: tuple[PlannedCell, ...]
    tokenizers: tuple[PlannedTokenizer, ...]
    references: tuple[ReferenceRow, ...]
    parameters: Mapping[str, int]
    checks: tuple[CheckDataset, ...]
    builder: Builder
    notes: tuple[str, ...] = ()
    absent: tuple[Problem, ...] = ()
    warnings: tuple[Problem, ...] = ()

    @property
    def combinations(self) -> tuple[PlannedCell | PlannedTokenizer, ...]:
        """What is compared, of either sort."""
        return (*self.cells, *self.tokenizers)

    @property
    def refused(self) -> tuple[PlannedCell | PlannedTokenizer, ...]:
        return tuple(planned for planned in self.combinations if planned.refusals)

    @property
    def reconstructions(self) -> tuple[Reconstruct, ...]:
        """The reconstructions of every row, of those beside cells and of those that are compared."""
        rows = (*self.references, *(planned.row for planned in self.tokenizers if planned.row is not None))
        return tuple(row.reconstruct for row in rows if row.reconstruct is not None)

    @property
    def trained(self) -> list[tuple[ResolvedComponent, TrainingSettings]]:
        """What is trained, and how."""
        pairs = []
        for stage in self.stages.values():
            if isinstance(stage, TrainTokenizer) and stage.settings is not None:
                pairs.append((stage.tokenizer, stage.settings))
            if isinstance(stage, TrainPrior):
                pairs.append((stage.prior, stage.settings))
            if isinstance(stage, TrainClassifier):
                pairs.append((stage.classifier, stage.settings))
        return pairs

    def missing(self, store: Store) -> list[Stage]:
        """The stages whose artifact is not in the store, inputs first."""
        return [stage for stage in self.stages.values() if store.find(stage.kind, stage.key) is None]
