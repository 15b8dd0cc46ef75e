"""The features of a classifier: of a network that no tokenizer was trained against.

Shape letters: B batch, H/W image, D features.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import Tensor

from tamingplat.interfaces import Config
from tamingplat.interfaces.models import Classifier, FeatureExtractor


class ClassifierFeatures(FeatureExtractor):
    """What the last linear layer of a classifier reads."""

    def __init__(self, config: Config, parts: Mapping[str, Any]) -> None:
        super().__init__(config, parts)
        self._classifier: Classifier = parts["classifier"]

    def missing(self) -> str | None:
        """Why the classifier's weights cannot be had here, and what to do; ``None`` where they can."""
        return self._classifier.missing()

    @property
    def minimum_size(self) -> int:
        """Smallest height and width in pixels that the classifier takes."""
        return self._classifier.minimum_size

    @property
    def dimensions(self) -> int:
        """Those of the classifier."""
        return self._classifier.dimensions

    def features(self, images: Tensor) -> Tensor:
        """uint8 (B, 3, H, W) to float32 (B, D)."""
        return self._classifier.features(images)
