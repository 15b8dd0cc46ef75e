"""Any feature extractor as one of torch-fidelity's, so that its own functions and ours see the same features.

Shape letters: B batch, H/W image, D features.
"""

from __future__ import annotations

from typing import ClassVar

from torch import Tensor
from torch_fidelity.feature_extractor_base import FeatureExtractorBase
from torch_fidelity.registry import FEATURE_EXTRACTORS_REGISTRY, register_feature_extractor

from tamingplat.interfaces.models import FeatureExtractor

LAYER = "features"
"""The one layer of an adapted extractor."""


class AdaptedExtractor(FeatureExtractorBase):  # type: ignore[misc]  # torch-fidelity has no types
    """torch-fidelity's view of an extractor; ``register_extractor`` derives a class for each."""

    extractor: ClassVar[FeatureExtractor]

    def __init__(self, name: str, features_list: list[str], **_: object) -> None:
        super().__init__(name, features_list)

    @staticmethod
    def get_provided_features_list() -> tuple[str, ...]:
        """The layers that can be asked for."""
        return (LAYER,)

    @staticmethod
    def get_default_feature_layer_for_metric(metric: str) -> str:
        """The same layer for every metric."""
        return LAYER

    @staticmethod
    def can_be_compiled() -> bool:
        """Not with torch-fidelity's own means."""
        return False

    def forward(self, input: Tensor) -> tuple[Tensor, ...]:
        """uint8 (B, 3, H, W) to a tuple of one float32 (B, D)."""
        return (self.extractor.features(input),)


def register_extractor(name: str, extractor: FeatureExtractor) -> None:
    """Make ``extractor`` known to torch-fidelity, as in ``calculate_metrics(…, feature_extractor=name)``.

    Under a name that was registered here before, it takes the earlier one's place.
    """
    known = FEATURE_EXTRACTORS_REGISTRY.get(name)
    if known is not None and issubclass(known, AdaptedExtractor):
        known.extractor = extractor
        return
    register_feature_extractor(name, type("Adapted", (AdaptedExtractor,), {"extractor": extractor}))
