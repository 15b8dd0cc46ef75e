"""Settings of the segmentation tokenizer."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

from pydantic import Field

from tamingplat_vq.config import AutoencoderConfig


class SegmentationConfig(AutoencoderConfig):
    """Settings of the segmentation tokenizer; the autoencoder's defaults are those of the published ones."""

    classes: int = Field(ge=2, description="Classes of the labels, and so channels of the one-hot label maps.")
    cross_entropy: Literal["categorical", "binary"] = Field(
        "categorical",
        description="categorical: of a softmax over the classes, averaged over pixels. binary: of a sigmoid for each class, "
        "averaged over pixels and classes, as in the reference implementation.",
    )

    def image_faults(self, image_size: tuple[int, int], channels: int) -> Iterator[str]:
        """What makes label maps of height and width ``image_size`` impossible, each with its remedy."""
        if channels != self.classes:
            yield (
                f"it takes one-hot label maps, one channel of zeros and ones for each of {self.classes} classes, not images of "
                f"{channels} channel{'s' * (channels != 1)}; give it label maps, and set classes to their number of classes"
            )
        yield from super().image_faults(image_size, channels)
