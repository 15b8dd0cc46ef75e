"""Training, or fitting, a tokenizer on the images of a dataset.

Shape letters: B batch, C/H/W image.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor

from tamingplat.engine import fit_tokenizer, load_weights, save_weights, train
from tamingplat.interfaces import TamingplatError, TrainingSettings, derive_seed
from tamingplat.interfaces.models import Dataset, Tokenizer
from tamingplat.manifest import ResolvedComponent, training_identity
from tamingplat.stages.build import Builder, initialise
from tamingplat.stages.images import to_model
from tamingplat.stages.stage import Stage, StageContext

WEIGHTS = "weights.safetensors"


@dataclass(frozen=True)
class ImageTraining:
    """Images for the training loop: a random view of each, addressed by (seed, epoch, image)."""

    dataset: Dataset
    seed: int
    validation_split: str

    @property
    def length(self) -> int:
        return self.dataset.info.splits["train"]

    @property
    def validation_length(self) -> int:
        return self.dataset.info.splits[self.validation_split]

    def load(self, indices: Sequence[int], epoch: int) -> dict[str, Tensor]:
        return self._stack("train", indices, [1 + derive_seed(self.seed, "view", epoch, index) for index in indices])

    def load_validation(self, indices: Sequence[int]) -> dict[str, Tensor]:
        return self._stack(self.validation_split, indices, [0] * len(indices))

    def _stack(self, split: str, indices: Sequence[int], views: Sequence[int]) -> dict[str, Tensor]:
        images = [self.dataset.read(split, index, view)["image"] for index, view in zip(indices, views, strict=True)]
        return {"image": torch.from_numpy(np.stack(images))}

    def prepare(self, batch: dict[str, Tensor], *, address: int, rows: tuple[int, int], total: int) -> dict[str, Tensor]:
        return {"image": to_model(batch["image"])}


@dataclass(frozen=True, eq=False, repr=False)
class TrainTokenizer(Stage):
    """A trained tokenizer: its weights, and its curve in the record."""

    builder: Builder
    dataset: ResolvedComponent
    tokenizer: ResolvedComponent
    seed: int
    validation_split: str
    settings: TrainingSettings | None

    kind = "train_tokenizer"
    trains: ClassVar[bool] = True

    @property
    def name(self) -> str:
        """The tokenizer's name in the manifest, with its seed where that is not 0."""
        return self.tokenizer.label + (f" (tokenizer seed {self.seed})" if self.seed else "")

    @property
    def label(self) -> str:
        return f"train {self.name} on {self.dataset.label}"

    @property
    def training(self) -> TrainingSettings | None:
        return self.settings

    def identity(self) -> dict[str, Any]:
        return {
            "dataset": self.builder.identity(self.dataset),
            "tokenizer": self.builder.identity(self.tokenizer),
            "training": self.settings and training_identity(self.settings),
            "validation_split": self.validation_split,
            "seed": self.seed,
        }

    def build(self, builder: Builder, dataset: Dataset) -> Tokenizer:
        """The tokenizer with its initial weights."""
        return initialise(lambda: builder.tokenizer(self.tokenizer, dataset.info), seed=self.seed, kind=self.kind)

    def run(self, context: StageContext) -> dict[str, Any]:
        dataset = context.builder.dataset(self.dataset)
        tokenizer = self.build(context.builder, dataset)
        data = ImageTraining(dataset, self.seed, self.validation_split)
        if tokenizer.fitted:
            record = fit_tokenizer(
                tokenizer,
                lambda epoch: _epoch_batches(data, epoch),
                accelerator=context.accelerator,
                seed=self.seed,
                report=context.report,
            )
        elif self.settings is None:
            raise TamingplatError(f"{self.tokenizer.component.reference} is trained, but has no training settings")
        else:
            record = train(
                tokenizer,
                data,
                self.settings,
                accelerator=context.accelerator,
                seed=self.seed,
                work=context.work,
                report=context.report,
            )
        if context.is_main:
            save_weights(tokenizer, context.directory / WEIGHTS)
        return record.to_json()


def _epoch_batches(data: ImageTraining, epoch: int, size: int = 256) -> Iterator[Tensor]:
    """The images of an epoch, each once, in an order of its own; the last batch can be smaller."""
    order = np.random.default_rng(derive_seed(data.seed, "fit order", epoch)).permutation(data.length)
    for start in range(0, len(order), size):
        yield to_model(data.load(order[start : start + size].tolist(), epoch)["image"])


def load_tokenizer(stage: TrainTokenizer, context: StageContext) -> Tokenizer:
    """A finished tokenizer in eval mode on the context's device."""
    dataset = context.builder.dataset(stage.dataset)
    tokenizer = stage.build(context.builder, dataset)
    load_weights(tokenizer, context.artifact(stage).path(WEIGHTS))
    return tokenizer.to(context.device).eval()
