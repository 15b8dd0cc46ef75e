"""Kernel distance between the features of two sets of images, by torch-fidelity's arithmetic.

Bińkowski et al., "Demystifying MMD GANs", ICLR 2018, Sect. 4: the squared maximum mean discrepancy under the kernel
(x·y / D + 1)³, an unbiased estimate, averaged over random subsets.

Shape letters: n and m images, D features.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from tamingplat.interfaces import DatasetInfo, TamingplatError
from tamingplat.interfaces.models import ImageSubject, Measurement
from tamingplat_metrics.config import KernelConfig, KidConfig
from tamingplat_metrics.features import FeatureMetric, blocks, finite, numbered, too_few, wide
from tamingplat_metrics.inception import InceptionFeatures

_SEED = 2020
"""Of the random subsets: torch-fidelity's own, so that its command line chooses the same."""

_ROWS = 2048

EXACT = 4096
"""Up to so many images of a set, its part of the jackknife is exact."""


@dataclass(frozen=True)
class KernelEstimate:
    """An estimate of the squared maximum mean discrepancy.

    Attributes:
        value: The mean over random subsets; unbiased, so that it can fall below zero.
        deviation: The standard deviation over the subsets, which torch-fidelity prints behind the mean.
    """

    value: float
    deviation: float


def kernel_distance(
    features: npt.NDArray[np.floating[Any]], reference: npt.NDArray[np.floating[Any]], *, subset: int, subsets: int
) -> KernelEstimate:
    """The distance between (n, D) and (m, D) features, over ``subsets`` random subsets of ``subset`` images of each.

    Raises:
        TamingplatError: A feature is not finite.
    """
    from torch_fidelity.metric_kid import KEY_METRIC_KID_MEAN, KEY_METRIC_KID_STD, kid_features_to_metric

    sets = [torch.from_numpy(np.array(finite(*one))) for one in (("images", features), ("reference", reference))]
    with np.errstate(all="ignore"):  # what overflows is no finite number, and is found by whoever records it
        found = kid_features_to_metric(*sets, kid_subset_size=subset, kid_subsets=subsets, rng_seed=_SEED, verbose=False)
    return KernelEstimate(found[KEY_METRIC_KID_MEAN], found[KEY_METRIC_KID_STD])


def jackknife_error(features: Tensor, reference: Tensor) -> float:
    """Standard error of the unbiased estimate from all of (n, D) and (m, D) features, n and m at least 3.

    The two-sample jackknife: leaving out one image at a time changes the estimate by sums over that image's row of the kernel,
    so that every row is computed once and no matrix is kept. Random subsets cannot tell it: where they hold all images there
    is only one of them.

    Of a set of more than ``EXACT`` images, as many rows as are computed at once are drawn at random, always the same ones, each
    of them over all images of both sets, and stand for all. The error is then itself known to about 2 %, and its cost grows
    with the number of images, not with its square: at 50,000 of each set and D = 2048 it is 1.7e12 operations in place of 4e13.
    """
    (own, crossed), (other, back) = _row_sums(features, reference), _row_sums(reference, features)
    n, m = len(features), len(reference)
    # Where rows are drawn, these are no sums of all; they are the same for every row, and do not matter to the spread.
    within, beyond, cross = own.sum(), other.sum(), crossed.sum()
    # Estimates without each image of the first set, and of the second.
    first = (within - 2 * own) / ((n - 1) * (n - 2)) + beyond / (m * (m - 1)) - 2 * (cross - crossed) / ((n - 1) * m)
    second = within / (n * (n - 1)) + (beyond - 2 * other) / ((m - 1) * (m - 2)) - 2 * (cross - back) / (n * (m - 1))
    parts = [
        (size - 1) / size * ((size - 1) / (len(one) - 1)) * (one - one.mean()).square().sum()
        for size, one in ((n, first), (m, second))
    ]
    return math.sqrt(float(sum(parts, torch.zeros((), dtype=features.dtype))))


