"""Whether samples are nearer to training images than images are that nothing was trained on.

Meehan et al., "A Non-Parametric Test to Detect Data-Copying in Generative Models", AISTATS 2020: the distances of samples and
of held-out images to their nearest training image, compared by rank.

Shape letters: n samples, t training images, h held-out images, D features.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import ClassVar

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from tamingplat.interfaces import TamingplatError
from tamingplat.interfaces.models import ImageSubject, Measurement
from tamingplat_metrics.config import MemorisationConfig
from tamingplat_metrics.features import FeatureMetric, blocks, finite, numbered, wide

_ROWS, _COLUMNS = 1024, 4096


def nearest_distance(features: Tensor, others: Tensor) -> Tensor:
    """Euclidean distance of each of (n, D) features to the nearest of (t, D), (n,); a block of distances at a time."""
    # About their mean, numbers are small, and the products below lose little.
    middle = others.mean(dim=0)
    norms = (others - middle).square().sum(dim=1)
    nearest = []
    for rows in blocks(len(features), _ROWS):
        some = features[rows] - middle
        smallest = torch.full((len(some),), math.inf, dtype=some.dtype, device=some.device)
        for columns in blocks(len(others), _COLUMNS):
            squares = norms[columns] - 2 * some @ (others[columns] - middle).T
            smallest = torch.minimum(smallest, squares.min(dim=1).values)
        nearest.append((smallest + some.square().sum(dim=1)).clamp(min=0).sqrt())
    return torch.cat(nearest)


def farther_share(distances: npt.NDArray[np.float64], held_out: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """For each of (n,) distances the share of (h,) that are larger, equal ones counting half, float64 (n,)."""
    ordered = np.sort(held_out)
    below, not_above = (np.searchsorted(ordered, distances, side=side) for side in ("left", "right"))
    return 1 - (below + not_above) / (2 * len(ordered))


class Memorisation(FeatureMetric):
    """Two shares that show copies of training images.

    ``memorisation-…``: of all pairs of a sample and a held-out image, the share in which the sample is nearer to its nearest
    training image; one half is expected of a model that has memorised nothing, as of other images of the same kind, and more
    means copies. Samples that look like no image at all can have less, and hide copies behind them. ``near-copies-…`` therefore
    looks at the nearest ones alone: the share of samples that are as near to a training image as the nearest 5 % of held-out
    images, and 5 % is expected.

    Neither says which row is better; they are read beside the Fréchet distance.
    """

    reads_reference: ClassVar[bool] = False
    looks_for_copies: ClassVar[bool] = True
    config: MemorisationConfig

    def run(self, subject: ImageSubject) -> Sequence[Measurement]:
        """Measure a set of images.

        Raises:
            TamingplatError: A feature is not finite.
        """
        assert subject.features is not None
        assert subject.training_features is not None and subject.held_out_features is not None
        named = (
            ("images", subject.features),
            ("held-out images", subject.held_out_features),
            ("training images", subject.training_features),
        )
        try:
            images, held_out, training = (wide(finite(*one), subject.device) for one in named)
        except TamingplatError as error:
            raise TamingplatError(f"memorisation: {error}") from error
        own, others = (nearest_distance(one, training).cpu().double().numpy() for one in (images, held_out))
        shares, quantile = farther_share(own, others), self.config.quantile
        near = (own <= np.quantile(others, quantile)).astype(np.float64)
        percent = f"{100 * quantile:g} %"
        where = f"by {self.features_name} features, {len(training)} training and {len(held_out)} held-out images"
        return [
            Measurement(
                numbered(f"memorisation-{self.features_name}", len(images)),
                float(shares.mean()),
                "",
                "",
                f"Share of pairs in which a sample is nearer to a training image than a held-out image is, {where}; one half "
                "is expected without memorisation, more means copies.",
                network=True,
                headline=True,
                values=shares,
            ),
            Measurement(
                numbered(f"near-copies-{self.features_name}", len(images)),
                float(near.mean()),
                "",
                "",
                f"Share of samples as near to a training image as the nearest {percent} of held-out images, {where}; "
                f"{percent} is expected without memorisation.",
                network=True,
                values=near,
            ),
        ]
