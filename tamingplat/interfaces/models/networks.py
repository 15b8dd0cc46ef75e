"""Frozen networks that tokenizers, metrics and samplers take by reference.

They are no part of any model's state: they hold their weights themselves, read them when first used, and follow the device of
what they are given.

Shape letters: B batch, C/H/W image, D features, L labels.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any

from torch import Tensor

from tamingplat.interfaces.config import Config


class FrozenNetwork(ABC):
    """A network with given weights. Making the object is cheap; the weights are read at first use."""

    def __init__(self, config: Config, parts: Mapping[str, Any]) -> None:
        self.config = config

    @abstractmethod
    def missing(self) -> str | None:
        """Why the weights cannot be had here, and which file to put where; ``None`` where they can. Reads nothing large."""

    @property
    def minimum_size(self) -> int:
        """Smallest height and width in pixels that it takes."""
        return 1


class Perceptual(FrozenNetwork):
    """A perceptual distance between images."""

    @property
    @abstractmethod
    def default_weight(self) -> float:
        """Weight in a tokenizer's loss that gives it the scale of LPIPS with weight 1."""

    @abstractmethod
    def distance(self, images: Tensor, others: Tensor) -> Tensor:
        """float (B, 3, H, W) twice, in [-1, 1], to float32 (B,); gradients flow to both.

        On the meta device it does without its weights, so that the cost of a training can be estimated where they are not.
        """


class FeatureExtractor(FrozenNetwork):
    """Features of images, for distances between sets of images."""

    @property
    @abstractmethod
    def dimensions(self) -> int:
        """D, the number of features per image."""

    @abstractmethod
    def features(self, images: Tensor) -> Tensor:
        """uint8 (B, 3, H, W) to float32 (B, D)."""


class Classifier(FrozenNetwork):
    """Class probabilities of images."""

    @property
    @abstractmethod
    def label_names(self) -> tuple[str, ...]:
        """The classes in order."""

    @abstractmethod
    def log_probabilities(self, images: Tensor) -> Tensor:
        """uint8 (B, 3, H, W) to float32 (B, L), log p(class | image)."""
