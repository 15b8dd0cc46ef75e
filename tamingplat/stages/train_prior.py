"""Training a prior on the codes of an encoded dataset.

Shape letters: B batch, N code positions, P condition positions.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor

from tamingplat.engine import save_weights, train
from tamingplat.interfaces import CodeSpace, Crop, TrainingSettings, Windows, derive_seed
from tamingplat.interfaces.models import Ordering, Prior, PriorBatch
from tamingplat.manifest import training_identity
from tamingplat.stages.build import Builder, initialise
from tamingplat.stages.encode import open_tokens
from tamingplat.stages.model_record import ArtifactAddress, PriorRecord, portable_config
from tamingplat.stages.prior_stage import PriorStage
from tamingplat.stages.stage import Stage, StageContext
from tamingplat.stages.tokenizer_stage import WEIGHTS
from tamingplat.stages.windowed import Tokens, random_window

Place = tuple[int, int] | None
"""Top and left of a window; ``None`` for a whole image."""


@dataclass(frozen=True)
class CodeTraining:
    """Codes, conditions and visiting plans for the training loop.

    Attributes:
        codes: Integers (n, views, N) of the training split.
        conditions: Integers (n, views, P), or ``None`` where P = 0.
        validation_codes: Integers (m, 1, N).
        validation_conditions: As ``conditions``.
        null: int64 (P,), the absent condition.
        dropout: Share of training examples whose condition is replaced by ``null``.
        ordering: Gives the visiting plans.
        space: The codes that the prior models.
        seed: Of the prior.
        windows: Where these are of a window: one at a random place of each image is trained on, and those that tile an image
            are validated on. ``None`` for whole images.
    """

    codes: Tokens
    conditions: Tokens | None
    validation_codes: Tokens
    validation_conditions: Tokens | None
    null: Tensor
    dropout: float
    ordering: Ordering
    space: CodeSpace
    seed: int
    windows: Windows | None = None

    @property
    def length(self) -> int:
        return len(self.codes)

    @property
    def validation_length(self) -> int:
        return len(self.validation_codes) * len(self._tiles)

    @cached_property
    def _tiles(self) -> tuple[Place, ...]:
        """The windows of a validation image; one that is the whole image, where there are none."""
        return (None,) if self.windows is None else self.windows.tiles()

    def load(self, indices: Sequence[int], epoch: int) -> dict[str, Tensor]:
        views = self.codes.shape[1]
        chosen = [derive_seed(self.seed, "view", epoch, index) % views if views > 1 else 0 for index in indices]
        places: list[Place] = [None] * len(indices)
        if self.windows is not None:
            places = [random_window(self.windows, self.seed, epoch, index) for index in indices]
        batch = self._gather(self.codes, self.conditions, indices, chosen, places)
        if self.dropout:
            draws = [derive_seed(self.seed, "condition dropout", epoch, index) for index in indices]
            dropped = torch.tensor([draw < self.dropout * 2**63 for draw in draws])
            batch["condition"] = torch.where(dropped[:, None], self.null, batch["condition"])
        return batch

    def load_validation(self, indices: Sequence[int]) -> dict[str, Tensor]:
        images, places = [], []
        for index in indices:
            image, tile = divmod(index, len(self._tiles))
            images.append(image)
            places.append(self._tiles[tile])
        return self._gather(self.validation_codes, self.validation_conditions, images, [0] * len(images), places)

    def _gather(
        self,
        codes: Tokens,
        conditions: Tokens | None,
        indices: Sequence[int],
        views: Sequence[int],
        places: Sequence[Place],
    ) -> dict[str, Tensor]:
        def rows(array: Tokens, crop: Crop | None) -> Tensor:
            # Row by row: fancy indexing of a memory map would read it through a copy of the index's size anyway.
            found = [
                array[index, view] if place is None or crop is None else array[index, view][crop.at(*place)]
                for index, view, place in zip(indices, views, places, strict=True)
            ]
            return torch.from_numpy(np.stack(found).astype(np.int64))

        windows = self.windows
        condition = torch.empty(len(indices), 0, dtype=torch.int64)
        if conditions is not None:
            condition = rows(conditions, None if windows is None else windows.condition)
        return {"codes": rows(codes, None if windows is None else windows.codes), "condition": condition}

    def prepare(self, batch: dict[str, Tensor], *, address: int, rows: tuple[int, int], total: int) -> PriorBatch:
        if self.ordering.random:
            # Drawn for the whole global batch and then cut, so that it is the same for any number of processes.
            generator = torch.Generator().manual_seed(derive_seed(self.seed, "visit plan of step", address))
            plan = self.ordering.plan(self.space, total, generator=generator).rows(*rows)
        else:
            plan = self.ordering.plan(self.space, rows[1] - rows[0])
        codes = batch["codes"]
        return PriorBatch(codes, batch["condition"], plan.to(codes.device))


@dataclass(frozen=True, eq=False, repr=False)
class TrainPrior(PriorStage):
    """A trained prior: its weights, and its curve in the record."""

    validation_split: str
    settings: TrainingSettings

    kind = "train_prior"
    trains: ClassVar[bool] = True

    @property
    def label(self) -> str:
        return f"train {self.name}"

    @property
    def inputs(self) -> tuple[Stage, ...]:
        return self.sources

    @property
    def training(self) -> TrainingSettings | None:
        return self.settings

    def identity(self) -> dict[str, Any]:
        return {
            "prior": self.builder.identity(self.prior),
            "ordering": self.builder.identity(self.ordering),
            "conditioner": self.builder.identity(self.conditioner),
            "training": training_identity(self.settings),
            "validation_split": self.validation_split,
            "seed": self.seed,
            **({} if self.windows is None else {"window": list(self.windows.size)}),
        }

    def build(self, builder: Builder) -> Prior:
        """The prior with its initial weights, which are the same for every ordering."""
        return initialise(lambda: builder.prior(self.prior, self.space, self.layout), seed=self.seed, kind=self.kind)

    @property
    def model_record(self) -> dict[str, Any]:
        own = [ArtifactAddress(stage.kind, stage.key) for stage in (self.conditions.inputs if self.conditions else ())]
        tokenizer = self.codes.tokenizer
        return PriorRecord(
            component=self.prior.component.name,
            config=portable_config(self.prior),
            space=self.space,
            layout=self.layout,
            ordering=self.ordering.component.name,
            conditioner=self.conditioner.component.name,
            tokenizer=ArtifactAddress(tokenizer.kind, tokenizer.key),
            condition_tokenizer=own[0] if len(own) == 1 else None,
        ).to_json()

    def data(self, context: StageContext) -> CodeTraining:
        """What the training loop reads."""
        conditioner = self.make_conditioner(context.builder)
        conditions, null, windows = self.conditions, conditioner.null(1)[0], self.windows
        return CodeTraining(
            codes=open_tokens(context, self.codes, "train"),
            conditions=open_tokens(context, conditions, "train") if conditions else None,
            validation_codes=open_tokens(context, self.codes, self.validation_split),
            validation_conditions=open_tokens(context, conditions, self.validation_split) if conditions else None,
            null=null if windows is None else null[windows.condition.at(0, 0)],
            dropout=conditioner.dropout if conditions else 0.0,
            ordering=context.builder.ordering(self.ordering),
            space=self.space,
            seed=self.seed,
            windows=windows,
        )

    def run(self, context: StageContext) -> dict[str, Any]:
        prior = self.build(context.builder)
        with context.follow(self) as tracked:
            record = train(
                prior,
                self.data(context),
                self.settings,
                accelerator=context.accelerator,
                seed=self.seed,
                work=context.work,
                report=context.report,
                track=tracked,
            )
        if context.is_main:
            save_weights(prior, context.directory / WEIGHTS)
        return record.to_json()
