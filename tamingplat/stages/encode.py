"""Encoding a dataset: codes from a tokenizer, tokens from a conditioner, each once.

Shape letters: n images, N code positions, P condition positions.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from tamingplat.engine import Progress
from tamingplat.interfaces import derive_seed, layout_length
from tamingplat.interfaces.models import Dataset
from tamingplat.manifest import ResolvedComponent
from tamingplat.stages.build import Builder
from tamingplat.stages.condition_parts import ConditionTokenizers
from tamingplat.stages.images import read_columns, to_model
from tamingplat.stages.stage import Stage, StageContext
from tamingplat.stages.tokenizer_stage import TokenizerStage, load_tokenizer
from tamingplat.store import create_array, open_array, smallest_integer


def view_address(view: int) -> int:
    """The view of the dataset that encoded view ``view`` holds: 0 is the plain image, the others are augmented."""
    return 0 if view == 0 else 1 + derive_seed("encoded view", view)


def _encode_split(
    context: StageContext,
    dataset: Dataset,
    split: str,
    views: int,
    length: int,
    vocab_size: int,
    encode: Callable[[dict[str, Tensor]], Tensor],
    batch_size: int | None = None,
) -> None:
    count = dataset.info.splits[split]
    path = context.directory / f"{split}.npy"
    if context.is_main:
        create_array(path, (count, views, length), smallest_integer(vocab_size))
    context.accelerator.wait_for_everyone()
    rows = np.load(path, mmap_mode="r+", allow_pickle=False)
    batches = [(view, batch) for view in range(views) for batch in context.batches(count, batch_size)]
    for number, (view, indices) in enumerate(batches):
        tokens = encode(read_columns(dataset, split, indices, view_address(view)))
        rows[indices.start : indices.stop, view] = tokens.cpu().numpy()
        context.report(Progress(stage=f"encoding {split}", step=number + 1, steps=len(batches)))
    rows.flush()
    context.accelerator.wait_for_everyone()


@dataclass(frozen=True, eq=False, repr=False)
class EncodeDataset(Stage):
    """Codes of every image of some splits: ``<split>.npy``, the smallest integers that fit, (n, views, N).

    The training split has ``views`` views, the others view 0 alone. The record tells the images' source, where the dataset
    knows it.
    """

    builder: Builder
    dataset: ResolvedComponent
    tokenizer: TokenizerStage
    splits: tuple[str, ...]
    views: int

    kind = "encode"
    trains = True

    @property
    def label(self) -> str:
        return f"encode {self.dataset.label} with {self.tokenizer.name}"

    @property
    def inputs(self) -> tuple[Stage, ...]:
        return (self.tokenizer,)

    def identity(self) -> dict[str, Any]:
        return {"dataset": self.builder.identity(self.dataset), "splits": sorted(self.splits), "views": self.views}

    def run(self, context: StageContext) -> dict[str, Any]:
        dataset = context.builder.dataset(self.dataset)
        tokenizer = load_tokenizer(self.tokenizer, context)
        space = tokenizer.code_space(dataset.info.image_size)

        @torch.inference_mode()
        def encode(columns: dict[str, Tensor]) -> Tensor:
            return tokenizer.encode(to_model(columns["image"].to(context.device)))

        images = dataset.only(("image",))
        for split in self.splits:
            views = self.views if split == "train" else 1
            size = self.tokenizer.tokenizer.encode_batch_size
            _encode_split(context, images, split, views, space.length, space.vocab_size, encode, size)
        record = {"grids": [list(grid) for grid in space.grids], "vocab_size": space.vocab_size, "views": self.views}
        source = dataset.source()
        return record if source is None else {**record, "source": dict(source)}


@dataclass(frozen=True, eq=False, repr=False)
class EncodeConditions(Stage):
    """Condition tokens of every image of some splits: ``<split>.npy``, (n, views, P).

    Attributes:
        tokenizers: The stages of the condition's own tokenizers, by their place in the conditioner's settings.
    """

    builder: Builder
    dataset: ResolvedComponent
    conditioner: ResolvedComponent
    splits: tuple[str, ...]
    views: int
    tokenizers: ConditionTokenizers = ()

    kind = "encode_conditions"
    trains = True

    @property
    def label(self) -> str:
        return f"encode {self.dataset.label}'s conditions with {self.conditioner.label}"

    @property
    def inputs(self) -> tuple[Stage, ...]:
        return tuple(stage for _, stage in self.tokenizers)

    def identity(self) -> dict[str, Any]:
        return {
            "dataset": self.builder.identity(self.dataset),
            "conditioner": self.builder.identity(self.conditioner),
            "splits": sorted(self.splits),
            "views": self.views,
        }

    def run(self, context: StageContext) -> dict[str, Any]:
        dataset = context.builder.dataset(self.dataset)
        tokenizers = {path: load_tokenizer(stage, context) for path, stage in self.tokenizers}
        conditioner = context.builder.conditioner(self.conditioner, dataset.info, tokenizers)
        layout = conditioner.layout(dataset.info.image_size)

        @torch.inference_mode()
        def encode(columns: dict[str, Tensor]) -> Tensor:
            derived = conditioner.derive(columns)
            return conditioner.encode({name: value.to(context.device) for name, value in derived.items()})

        size = min((stage.tokenizer.encode_batch_size for _, stage in self.tokenizers), default=None)
        given = dataset.only(conditioner.columns)
        largest = max(part.vocab_size for part in layout)
        for split in self.splits:
            views = self.views if split == "train" else 1
            _encode_split(context, given, split, views, layout_length(layout), largest, encode, size)
        return {"parts": [[part.name, part.vocab_size, part.grid and list(part.grid)] for part in layout], "views": self.views}


def open_tokens(context: StageContext, stage: Stage, split: str) -> np.ndarray[Any, Any]:
    """Encoded codes or conditions of a split, memory-mapped, (n, views, N or P)."""
    return open_array(context.artifact(stage).path(f"{split}.npy"))
