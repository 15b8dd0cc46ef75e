"""Fréchet distance between the features of two sets of images, by torch-fidelity's arithmetic.

Heusel et al., "GANs Trained by a Two Time-Scale Update Rule Converge to a Local Nash Equilibrium", NeurIPS 2017, Eq. 6.

Shape letters: n and m images, D features.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt
import torch

from tamingplat.interfaces import DatasetInfo, TamingplatError
from tamingplat.interfaces.models import FeatureExtractor, ImageSubject, Measurement, Measures, Metric
from tamingplat_metrics.config import FidConfig, FrechetConfig
from tamingplat_metrics.inception import InceptionFeatures

MANY_IMAGES = 10_000
"""From so many images on, a distance is named without their number."""


def frechet_distance(features: npt.NDArray[np.floating[Any]], reference: npt.NDArray[np.floating[Any]]) -> float:
    """Fréchet distance between the normal distributions that fit (n, D) and (m, D) features, in float64.

    Raises:
        TamingplatError: A feature or the distance is not finite.
    """
    from torch_fidelity.metric_fid import KEY_METRIC_FID, fid_features_to_statistics, fid_statistics_to_metric

    statistics = []
    for name, values in (("images", features), ("reference", reference)):
        if len(values) < 2:
            raise TamingplatError(f"a covariance needs at least 2 images, and the {name} are {len(values)}")
        wide = torch.from_numpy(np.asarray(values, dtype=np.float64))
        if not wide.isfinite().all():
            raise TamingplatError(f"features of the {name} are not finite")
        with np.errstate(all="ignore"):  # what overflows is found below
            statistics.append(fid_features_to_statistics(wide))
    try:
        with np.errstate(all="ignore"):
            distance = float(fid_statistics_to_metric(*statistics, verbose=False)[KEY_METRIC_FID])
    except np.linalg.LinAlgError as error:
        raise TamingplatError(f"the covariances of the features have no common root ({error})") from error
    size = sum(float(np.trace(one["sigma"])) for one in statistics)
    # Between equal distributions rounding can leave it a little below zero.
    if not math.isfinite(distance) or distance < -1e-3 * size:
        raise TamingplatError(
            f"the distance came out as {distance}, which is not a distance; the covariances cannot be trusted"
        )
    return max(distance, 0.0)


class FrechetDistance(Metric):
    """Fréchet distance to the reference split with the features of any extractor, called ``fd-`` and the extractor's name."""

    measures: ClassVar[Measures] = "images"
    extractor: ClassVar[str | None] = "extractor"
    symmetric: ClassVar[bool | None] = True
    at_equality: ClassVar[float | Mapping[str, float] | None] = 0.0
    config: FrechetConfig

    @property
    def name(self) -> str:
        """The column's name, without the number of images."""
        return f"fd-{self.config.extractor.use}"

    @property
    def _features(self) -> FeatureExtractor:
        extractor: FeatureExtractor = self.parts["extractor"]
        return extractor

    def refusal(self, info: DatasetInfo, *, samples: int, reference: int) -> str | None:
        """Why there is no such distance of these images: their channels or size, or their number."""
        extractor, smallest = self.config.extractor.use, self._features.minimum_size
        if info.channels != 3:
            return f"{extractor} looks at colour images, not at {info.channels} channels; set the dataset's channels to 3"
        if min(info.image_size) < smallest:
            return f"{extractor} needs {smallest}×{smallest} pixels, and images have {info.image_size[0]}×{info.image_size[1]}"
        for what, count in (("samples", samples), ("reference images", reference)):
            needed = 1 if self.config.allow_few else self._features.dimensions
            if count <= needed:
                return (
                    f"{count} {what} are too few for the covariance of {self._features.dimensions} features; "
                    f"{'give' if needed == 1 else 'set allow_few = true, or give'} more than {needed}"
                )
        return None

    def run(self, subject: ImageSubject) -> Sequence[Measurement]:
        """Measure a set of images.

        Raises:
            TamingplatError: A feature or the distance is not finite.
        """
        from tamingplat_metrics.torch_fidelity_extractor import register_extractor

        assert subject.features is not None and subject.reference_features is not None
        register_extractor(f"tamingplat-{self.config.extractor.use}", self._features)
        count, reference = len(subject.features), len(subject.reference_features)
        try:
            distance = frechet_distance(subject.features, subject.reference_features)
        except TamingplatError as error:
            raise TamingplatError(f"{self.name}: {error}") from error
        name = self.name if count >= MANY_IMAGES else f"{self.name} (N={count})"
        what = (
            f"Fréchet distance of {self.config.extractor.use} features between {count} images and {reference} of the "
            f"{subject.reference} split; it falls with their number, so compare equal numbers alone."
        )
        return [Measurement(name, distance, "", "lower", what, network=True, headline=True)]


class FrechetInceptionDistance(FrechetDistance):
    """FID: the Fréchet distance of torch-fidelity's Inception features, and of no others."""

    def __init__(self, config: FidConfig, parts: Mapping[str, Any]) -> None:
        super().__init__(config, parts)
        if not isinstance(self._features, InceptionFeatures):
            raise TamingplatError(
                f"metric fid: its extractor must be inception, not {config.extractor.use}; "
                "with other features use fd-st-vgg with that extractor, which is then called fd- and the extractor's name"
            )

    @property
    def name(self) -> str:
        """``fid``."""
        return "fid"
