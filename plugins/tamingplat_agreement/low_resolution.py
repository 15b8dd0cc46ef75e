"""Agreement with a smaller image.

Shape letters: n images, C/H/W image.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from tamingplat.interfaces import DatasetInfo
from tamingplat.interfaces.models import ImageSubject, Measurement, Measures, Metric, PlannedSamples
from tamingplat_agreement.asked import unlike_condition
from tamingplat_agreement.config import LowResolutionAgreementConfig
from tamingplat_agreement.scores import column_of, in_slices, measurements, too_few, with_others

MOST_DECIBELS = 100.0
"""The ratio of equal images."""


def averaged(images: npt.NDArray[np.uint8], factor: int) -> npt.NDArray[np.float64]:
    """uint8 (n, C, H, W) to float64 (n, C, H/factor, W/factor), the mean of every square."""
    count, channels, height, width = images.shape
    squares = images.reshape(count, channels, height // factor, factor, width // factor, factor)
    means: npt.NDArray[np.float64] = squares.mean((3, 5), dtype=np.float64)
    return means


def signal_to_noise(found: npt.NDArray[np.floating[Any]], wanted: npt.NDArray[np.floating[Any]]) -> float:
    """Peak signal-to-noise ratio in dB of values from 0 to 255, at most ``MOST_DECIBELS``."""
    error = float(np.square(found - wanted).mean())
    return min(MOST_DECIBELS, 10 * math.log10(255**2 / error)) if error else MOST_DECIBELS


class LowResolutionAgreement(Metric):
    """An image made smaller as its condition was, beside that condition."""

    measures: ClassVar[Measures] = "images"
    config: LowResolutionAgreementConfig

    def refusal(self, info: DatasetInfo, *, samples: int, reference: int) -> str | None:
        """Images whose sides are no multiple of the factor are refused, and a single image."""
        height, width = info.image_size
        if height % self.config.factor or width % self.config.factor:
            return f"images of {height}×{width} pixels are not divisible by factor {self.config.factor}; change size or factor"
        return too_few(samples)

    def samples_refusal(self, samples: PlannedSamples) -> str | None:
        """A factor other than the conditioner's is refused."""
        return unlike_condition(samples, "low-resolution", self.config, ("factor",))

    def run(self, subject: ImageSubject) -> Sequence[Measurement]:
        """Measure a set of images."""
        count, factor = len(subject.images), self.config.factor
        originals = column_of(subject, "image")
        found = np.concatenate([averaged(subject.images[rows], factor) for rows in in_slices(count)])
        wanted = np.concatenate([averaged(originals[rows], factor) for rows in in_slices(count)])
        own, other = with_others(count, lambda image, condition: signal_to_noise(found[image], wanted[condition]))
        what = f"PSNR, {factor} times smaller, with the condition (at most {MOST_DECIBELS:g} dB, which equal images have)"
        return measurements("low-res. PSNR", own, other, unit="dB", better="higher", what=what, condition="small image")
