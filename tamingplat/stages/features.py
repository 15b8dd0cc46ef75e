"""Features of a set of images, extracted once per set and extractor.

Shape letters: n images, B batch, C/H/W image, D features.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import torch

from tamingplat.engine import Progress
from tamingplat.interfaces.models import ImageArray
from tamingplat.manifest import ResolvedComponent
from tamingplat.stages.build import Builder
from tamingplat.stages.images import SplitImages
from tamingplat.stages.sample import IMAGES, Reconstruct, SampleImages
from tamingplat.stages.stage import Stage, StageContext
from tamingplat.stages.trained_parts import TrainedParts, load_parts
from tamingplat.store import create_array, open_array

FEATURES = "features.npy"


@dataclass(frozen=True)
class RealImages:
    """The first ``count`` images of a split, as a source of features."""

    builder: Builder
    dataset: ResolvedComponent
    split: str
    count: int

    @property
    def label(self) -> str:
        return f"{self.count} images of {self.dataset.label} {self.split}"


ImageSource = SampleImages | Reconstruct | RealImages


def open_images(source: ImageSource, context: StageContext) -> ImageArray:
    """The images of a source, read in slices."""
    if isinstance(source, RealImages):
        return SplitImages(context.builder.dataset(source.dataset), source.split, source.count)
    array: np.ndarray[Any, np.dtype[np.uint8]] = open_array(context.artifact(source).path(IMAGES))
    return array


@dataclass(frozen=True, eq=False, repr=False)
class ExtractFeatures(Stage):
    """Features of a set of images: ``features.npy``, float32 (n, D).

    Attributes:
        source: Which images.
        extractor: What extracts them.
        parts: The stages of the extractor's trained parts.
    """

    builder: Builder
    source: ImageSource
    extractor: ResolvedComponent
    parts: TrainedParts = ()

    kind = "features"
    trains: ClassVar[bool] = True

    @property
    def label(self) -> str:
        return f"{self.extractor.label} features of {self.source.label.removeprefix('train ')}"

    @property
    def inputs(self) -> tuple[Stage, ...]:
        source = () if isinstance(self.source, RealImages) else (self.source,)
        return (*source, *(stage for _, stage in self.parts))

    def identity(self) -> dict[str, Any]:
        identity: dict[str, Any] = {"extractor": self.builder.identity(self.extractor)}
        if isinstance(self.source, RealImages):
            identity["dataset"] = self.builder.identity(self.source.dataset)
            identity["split"], identity["count"] = self.source.split, self.source.count
        return identity

    def run(self, context: StageContext) -> dict[str, Any]:
        images = open_images(self.source, context)
        extractor = context.builder.extractor(self.extractor, load_parts(self.parts, context))
        path = context.directory / FEATURES
        if context.is_main:
            create_array(path, (len(images), extractor.dimensions), np.dtype(np.float32))
        context.accelerator.wait_for_everyone()
        rows = np.load(path, mmap_mode="r+", allow_pickle=False)
        batches = context.batches(len(images))
        for number, indices in enumerate(batches):
            batch = torch.from_numpy(np.array(images[indices.start : indices.stop]))
            with torch.inference_mode():
                features = extractor.features(batch.to(context.device))
            rows[indices.start : indices.stop] = features.float().cpu().numpy()
            context.report(Progress(stage="extracting features", step=number + 1, steps=len(batches)))
        rows.flush()
        context.accelerator.wait_for_everyone()
        return {"dimensions": extractor.dimensions, "count": len(images)}
