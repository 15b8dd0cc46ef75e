"""Sampling images from a prior, and reconstructing images with a tokenizer.

Shape letters: n images, B batch, C/H/W image, N code positions, P condition positions.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import torch

from tamingplat.engine import PeakMemory, Progress, device_name
from tamingplat.interfaces import derive_seed
from tamingplat.interfaces.models import Conditioner, Ordering, Prior, Sampler, SampleRequest, Tokenizer
from tamingplat.manifest import ResolvedComponent
from tamingplat.stages.build import Builder
from tamingplat.stages.encode import EncodeConditions, open_tokens
from tamingplat.stages.images import read_columns, to_file, to_model
from tamingplat.stages.prior_stage import PriorStage, load_prior, visit_plan
from tamingplat.stages.stage import Stage, StageContext
from tamingplat.stages.tokenizer_stage import TokenizerStage, load_tokenizer
from tamingplat.store import create_array, smallest_integer

IMAGES = "images.npy"
CODES = "codes.npy"


@dataclass(frozen=True)
class Drawing:
    """All that is needed to draw samples of one cell, loaded."""

    stage: PriorStage
    prior: Prior
    tokenizer: Tokenizer
    sampler: Sampler
    ordering: Ordering
    conditioner: Conditioner
    image_size: tuple[int, int]
    device: torch.device

    def codes(self, indices: range, conditions: np.ndarray[Any, Any] | None, *, seed: int) -> torch.Tensor:
        """Samples of the given numbers, int64 (B, N); ``conditions`` are the encoded ones of a split, (n, views, P)."""
        stage, device = self.stage, self.device
        if conditions is None:
            condition = torch.empty(len(indices), 0, dtype=torch.int64)
        else:
            rows = np.stack([conditions[index % len(conditions), 0] for index in indices])
            condition = torch.from_numpy(rows.astype(np.int64))
        null = self.conditioner.null(len(indices)) if self.conditioner.dropout else None
        plan = visit_plan(self.ordering, stage.space, indices, seed=seed)
        return self.sampler.sample(
            SampleRequest(
                prior=self.prior,
                tokenizer=self.tokenizer,
                space=stage.space,
                layout=stage.layout,
                plan=plan.to(device),
                condition=condition.to(device),
                null_condition=None if null is None else null.to(device),
                image_size=self.image_size,
                indices=torch.arange(indices.start, indices.stop, device=device),
                seed=seed,
            )
        )


def load_drawing(stage: PriorStage, sampler: ResolvedComponent, context: StageContext) -> Drawing:
    """Load the finished prior and tokenizer of a cell, in eval mode."""
    builder = context.builder
    dataset = builder.dataset(stage.codes.dataset)
    return Drawing(
        stage=stage,
        prior=load_prior(stage, context),
        tokenizer=load_tokenizer(stage.codes.tokenizer, context),
        sampler=builder.sampler(sampler),
        ordering=builder.ordering(stage.ordering),
        conditioner=stage.make_conditioner(builder),
        image_size=dataset.info.image_size,
        device=context.device,
    )


def sampling_seed(seed: int) -> int:
    """The seed of the samples of a cell with this seed; the same for every cell, so that noise is common to them."""
    return derive_seed(seed, "sample")


@dataclass(frozen=True, eq=False, repr=False)
class SampleImages(Stage):
    """Samples: ``codes.npy`` (n, N) and ``images.npy`` uint8 (n, C, H, W), as files would hold them.

    Sample i has the condition of example i mod n of the reference split.
    """

    builder: Builder
    prior: PriorStage
    sampler: ResolvedComponent
    conditions: EncodeConditions | None
    count: int
    reference: str

    kind = "sample"
    trains: ClassVar[bool] = True

    @property
    def label(self) -> str:
        return f"sample {self.count} from {self.prior.name}, {self.sampler.label}"

    @property
    def inputs(self) -> tuple[Stage, ...]:
        conditions = (self.conditions,) if self.conditions else ()
        return (self.prior, *self.prior.sampled_with, *conditions)

    def identity(self) -> dict[str, Any]:
        return {
            "sampler": self.builder.identity(self.sampler),
            "count": self.count,
            "conditions_of": self.reference if self.conditions else None,
            "seed": self.prior.seed,
        }

    def run(self, context: StageContext) -> dict[str, Any]:
        drawing = load_drawing(self.prior, self.sampler, context)
        dataset = context.builder.dataset(self.prior.codes.dataset)
        space, seed = self.prior.space, sampling_seed(self.prior.seed)
        conditions = open_tokens(context, self.conditions, self.reference) if self.conditions else None
        if context.is_main:
            height, width = dataset.info.image_size
            shape = (self.count, dataset.info.channels, height, width)
            create_array(context.directory / CODES, (self.count, space.length), smallest_integer(space.vocab_size))
            create_array(context.directory / IMAGES, shape, np.dtype(np.uint8))
        context.accelerator.wait_for_everyone()
        codes_file = np.load(context.directory / CODES, mmap_mode="r+", allow_pickle=False)
        images_file = np.load(context.directory / IMAGES, mmap_mode="r+", allow_pickle=False)
        memory = PeakMemory(context.device)
        started = time.perf_counter()
        batches = context.batches(self.count)
        for number, indices in enumerate(batches):
            with torch.inference_mode():
                codes = drawing.codes(indices, conditions, seed=seed)
                images = to_file(drawing.tokenizer.decode(codes, dataset.info.image_size))
            codes_file[indices.start : indices.stop] = codes.cpu().numpy()
            images_file[indices.start : indices.stop] = images.cpu().numpy()
            context.report(Progress(stage="sampling", step=number + 1, steps=len(batches)))
        context.accelerator.wait_for_everyone()
        seconds = time.perf_counter() - started
        codes_file.flush()
        images_file.flush()
        return {
            "seconds": seconds,
            "images_per_second": self.count / seconds,
            "tokens_per_second": self.count * space.length / seconds,
            "batch_size": context.batch_size,
            "peak_memory_bytes": memory.read(),
            "device": device_name(context.device),
            "threads": torch.get_num_threads(),
            "processes": context.accelerator.num_processes,
            "decode_included": True,
        }


@dataclass(frozen=True, eq=False, repr=False)
class Reconstruct(Stage):
    """Reconstructions of the first images of a split: ``images.npy``, uint8 (n, C, H, W)."""

    builder: Builder
    tokenizer: TokenizerStage
    dataset: ResolvedComponent
    split: str
    count: int

    kind = "reconstruct"
    trains: ClassVar[bool] = True

    @property
    def label(self) -> str:
        return f"reconstruct {self.split} with {self.tokenizer.name}"

    @property
    def inputs(self) -> tuple[Stage, ...]:
        return (self.tokenizer,)

    def identity(self) -> dict[str, Any]:
        return {"dataset": self.builder.identity(self.dataset), "split": self.split, "count": self.count}

    def run(self, context: StageContext) -> dict[str, Any]:
        dataset = context.builder.dataset(self.dataset).only(("image",))
        tokenizer = load_tokenizer(self.tokenizer, context)
        size, path = dataset.info.image_size, context.directory / IMAGES
        if context.is_main:
            create_array(path, (self.count, dataset.info.channels, *size), np.dtype(np.uint8))
        context.accelerator.wait_for_everyone()
        rows = np.load(path, mmap_mode="r+", allow_pickle=False)
        batches = context.batches(self.count)
        for number, indices in enumerate(batches):
            images = to_model(read_columns(dataset, self.split, indices, 0)["image"].to(context.device))
            with torch.inference_mode():
                rows[indices.start : indices.stop] = to_file(tokenizer.decode(tokenizer.encode(images), size)).cpu().numpy()
            context.report(Progress(stage="reconstructing", step=number + 1, steps=len(batches)))
        rows.flush()
        context.accelerator.wait_for_everyone()
        return {}
