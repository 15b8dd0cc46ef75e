"""What the metrics share that look at features of images: names of columns, and what cannot be measured.

Shape letters: n and m images, D features.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from tamingplat.interfaces import DatasetInfo, TamingplatError
from tamingplat.interfaces.models import FeatureExtractor, Measures, Metric
from tamingplat_metrics.config import FeatureConfig

MANY_IMAGES = 10_000
"""From so many images on, a biased distance ranks, and is named without the number of the reference images."""


class FeatureMetric(Metric):
    """A metric of images that reads the features of one extractor."""

    measures: ClassVar[Measures] = "images"
    extractor: ClassVar[str | None] = "extractor"
    config: FeatureConfig

    @property
    def features(self) -> FeatureExtractor:
        """The extractor."""
        extractor: FeatureExtractor = self.parts["extractor"]
        return extractor

    @property
    def features_name(self) -> str:
        """The extractor as columns name it: with its variant, where it is not the usual one."""
        return "-".join(part for part in (self.config.extractor.use, self.features.variant) if part)

    def refusal(self, info: DatasetInfo, *, samples: int, reference: int) -> str | None:
        """Why these images have no such features: their channels or size, or there are none."""
        name, smallest = self.features_name, self.features.minimum_size
        if info.channels != 3:
            return f"{name} looks at colour images, not at {info.channels} channels; set the dataset's channels to 3"
        if min(info.image_size) < smallest:
            return f"{name} needs {smallest}×{smallest} pixels, and images have {info.image_size[0]}×{info.image_size[1]}"
        return None


def too_few(samples: int, reference: int, needed: int, why: str) -> str | None:
    """Why there are too few images where at least ``needed`` of each set are, ``why`` being what for."""
    for what, count in (("samples", samples), ("reference images", reference)):
        if count < needed:
            return f"{count} {what} are too few for {why}; give at least {needed}"
    return None


def numbered(name: str, count: int, *more: str, reference: int = MANY_IMAGES) -> str:
    """A column's name with what belongs in parentheses, so that what is not to be compared never stands in one column.

    Args:
        name: The name alone.
        count: How many images were measured, always named.
        more: What else is.
        reference: How many they were compared with, named where there are few; not to be given where it biases nothing.
    """
    few = [f"reference={reference}"] if reference < MANY_IMAGES else []
    return f"{name} ({', '.join([*more, f'N={count}', *few])})"


def finite(what: str, features: npt.NDArray[np.floating[Any]]) -> npt.NDArray[np.floating[Any]]:
    """The features as they are.

    Raises:
        TamingplatError: Some are not finite.
    """
    if not np.isfinite(features).all():
        raise TamingplatError(f"features of the {what} are not finite")
    return features


def wide(features: npt.NDArray[np.floating[Any]], device: torch.device) -> Tensor:
    """Features on a device, float64; float32 where it has no wider numbers."""
    return torch.from_numpy(np.array(features)).to(device, torch.float32 if device.type == "mps" else torch.float64)


def blocks(count: int, size: int) -> Sequence[slice]:
    """``count`` rows, ``size`` at a time."""
    return [slice(start, min(start + size, count)) for start in range(0, count, size)]
