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
from tamingplat.interfaces.models import ImageSubject, Measurement
from tamingplat_metrics.config import FidConfig, FrechetConfig
from tamingplat_metrics.features import MANY_IMAGES, FeatureMetric, finite, numbered
from tamingplat_metrics.inception import InceptionFeatures


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
        wide = torch.from_numpy(np.asarray(finite(name, values), dtype=np.float64))
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


class FrechetDistance(FeatureMetric):
    """Fréchet distance to the reference split with the features of any extractor, called ``fd-`` and the extractor's name.

    Its bias grows as the images of either set get fewer, and not alike for all of them: below 10,000 it ranks nothing.
    """

    distance: ClassVar[bool] = True
    symmetric: ClassVar[bool | None] = True
    at_equality: ClassVar[float | Mapping[str, float] | None] = 0.0
    config: FrechetConfig

    @property
    def name(self) -> str:
        """The column's name, without the numbers of images."""
        return f"fd-{self.features_name}"

    def refusal(self, info: DatasetInfo, *, samples: int, reference: int) -> str | None:
        """Why there is no such distance of these images: their channels or size, or their number."""
        if reason := super().refusal(info, samples=samples, reference=reference):
            return reason
        for what, count in (("samples", samples), ("reference images", reference)):
            needed = 1 if self.config.allow_few else self.features.dimensions
            if count <= needed:
                return (
                    f"{count} {what} are too few for the covariance of {self.features.dimensions} features; "
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
        register_extractor(f"tamingplat-{self.features_name}", self.features)
        count, reference = len(subject.features), len(subject.reference_features)
        try:
            distance = frechet_distance(subject.features, subject.reference_features)
        except TamingplatError as error:
            raise TamingplatError(f"{self.name}: {error}") from error
        what = (
            f"Fréchet distance of {self.features_name} features between {count} images and {reference} of the "
            f"{subject.reference} split; it falls with their number, so compare equal numbers alone."
        )
        many = min(count, reference) >= MANY_IMAGES  # as the name says
        name = numbered(self.name, count, reference=reference)
        return [Measurement(name, distance, "", "lower", what, network=True, headline=True, ranks=many)]


class FrechetInceptionDistance(FrechetDistance):
    """FID: the Fréchet distance of torch-fidelity's Inception features, and of no others."""

    def __init__(self, config: FidConfig, parts: Mapping[str, Any]) -> None:
        super().__init__(config, parts)
        if not isinstance(self.features, InceptionFeatures):
            raise TamingplatError(
                f"metric fid: its extractor must be inception, not {config.extractor.use}; "
                "with other features use fd, which is called fd- and the extractor's name"
            )

    @property
    def name(self) -> str:
        """``fid``."""
        return "fid"
