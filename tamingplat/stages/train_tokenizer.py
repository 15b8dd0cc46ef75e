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

from tamingplat.engine import fit_tokenizer, save_weights, train
from tamingplat.interfaces import DatasetInfo, MapsInfo, TamingplatError, TrainingSettings, derive_seed
from tamingplat.interfaces.models import Conditioner, Dataset, Tokenizer
from tamingplat.manifest import ResolvedComponent, training_identity
from tamingplat.stages.build import Builder, initialise
from tamingplat.stages.condition_parts import conditioner_without_weights, maps_identity, tokenizer_fields
from tamingplat.stages.images import to_model
from tamingplat.stages.model_record import TokenizerRecord, portable_config
from tamingplat.stages.stage import StageContext
from tamingplat.stages.tokenizer_stage import WEIGHTS, TokenizerStage


@dataclass(frozen=True)
class ImageTraining:
    """Images for the training loop: a random view of each, addressed by (seed, epoch, image).

    With a conditioner they are the maps of its condition in place of the dataset's images.
    """

    dataset: Dataset
    seed: int
    validation_split: str
    conditioner: Conditioner | None = None

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
        columns = ("image",) if self.conditioner is None else self.conditioner.columns
        examples = [self.dataset.read(split, index, view) for index, view in zip(indices, views, strict=True)]
        batch = {name: torch.from_numpy(np.stack([example[name] for example in examples])) for name in columns}
        return batch if self.conditioner is None else self.conditioner.derive(batch)

    def images(self, batch: dict[str, Tensor]) -> Tensor:
        """What is loaded to what the tokenizer sees, float (B, C, H, W)."""
        return to_model(batch["image"]) if self.conditioner is None else self.conditioner.maps(batch)

    def prepare(self, batch: dict[str, Tensor], *, address: int, rows: tuple[int, int], total: int) -> dict[str, Tensor]:
        return {"image": self.images(batch)}


@dataclass(frozen=True, eq=False, repr=False)
class TrainTokenizer(TokenizerStage):
    """A trained tokenizer: its weights, and its curve in the record.

    Attributes:
        dataset: What it is trained on.
        validation_split: What its validation terms are measured on.
        settings: How it is trained; ``None`` for one that is fitted.
        conditioner: In place of the dataset's images it is trained on the maps of this conditioner, whose own tokenizer it is.
    """

    dataset: ResolvedComponent
    validation_split: str
    settings: TrainingSettings | None
    conditioner: ResolvedComponent | None = None

    kind = "train_tokenizer"
    trains: ClassVar[bool] = True

    @property
    def label(self) -> str:
        of_condition = "" if self.conditioner is None else f"'s {self.conditioner.component.name}"
        return f"train {self.name} on {self.dataset.label}{of_condition}"

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
            **({} if self.conditioner is None else {"maps": maps_identity(self.builder, self.conditioner)}),
        }

    def build(self, builder: Builder) -> Tokenizer:
        """The tokenizer with its initial weights."""
        seen = self._seen(builder)
        return initialise(lambda: builder.tokenizer(self.tokenizer, seen), seed=self.seed, kind=self.kind)

    def _seen(self, builder: Builder) -> DatasetInfo | MapsInfo:
        """What it is trained on."""
        info = builder.dataset(self.dataset).info
        return info if self.conditioner is None else builder.maps_info(self.conditioner, info)

    @property
    def model_record(self) -> dict[str, Any]:
        seen, resolved = self._seen(self.builder), self.tokenizer
        return TokenizerRecord(resolved.component.name, portable_config(resolved), seen.image_size, seen.channels).to_json()

    def _maps(self, builder: Builder, info: DatasetInfo) -> Conditioner | None:
        """What makes the maps, if they are maps that it is trained on."""
        if self.conditioner is None:
            return None
        own = tuple((field, self) for field in tokenizer_fields(self.conditioner))
        return conditioner_without_weights(builder, self.conditioner, info, own)

    def run(self, context: StageContext) -> dict[str, Any]:
        dataset = context.builder.dataset(self.dataset)
        tokenizer = self.build(context.builder)
        conditioner = self._maps(context.builder, dataset.info)
        seen = dataset.only(("image",) if conditioner is None else conditioner.columns)
        data = ImageTraining(seen, self.seed, self.validation_split, conditioner)
        if tokenizer.fitted:
            record = fit_tokenizer(
                tokenizer,
                lambda epoch: _epoch_batches(data, epoch),
                accelerator=context.accelerator,
                seed=self.seed,
                report=context.report,
            )
            with context.follow(self) as tracked:
                tracked.begin(0)
                for point in record.curve:
                    tracked.point(point)
        elif self.settings is None:
            raise TamingplatError(f"{self.tokenizer.component.reference} is trained, but has no training settings")
        else:
            with context.follow(self) as tracked:
                record = train(
                    tokenizer,
                    data,
                    self.settings,
                    accelerator=context.accelerator,
                    seed=self.seed,
                    work=context.work,
                    report=context.report,
                    track=tracked,
                )
        if context.is_main:
            save_weights(tokenizer, context.directory / WEIGHTS)
        return record.to_json()


def _epoch_batches(data: ImageTraining, epoch: int, size: int = 256) -> Iterator[Tensor]:
    """The images of an epoch, each once, in an order of its own; the last batch can be smaller."""
    order = np.random.default_rng(derive_seed(data.seed, "fit order", epoch)).permutation(data.length)
    for start in range(0, len(order), size):
        yield data.images(data.load(order[start : start + size].tolist(), epoch))
