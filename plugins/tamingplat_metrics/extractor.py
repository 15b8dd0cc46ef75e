"""What the extractors of this plugin share: a network that is read at first use and sees 8-bit colour images.

Shape letters: B batch, H/W image, D features.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from tamingplat.interfaces import TamingplatError
from tamingplat.interfaces.models import FeatureExtractor, PublishedWeights, without_autocast
from tamingplat_metrics.config import WeightsConfig


class FileExtractor(FeatureExtractor):
    """An extractor whose weights are a file, always in eval mode, and in float32 also under autocast."""

    config: WeightsConfig

    def __init__(self, config: WeightsConfig, parts: Mapping[str, Any]) -> None:
        super().__init__(config, parts)
        self._network: nn.Module | None = None

    @property
    @abstractmethod
    def name(self) -> str:
        """As manifests write it."""

    @property
    @abstractmethod
    def published(self) -> PublishedWeights:
        """The file of its weights that is published."""

    @abstractmethod
    def load(self) -> nn.Module:
        """The network with its weights; it takes uint8 (B, 3, H, W) and gives float32 (B, D).

        Raises:
            UnavailableError: The weights are not on this machine.
            DataError: The weight file cannot be read, or is of another network.
        """

    def missing(self) -> str | None:
        """Why the weights cannot be had here, and which file to put where; ``None`` where they can. Downloads nothing."""
        return self.published.why_missing(self.config.weights, download=self.config.download)

    def find(self) -> Path:
        """The file with the weights, downloaded if the settings say so; errors as in ``PublishedWeights.find``."""
        return self.published.find(self.config.weights, download=self.config.download)

    def features(self, images: Tensor) -> Tensor:
        """uint8 (B, 3, H, W) to float32 (B, D).

        Raises:
            TamingplatError: The images are not 8-bit colour images.
            UnavailableError: The weights are not on this machine.
            DataError: The weight file cannot be read, or is of another network.
        """
        if images.dtype != torch.uint8 or images.dim() != 4 or images.shape[1] != 3:
            raise TamingplatError(
                f"{self.name} takes 8-bit colour images (B, 3, H, W), not {images.dtype} {tuple(images.shape)}"
            )
        if self._network is None:
            # A layer's constructor draws initial weights, which must not shift anybody's random numbers; and what is made in
            # inference mode stays there.
            with torch.random.fork_rng(devices=[]), torch.inference_mode(False):
                self._network = self.load().eval().requires_grad_(False)
        with torch.inference_mode(False):
            self._network.to(images.device)
        with torch.no_grad(), without_autocast(images.device):
            features: Tensor = self._network(images)
        return features


def first_line(error: BaseException) -> str:
    """An error in one line."""
    return f"{type(error).__name__}: {str(error).partition(chr(10))[0]}"


class FirstFeatures(nn.Module):
    """The first of the features that an extractor of torch-fidelity gives.

    Args:
        extractor: Gives a tuple of float32 (B, D).
    """

    def __init__(self, extractor: nn.Module) -> None:
        super().__init__()
        self.extractor = extractor

    def forward(self, images: Tensor) -> Tensor:
        """uint8 (B, 3, H, W) to float32 (B, D)."""
        features: Tensor = self.extractor(images)[0]
        return features
