"""Agreement with edges.

Shape letters: H/W image.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

import cv2
import numpy as np
import numpy.typing as npt

from tamingplat.interfaces import DatasetInfo
from tamingplat.interfaces.models import ImageSubject, Measurement, Measures, Metric, PlannedSamples
from tamingplat_agreement.asked import unlike_condition
from tamingplat_agreement.config import EdgeAgreementConfig
from tamingplat_agreement.scores import column_of, in_slices, measurements, too_few, with_others

Mask = npt.NDArray[np.bool_]


def canny(image: npt.NDArray[np.uint8], config: EdgeAgreementConfig) -> Mask:
    """Edges of the grey values of uint8 (C, H, W), bool (H, W); an alpha channel does not matter."""
    grey = image[0] if len(image) < 3 else cv2.cvtColor(np.ascontiguousarray(image[:3].transpose(1, 2, 0)), cv2.COLOR_RGB2GRAY)
    if config.blur:
        grey = cv2.GaussianBlur(grey, (0, 0), config.blur)
    found: Mask = cv2.Canny(np.ascontiguousarray(grey), config.low, config.high) > 0
    return found


def widened(edges: Mask, tolerance: int) -> Mask:
    """With all pixels at most ``tolerance`` rows and columns beside an edge."""
    side = 2 * tolerance + 1
    wide: Mask = cv2.dilate(edges.astype(np.uint8), np.ones((side, side), np.uint8)) > 0
    return wide


def f_score(found: Mask, wide_found: Mask, wanted: Mask, wide_wanted: Mask) -> float:
    """Harmonic mean of the share of found edges near wanted ones and of wanted ones near found ones; 1 where there are none."""
    if not found.any() and not wanted.any():
        return 1.0
    if not found.any() or not wanted.any():
        return 0.0
    precision, recall = float(wide_wanted[found].mean()), float(wide_found[wanted].mean())
    return 2 * precision * recall / (precision + recall) if precision + recall else 0.0


class EdgeAgreement(Metric):
    """Canny edges of an image beside those of the image that its condition is from."""

    measures: ClassVar[Measures] = "images"
    config: EdgeAgreementConfig

    def refusal(self, info: DatasetInfo, *, samples: int, reference: int) -> str | None:
        """A single image is refused."""
        return too_few(samples)

    def samples_refusal(self, samples: PlannedSamples) -> str | None:
        """Edges other than the conditioner's are refused."""
        return unlike_condition(samples, "edges", self.config, ("low", "high", "blur"))

    def run(self, subject: ImageSubject) -> Sequence[Measurement]:
        """Measure a set of images."""
        cv2.setNumThreads(0)
        count = len(subject.images)
        found, wanted = self._edges(subject.images, count), self._edges(column_of(subject, "image"), count)
        own, other = with_others(count, lambda image, condition: f_score(*found[image], *wanted[condition]))
        what = f"F-score of Canny edges with those of the condition, {self.config.tolerance} pixels beside them allowed"
        return measurements("edge F", own, other, unit="", better="higher", what=what, condition="edges")

    def _edges(self, images: Any, count: int) -> list[tuple[Mask, Mask]]:
        found = []
        for rows in in_slices(count):
            for image in images[rows]:
                edges = canny(image, self.config)
                found.append((edges, widened(edges, self.config.tolerance)))
        return found