def _kernel(features: Tensor, others: Tensor) -> Tensor:
    return (features @ others.T / features.shape[1] + 1) ** 3


def _drawn(count: int) -> Tensor:
    """The rows that stand for ``count``, int64 (r,): all, or some of many in their order."""
    if count <= EXACT:
        return torch.arange(count)
    return torch.randperm(count, generator=torch.Generator().manual_seed(_SEED))[:_ROWS].sort().values


def _row_sums(features: Tensor, others: Tensor) -> tuple[Tensor, Tensor]:
    """Sums of rows of the kernel: among the features, themselves left out, and with the others; both (r,), on the CPU."""
    own, crossed = [], []
    drawn = _drawn(len(features)).to(features.device)
    for rows in blocks(len(drawn), _ROWS):
        some = features[drawn[rows]]
        diagonal = (some.square().sum(dim=1) / features.shape[1] + 1) ** 3
        own.append(sum((_kernel(some, features[part]).sum(dim=1) for part in blocks(len(features), _ROWS)), -diagonal))
        zero = torch.zeros_like(diagonal)
        crossed.append(sum((_kernel(some, others[part]).sum(dim=1) for part in blocks(len(others), _ROWS)), zero))
    return torch.cat(own).cpu(), torch.cat(crossed).cpu()


class KernelDistance(FeatureMetric):
    """Kernel distance to the reference split with the features of any extractor, called ``kd-`` and the extractor's name.

    Unbiased at every number of images, it ranks where a Fréchet distance does not. Its standard error is the jackknife's over
    the images of both sets, estimated from 2048 of them beyond 4096, with that of the random subsets; it says nothing of other
    seeds.
    """

    distance: ClassVar[bool] = True
    config: KernelConfig

    @property
    def name(self) -> str:
        """The column's name, without what stands in parentheses."""
        return f"kd-{self.features_name}"

    def refusal(self, info: DatasetInfo, *, samples: int, reference: int) -> str | None:
        """Why there is no such distance of these images: their channels or size, or their number."""
        reason = super().refusal(info, samples=samples, reference=reference)
        return reason or too_few(samples, reference, 3, "a kernel distance and its standard error")

    def run(self, subject: ImageSubject) -> Sequence[Measurement]:
        """Measure a set of images.

        Raises:
            TamingplatError: A feature is not finite.
        """
        features, others = subject.features, subject.reference_features
        assert features is not None and others is not None
        count, reference, subsets = len(features), len(others), self.config.subsets
        subset = min(self.config.subset_size, count, reference)
        try:
            estimate = kernel_distance(features, others, subset=subset, subsets=subsets)
        except TamingplatError as error:
            raise TamingplatError(f"{self.name}: {error}") from error
        over_images = jackknife_error(wide(features, subject.device), wide(others, subject.device))
        what = (
            f"Squared maximum mean discrepancy of {self.features_name} features under the kernel (x·y/D + 1)³ between {count} "
            f"images and {reference} of the {subject.reference} split: unbiased, mean of {subsets} random subsets of {subset}."
        )
        return [
            Measurement(
                numbered(self.name, count, f"subset={subset}"),
                estimate.value,
                "",
                "lower",
                what,
                network=True,
                headline=True,
                standard_error=math.hypot(over_images, estimate.deviation / math.sqrt(subsets)),
            )
        ]


class KernelInceptionDistance(KernelDistance):
    """KID: the kernel distance of torch-fidelity's Inception features, and of no others."""

    def __init__(self, config: KidConfig, parts: Mapping[str, Any]) -> None:
        super().__init__(config, parts)
        if not isinstance(self.features, InceptionFeatures):
            raise TamingplatError(
                f"metric kid: its extractor must be inception, not {config.extractor.use}; "
                "with other features use kd, which is called kd- and the extractor's name"
            )

    @property
    def name(self) -> str:
        """``kid``."""
        return "kid"
