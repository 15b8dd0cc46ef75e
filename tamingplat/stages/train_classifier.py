"""Training a classifier on the labelled images of a dataset.

Shape letters: B batch, C/H/W image.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor

from tamingplat.engine import load_weights, save_weights, train
from tamingplat.interfaces import TrainingSettings, derive_seed
from tamingplat.interfaces.models import Dataset, TrainedClassifier
from tamingplat.manifest import ResolvedComponent, training_identity
from tamingplat.stages.build import Builder, initialise
from tamingplat.stages.images import to_model
from tamingplat.stages.stage import Stage, StageContext
from tamingplat.stages.tokenizer_stage import WEIGHTS

TRAINING_SPLIT = "train"
"""What every classifier of a manifest has seen."""

_COLUMNS = ("image", "label")


@dataclass(frozen=True)
class LabelTraining:
    """Labelled images for the training loop: a random view of each, addressed by (seed, epoch, image)."""

    dataset: Dataset
    seed: int
    validation_split: str

    @property
    def length(self) -> int:
        return self.dataset.info.splits[TRAINING_SPLIT]

    @property
    def validation_length(self) -> int:
        return self.dataset.info.splits[self.validation_split]

    def load(self, indices: Sequence[int], epoch: int) -> dict[str, Tensor]:
        return self._stack(TRAINING_SPLIT, indices, [1 + derive_seed(self.seed, "view", epoch, index) for index in indices])

    def load_validation(self, indices: Sequence[int]) -> dict[str, Tensor]:
        return self._stack(self.validation_split, indices, [0] * len(indices))

    def _stack(self, split: str, indices: Sequence[int], views: Sequence[int]) -> dict[str, Tensor]:
        examples = [self.dataset.read(split, index, view) for index, view in zip(indices, views, strict=True)]
        return {name: torch.from_numpy(np.stack([example[name] for example in examples])) for name in _COLUMNS}

    def prepare(self, batch: dict[str, Tensor], *, address: int, rows: tuple[int, int], total: int) -> dict[str, Tensor]:
        return {"image": to_model(batch["image"]), "label": batch["label"].long()}


@dataclass(frozen=True, eq=False, repr=False)
class TrainClassifier(Stage):
    """A trained classifier: its weights, and its curve in the record.

    It is an instrument and no part of what is compared, so that one seed serves all seeds of a manifest.

    Attributes:
        classifier: The component with its settings.
        dataset: It is trained on this dataset's training split, and sees no other.
        validation_split: What its validation terms are measured on; nothing is chosen by them.
        settings: How it is trained.
        seed: Of its training.
    """

    builder: Builder
    classifier: ResolvedComponent
    dataset: ResolvedComponent
    validation_split: str
    settings: TrainingSettings
    seed: int = 0

    kind = "train_classifier"
    trains: ClassVar[bool] = True

    @property
    def label(self) -> str:
        return f"train {self.classifier.label} on the labels of {self.dataset.label}"

    @property
    def training(self) -> TrainingSettings | None:
        return self.settings

    def identity(self) -> dict[str, Any]:
        return {
            "classifier": self.builder.identity(self.classifier),
            "dataset": self.builder.identity(self.dataset),
            "training": training_identity(self.settings),
            "validation_split": self.validation_split,
            "seed": self.seed,
        }

    def build(self, builder: Builder) -> TrainedClassifier:
        """The classifier with its initial weights."""
        info = builder.dataset(self.dataset).info
        return initialise(lambda: builder.classifier(self.classifier, info), seed=self.seed, kind=self.kind)

    def run(self, context: StageContext) -> dict[str, Any]:
        classifier = self.build(context.builder)
        data = LabelTraining(context.builder.dataset(self.dataset).only(_COLUMNS), self.seed, self.validation_split)
        with context.follow(self) as tracked:
            record = train(
                classifier,
                data,
                self.settings,
                accelerator=context.accelerator,
                seed=self.seed,
                work=context.work,
                report=context.report,
                track=tracked,
            )
        if context.is_main:
            save_weights(classifier, context.directory / WEIGHTS)
        return record.to_json()


def load_classifier(stage: TrainClassifier, context: StageContext) -> TrainedClassifier:
    """A finished classifier in eval mode on the context's device."""
    classifier = stage.build(context.builder)
    load_weights(classifier, context.artifact(stage).path(WEIGHTS))
    return classifier.to(context.device).eval().requires_grad_(False)
