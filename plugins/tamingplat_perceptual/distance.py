"""What LPIPS and shift-tolerant LPIPS share: the distance between two stacks of feature maps, and how it is called.

Zhang et al., "The Unreasonable Effectiveness of Deep Features as a Perceptual Metric", CVPR 2018, Eq. 1.

Shape letters: B batch, C channels of a layer, H/W image, h/w feature map.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from tamingplat.interfaces import Config
from tamingplat.interfaces.models import Perceptual, without_autocast
from tamingplat_perceptual.frozen import FrozenModule, check_images

# What LPIPS adds to the length of a feature vector before it divides by it.
_EPSILON = 1e-10


class FeatureStack(nn.Module, ABC):
    """A network that gives the feature maps of several layers, and how much each channel of them counts."""

    @abstractmethod
    def forward(self, images: Tensor) -> Sequence[Tensor]:
        """float32 (B, 3, H, W) in [-1, 1] to one float32 (B, C, h, w) per layer."""

    @abstractmethod
    def channel_weights(self) -> Sequence[Tensor]:
        """float32 (1, C, 1, 1) of each layer."""


def unit_length(features: Tensor) -> Tensor:
    """Feature vectors (B, C, h, w) scaled to length one over C; zero vectors stay zero and have zero gradient."""
    # The square root of a sum of squares has no gradient at zero and would turn a whole batch's gradient to NaN, where
    # vector_norm defines it as zero. Behind a ReLU a vector can well be zero.
    lengths: Tensor = torch.linalg.vector_norm(features, dim=1, keepdim=True)
    return features / (lengths + _EPSILON)


def weighted_distance(features: Sequence[Tensor], others: Sequence[Tensor], weights: Sequence[Tensor]) -> Tensor:
    """Weighted squared differences of unit-length features, averaged over space and summed over layers, float32 (B,)."""
    layers = [
        nn.functional.conv2d((unit_length(one) - unit_length(other)).square(), weight).mean(dim=(1, 2, 3))
        for one, other, weight in zip(features, others, weights, strict=True)
    ]
    return torch.stack(layers).sum(dim=0)


class LayeredPerceptual(Perceptual):
    """A perceptual distance by a ``FeatureStack``, always in eval mode, and in float32 also under autocast."""

    name: ClassVar[str]
    """As manifests write it."""

    smallest: ClassVar[int]
    """Height and width in pixels below which the last layer would be empty."""

    def __init__(self, config: Config, parts: Mapping[str, Any]) -> None:
        super().__init__(config, parts)
        self.stack = FrozenModule(self.load, self.skeleton)

    @abstractmethod
    def skeleton(self) -> FeatureStack:
        """The network without its weights."""

    @abstractmethod
    def load(self) -> FeatureStack:
        """The network with its weights.

        Raises:
            UnavailableError: The weights are not on this machine.
            DataError: The weight file cannot be read, or is of another network.
        """

    @property
    def minimum_size(self) -> int:
        """Smallest height and width in pixels that the network takes."""
        return self.smallest

    def distance(self, images: Tensor, others: Tensor) -> Tensor:
        """float (B, 3, H, W) twice, in [-1, 1], to float32 (B,); gradients flow to both.

        Raises:
            TamingplatError: The images have not three channels, or are too small.
            UnavailableError: The weights are not on this machine.
            DataError: The weight file cannot be read, or is of another network.
        """
        check_images(self.name, images, self.smallest)
        check_images(self.name, others, self.smallest)
        stack = self.stack.on(images.device)
        with without_autocast(images.device):
            return weighted_distance(stack(images.float()), stack(others.float()), stack.channel_weights())
