"""Sampling images from a prior, and reconstructing images with a tokenizer.

Shape letters: n images, B batch, C/H/W image, N code positions.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt
import torch

from tamingplat.engine import PeakMemory, Progress, device_name
from tamingplat.interfaces.models import Dataset
from tamingplat.manifest import ResolvedComponent
from tamingplat.stages.build import Builder
from tamingplat.stages.drawing import condition_rows, load_drawing, sampling_seed
from tamingplat.stages.encode import EncodeConditions, open_tokens
from tamingplat.stages.images import read_columns, to_file, to_model
from tamingplat.stages.prior_stage import PriorStage
from tamingplat.stages.stage import Stage, StageContext
from tamingplat.stages.tokenizer_stage import TokenizerStage, load_tokenizer
from tamingplat.stages.trained_parts import TrainedParts, sampler_without_weights
from tamingplat.store import create_array, smallest_integer

IMAGES = "images.npy"
CODES = "codes.npy"
_FOLLOWED = 64


@dataclass(frozen=True, eq=False, repr=False)
class SampleImages(Stage):
    """Samples: ``codes.npy`` (n, N) and ``images.npy`` uint8 (n, C, H, W), as files would hold them.

    Sample i has the condition of example i mod n of the split ``reference``, and completes its image where the sampler
    completes images.
    """

    builder: Builder
    prior: PriorStage
    sampler: ResolvedComponent
    conditions: EncodeConditions | None
    count: int
    reference: str
    parts: TrainedParts = ()

    kind = "sample"
    trains: ClassVar[bool] = True

    @property
    def label(self) -> str:
        return f"sample {self.count} from {self.prior.name}, {self.sampler.label}"

    @property
    def inputs(self) -> tuple[Stage, ...]:
        conditions = (self.conditions,) if self.conditions else ()
        return (self.prior, *self.prior.sampled_with, *conditions, *(stage for _, stage in self.parts))

    @property
    def completes(self) -> bool:
        """Whether a part of each image is that of an example of the split ``reference``."""
        info = self.builder.dataset(self.prior.codes.dataset).info
        sampler = sampler_without_weights(self.builder, self.sampler, info)
        return sampler.given_positions(self.prior.image_space) is not None

    def identity(self) -> dict[str, Any]:
        return {
            "sampler": self.builder.identity(self.sampler),
            "count": self.count,
            "conditions_of": self.reference if self.conditions else None,
            "seed": self.prior.seed,
            **({"completed": self.reference} if self.completes else {}),
        }

    def run(self, context: StageContext) -> dict[str, Any]:
        drawing = load_drawing(self.prior, self.sampler, context, parts=self.parts)
        dataset = context.builder.dataset(self.prior.codes.dataset)
        space, seed = drawing.space, sampling_seed(self.prior.seed)
        conditions = open_tokens(context, self.conditions, self.reference) if self.conditions else None
        classes = drawing.classes(dataset, self.reference, self.count) if self.conditions else None
        originals = dataset.only(("image",)) if self.completes else None
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
            given = None
            if originals is not None:
                given = _repeated_images(originals, self.reference, indices).to(context.device)
            with torch.inference_mode():
                codes = drawing.codes(
                    indices,
                    condition_rows(conditions, indices),
                    seed=seed,
                    images=given,
                    classes=None if classes is None else classes.of(indices),
                )
                images = to_file(drawing.tokenizer.decode(codes, dataset.info.image_size))
            codes_file[indices.start : indices.stop] = codes.cpu().numpy()
            images_file[indices.start : indices.stop] = images.cpu().numpy()
            context.report(Progress(stage="sampling", step=number + 1, steps=len(batches)))
        context.accelerator.wait_for_everyone()
        seconds = time.perf_counter() - started
        codes_file.flush()
        images_file.flush()
        follow_images(context, self, images_file, {"images_per_second": self.count / seconds})
        return {
            "seconds": seconds,
            "images_per_second": self.count / seconds,
            "candidates": drawing.drawn(classes, context.shares(self.count)),
            "tokens_per_second": self.count * space.length / seconds,
            "batch_size": context.batch_size,
            "peak_memory_bytes": memory.read(),
            "device": device_name(context.device),
            "dtype": str(next(drawing.prior.parameters(), torch.empty(0)).dtype).removeprefix("torch."),
            "threads": torch.get_num_threads(),
            "processes": context.accelerator.num_processes,
            "decode_included": True,
        }


def follow_images(context: StageContext, stage: Stage, images: npt.NDArray[np.uint8], numbers: Mapping[str, float]) -> None:
    """Show trackers the first images that a stage made, uint8 (n, C, H, W), and numbers beside them."""
    if context.is_main and context.tracking.trackers:
        with context.follow(stage) as tracked:
            tracked.begin(0)
            tracked.images("images", np.array(images[:_FOLLOWED]), 0)
            if numbers:
                tracked.numbers(numbers, 0)


def _repeated_images(dataset: Dataset, split: str, indices: range) -> torch.Tensor:
    """Images i mod n of a split of n, float (B, C, H, W) in [-1, 1]."""
    count = dataset.info.splits[split]
    return to_model(read_columns(dataset, split, [index % count for index in indices], 0)["image"])


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
        follow_images(context, self, rows, {})
        return {}
