"""Samples that are about to be drawn: everything was found to be possible.

Shape letters: n images, B batch, C/H/W image, N code positions.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from tamingplat.engine import Progress
from tamingplat.interfaces.models import Conditioner, Tokenizer
from tamingplat.manifest import ResolvedComponent
from tamingplat.stages.drawing import Drawing, condition_rows, load_drawing, sampling_seed
from tamingplat.stages.encode import open_tokens
from tamingplat.stages.finished.conditions import OwnConditions
from tamingplat.stages.finished.files import read_own
from tamingplat.stages.finished.options import SampleOptions
from tamingplat.stages.finished.source import CellSource
from tamingplat.stages.finished.watched import Watch, WatchedPrior
from tamingplat.stages.images import read_columns, to_file, to_model
from tamingplat.stages.tokenizer_stage import load_tokenizer
from tamingplat.stages.trained_parts import TrainedParts

Images = npt.NDArray[np.uint8]


@dataclass(frozen=True)
class Sampling:
    """Samples that are about to be drawn.

    Attributes:
        cell: From which cell.
        options: What is to be drawn.
        size: Height and width in pixels.
        sampler: What draws.
        parts: The stages of its trained parts.
        completes: Whether it completes images.
        conditions: Where the conditions come from; ``None`` for those of the split as they were encoded, or for none at all.
    """

    cell: CellSource
    options: SampleOptions
    size: tuple[int, int]
    sampler: ResolvedComponent
    parts: TrainedParts
    completes: bool
    conditions: OwnConditions | None

    def draw(self, report: Callable[[Progress], None]) -> Iterator[Images]:
        """Images in batches, uint8 (B, C, H, W)."""
        cell, options = self.cell, self.options
        batch_size = images_at_once(cell, options, self.size)
        context = cell.opened.context(report, batch_size)
        drawing = load_drawing(cell.prior, self.sampler, context, self.size, self.parts)
        if options.tile is not None:
            drawing.tokenizer.tile = options.tile
        guides = drawing.conditioner.dropout > 0 and _setting(self.sampler, "guidance", 1.0) not in (0.0, 1.0)
        given = drawing.sampler.given_positions(drawing.space)
        drawn = drawing.space.length - (0 if given is None else int(given.sum()))
        watch = Watch(report, options.count * drawn * (2 if guides else 1))
        drawing = replace(drawing, prior=WatchedPrior(drawing.prior, watch.seen))
        own = self.conditions
        if own is not None:
            give: Callable[[Sequence[int]], Tensor] = own.encoder(self._conditioner(context), context.device)
            classes = own.classes(options.count)
        else:
            stage, split = cell.samples.conditions, cell.samples.reference
            encoded = open_tokens(context, stage, split) if stage else None
            give = lambda indices: condition_rows(encoded, indices)  # noqa: E731 - the other branch's kind
            classes = drawing.classes(cell.dataset, split, options.count) if stage else None
        seed = sampling_seed(cell.prior.seed if options.seed is None else options.seed)
        photo = self._photo()
        for indices in context.batches(options.count):
            images = None if not self.completes else self._images(photo, indices).to(context.device)
            with torch.inference_mode():
                named = None if classes is None else classes.of(indices)
                codes = drawing.codes(indices, give(indices), seed=seed, images=images, classes=named)
                yield to_file(_decoded(drawing, codes)).cpu().numpy()

    def _conditioner(self, context: Any) -> Conditioner:
        """The conditioner of images of this size, with its tokenizers' weights."""
        stage = self.cell.prior
        tokenizers: dict[str, Tokenizer] = {}
        for path, needed in stage.conditions.tokenizers if stage.conditions else ():
            tokenizers[path] = load_tokenizer(needed, context)
            if tokenizers[path].tiles and self.options.tile is not None:
                tokenizers[path].tile = self.options.tile
        info = replace(self.cell.dataset.info, image_size=self.size)
        return self.cell.opened.plan.builder.conditioner(stage.conditioner, info, tokenizers)

    def _photo(self) -> Tensor | None:
        """The image that is completed, uint8 (1, C, H, W)."""
        if self.options.complete is None:
            return None
        return torch.from_numpy(read_own(self.cell.dataset, {"image": self.options.complete}, self.size)["image"])[None]

    def _images(self, photo: Tensor | None, indices: Sequence[int]) -> Tensor:
        """What is completed, float (B, C, H, W) in [-1, 1]: the user's own image, or those of the split."""
        if photo is not None:
            return to_model(photo).expand(len(indices), -1, -1, -1)
        dataset, split = self.cell.dataset.only(("image",)), self.cell.samples.reference
        rows = [index % dataset.info.splits[split] for index in indices]
        return to_model(read_columns(dataset, split, rows, 0)["image"])


def images_at_once(cell: CellSource, options: SampleOptions, size: tuple[int, int]) -> int:
    """What is asked for or else as many pixels as in evaluation, and at least one image."""
    if options.batch_size is not None:
        return options.batch_size
    height, width = cell.dataset.info.image_size
    pixels = cell.opened.plan.manifest.evaluate.batch_size * height * width
    return max(1, pixels // (size[0] * size[1]))


def _decoded(drawing: Drawing, codes: Tensor) -> Tensor:
    return drawing.tokenizer.decode(codes, drawing.image_size)


def _setting(sampler: ResolvedComponent, name: str, default: float) -> float:
    """A setting of a sampler, or of the one that it wraps."""
    if name in type(sampler.config).model_fields:
        return float(sampler.config.model_dump()[name])
    wrapped = [part for part in sampler.parts.values() if part.kind == "sampler"]
    return _setting(wrapped[0], name, default) if wrapped else default
