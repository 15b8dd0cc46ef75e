"""Precision and recall of a set of images, by torch-fidelity's arithmetic.

Kynkäänniemi et al., "Improved Precision and Recall Metric for Assessing Generative Models", NeurIPS 2019.

Shape letters: n and m images, D features.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import ClassVar

import numpy as np
import torch

from tamingplat.interfaces import DatasetInfo, TamingplatError
from tamingplat.interfaces.models import ImageSubject, Measurement
from tamingplat_metrics.config import PrecisionRecallConfig
from tamingplat_metrics.features import FeatureMetric, finite, numbered, too_few
from tamingplat_metrics.vgg16 import Vgg16Features

_ROWS = 2048


class PrecisionRecall(FeatureMetric):
    """Share of the images among the reference, and share of the reference among the images.

    An image is among others if it is at least as near to one of them as that one's k-th nearest neighbour is. With the features
    of ``vgg16`` the columns are ``precision`` and ``recall``; others are named in them. Balls shrink as images get more: the
    numbers of both sets are named, too.
    """

    at_equality: ClassVar[float | Mapping[str, float] | None] = 1.0
    config: PrecisionRecallConfig

    def refusal(self, info: DatasetInfo, *, samples: int, reference: int) -> str | None:
        """Why there are no such shares of these images: their channels or size, or their number."""
        reason = super().refusal(info, samples=samples, reference=reference)
        k = self.config.neighbours
        return reason or too_few(samples, reference, k + 1, f"a {k}-th nearest neighbour")

    def run(self, subject: ImageSubject) -> Sequence[Measurement]:
        """Measure a set of images.

        Raises:
            TamingplatError: A feature is not finite.
        """
        from torch_fidelity.metric_prc import KEY_METRIC_PRECISION, KEY_METRIC_RECALL, prc_features_to_metric

        features, others = subject.features, subject.reference_features
        assert features is not None and others is not None
        try:
            sets = [torch.from_numpy(np.array(finite(*one))) for one in (("images", features), ("reference", others))]
        except TamingplatError as error:
            raise TamingplatError(f"precision-recall: {error}") from error
        k, count = self.config.neighbours, len(features)
        # In parts: no matrix of all distances is kept.
        found = prc_features_to_metric(*sets, prc_neighborhood=k, prc_batch_size=_ROWS, save_cpu_ram=True, verbose=False)
        suffix = "" if isinstance(self.features, Vgg16Features) else f"-{self.features_name}"
        end = f"by {self.features_name} features and {k} neighbours."
        reference = f"{len(others)} images of the {subject.reference} split"
        rows = (
            ("precision", KEY_METRIC_PRECISION, f"Share of {count} images that are among {reference}, {end}"),
            ("recall", KEY_METRIC_RECALL, f"Share of {reference} that are among {count} images, {end}"),
        )
        return [
            Measurement(numbered(name + suffix, count, reference=len(others)), found[key], "", "higher", what, network=True)
            for name, key, what in rows
        ]
