"""The Inception score, by torch-fidelity's arithmetic.

Salimans et al., "Improved Techniques for Training GANs", NeurIPS 2016, Sect. 4.

Shape letters: n images, L classes.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import numpy as np
import torch

from tamingplat.interfaces import DatasetInfo, TamingplatError
from tamingplat.interfaces.models import ImageSubject, Measurement
from tamingplat_metrics.config import InceptionScoreConfig
from tamingplat_metrics.features import MANY_IMAGES, FeatureMetric, finite, numbered
from tamingplat_metrics.inception import InceptionLogits

_SEED = 2020
"""Of the shuffling: torch-fidelity's own, so that its command line splits the images alike."""


class InceptionScore(FeatureMetric):
    """exp E KL(p(class | image) ‖ p(class)) over Inception's classes, the mean of several parts of the samples.

    It looks at no reference, and falls with the number of images: below 10,000 it ranks nothing.
    """

    reads_reference: ClassVar[bool] = False
    config: InceptionScoreConfig

    def __init__(self, config: InceptionScoreConfig, parts: Mapping[str, Any]) -> None:
        super().__init__(config, parts)
        if not isinstance(self.features, InceptionLogits):
            raise TamingplatError(
                f"metric inception-score: its extractor must be inception-logits, not {config.extractor.use}; "
                "of other classes it would be another score"
            )

    def refusal(self, info: DatasetInfo, *, samples: int, reference: int) -> str | None:
        """Why there is no such score of these images: their channels or size, or their number."""
        if reason := super().refusal(info, samples=samples, reference=reference):
            return reason
        splits = self.config.splits
        if samples < splits:
            return f"{samples} samples are too few for {splits} parts; give at least {splits}, or set splits lower"
        return None

    def run(self, subject: ImageSubject) -> Sequence[Measurement]:
        """Measure a set of images.

        Raises:
            TamingplatError: A logit is not finite.
        """
        from torch_fidelity.metric_isc import KEY_METRIC_ISC_MEAN, KEY_METRIC_ISC_STD, isc_features_to_metric

        assert subject.features is not None
        count, splits = len(subject.features), self.config.splits
        try:
            logits = torch.from_numpy(np.array(finite("images", subject.features)))
        except TamingplatError as error:
            raise TamingplatError(f"inception-score: {error}") from error
        found = isc_features_to_metric(logits, splits=splits, shuffle=True, rng_seed=_SEED)
        return [
            Measurement(
                numbered("inception-score", count),
                found[KEY_METRIC_ISC_MEAN],
                "",
                "higher",
                f"Inception score of {count} images, the mean of {splits} parts; it looks at no reference.",
                network=True,
                # The deviation is over all parts; that of their mean is smaller, by the parts but one.
                standard_error=found[KEY_METRIC_ISC_STD] / math.sqrt(splits - 1),
                ranks=count >= MANY_IMAGES,
            )
        ]
