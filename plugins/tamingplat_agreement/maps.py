"""Agreement with maps that can only be estimated in an image: classes of pixels, and depth.

Shape letters: n images, H/W image, K classes.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from tamingplat.interfaces import DatasetInfo
from tamingplat.interfaces.models import ImageSubject, Measurement, Measures, Metric
from tamingplat_agreement.config import AgreementConfig
from tamingplat_agreement.estimator import PixelEstimator, random_places
from tamingplat_agreement.scores import Floats, column_of, in_slices, measurements, too_few, with_others


def intersection_over_union(found: npt.NDArray[Any], wanted: npt.NDArray[Any]) -> float:
    """Mean over the classes of either map (H, W) of the pixels that both have in common, divided by those that any has."""
    classes = int(max(found.max(), wanted.max())) + 1
    pairs = np.bincount(wanted.ravel().astype(np.int64) * classes + found.ravel(), minlength=classes**2)
    counts = pairs.reshape(classes, classes)
    common, union = np.diag(counts), counts.sum(0) + counts.sum(1) - np.diag(counts)
    return float((common[union > 0] / union[union > 0]).mean())


def rank_correlation(found: npt.NDArray[Any], wanted: npt.NDArray[Any]) -> float:
    """Spearman's correlation of two maps, equal values sharing their mean rank; 0 where one of them is of one value."""
    first, second = _ranks(found), _ranks(wanted)
    first, second = first - first.mean(), second - second.mean()
    size = float(np.sqrt((first @ first) * (second @ second)))
    return float(first @ second) / size if size else 0.0


def _ranks(values: npt.NDArray[Any]) -> Floats:
    _, groups, counts = np.unique(values, return_inverse=True, return_counts=True)
    ends = np.cumsum(counts)
    means: Floats = (ends - (counts - 1) / 2).astype(np.float64)
    return means[groups.ravel()]


class SegmentationAgreement(Metric):
    """Classes that an estimator sees in an image, beside those of the label map that it was made for.

    The score of an image is the mean over the classes of either map of their intersection over union.
    """

    measures: ClassVar[Measures] = "images"
    config: AgreementConfig

    def refusal(self, info: DatasetInfo, *, samples: int, reference: int) -> str | None:
        """A dataset without segmentation is refused, and a single image."""
        if "segmentation" not in info.columns:
            return "the dataset gives no segmentation; set the dataset's setting segmentation, or leave the metric out"
        return too_few(samples)

    def run(self, subject: ImageSubject) -> Sequence[Measurement]:
        """Measure a set of images."""
        maps = column_of(subject, "segmentation", reference=True)
        height, width = subject.reference_images[0:1].shape[2:]
        estimator = PixelEstimator(self.config, subject.device)
        classes = 1 + max(int(maps[number : number + 1].max()) for number in range(min(len(maps), self.config.fit_images)))

        def targets(number: int, places: npt.NDArray[np.int64]) -> npt.NDArray[np.float64]:
            wanted: npt.NDArray[np.float64] = np.eye(classes)[maps[number : number + 1].reshape(-1)[places]]
            return wanted

        estimator.fit(subject.reference_images, random_places(height * width, self.config.fit_pixels), targets)
        found = [
            estimator.estimate(image).argmax(0) for rows in in_slices(len(subject.images)) for image in subject.images[rows]
        ]
        wanted = _all(column_of(subject, "segmentation"), len(found))
        own, other = with_others(len(found), lambda image, map_: intersection_over_union(found[image], wanted[map_]))
        what = f"Mean IoU of the classes that an estimator fitted to the {subject.reference} split sees, with the label map"
        return measurements("seg. IoU", own, other, unit="", better="higher", what=what, condition="label map")


class DepthAgreement(Metric):
    """Depth that an estimator sees in an image, beside the depth map that it was made for: correlation of the pixels' ranks."""

    measures: ClassVar[Measures] = "images"
    config: AgreementConfig

    def refusal(self, info: DatasetInfo, *, samples: int, reference: int) -> str | None:
        """A dataset without depth is refused, and a single image."""
        if "depth" not in info.columns:
            return "the dataset gives no depth; set the dataset's setting depth, or leave the metric out"
        return too_few(samples)

    def run(self, subject: ImageSubject) -> Sequence[Measurement]:
        """Measure a set of images."""
        maps = column_of(subject, "depth", reference=True)
        height, width = subject.reference_images[0:1].shape[2:]
        estimator = PixelEstimator(self.config, subject.device)

        def targets(number: int, places: npt.NDArray[np.int64]) -> npt.NDArray[np.float64]:
            depths: npt.NDArray[np.float64] = maps[number : number + 1].reshape(-1, 1)[places].astype(np.float64)
            return depths

        estimator.fit(subject.reference_images, random_places(height * width, self.config.fit_pixels), targets)
        found = [estimator.estimate(image)[0] for rows in in_slices(len(subject.images)) for image in subject.images[rows]]
        wanted = _all(column_of(subject, "depth"), len(found))
        own, other = with_others(len(found), lambda image, map_: rank_correlation(found[image], wanted[map_][0]))
        what = (
            f"Rank correlation of the depth that an estimator fitted to the {subject.reference} split sees, with the depth map"
        )
        return measurements("depth corr.", own, other, unit="", better="higher", what=what, condition="depth map")


def _all(column: Any, count: int) -> npt.NDArray[Any]:
    """The first rows of a column, which are read some at a time."""
    return np.concatenate([column[rows] for rows in in_slices(count)])
