"""Networks that tokenizers, metrics and samplers take by reference.

They are no part of any model's state. Frozen ones hold their weights themselves, read them when first used, and follow the
device of what they are given. Classifiers can also be trained, by a stage of their own, on the dataset of the manifest.

Shape letters: B batch, C/H/W image, D features, L labels.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any

from torch import Tensor

from tamingplat.interfaces.config import Config
from tamingplat.interfaces.models.trainable import Trainable
from tamingplat.interfaces.spaces import DatasetInfo


class FrozenNetwork(ABC):
    """A network with given weights. Making the object is cheap; the weights are read at first use."""

    def __init__(self, config: Config, parts: Mapping[str, Any]) -> None:
        self.config = config

    @abstractmethod
    def missing(self) -> str | None:
        """Why the weights cannot be had here, and which file to put where; ``None`` where they can.

        A file that is there is looked at, too: what is wrong with it is to be known before anything is trained. Asked again,
        it reads nothing large; ``file_digest`` and ``unreadable`` remember what they saw.
        """

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
    def variant(self) -> str:
        """What tells its features from those of the same component with default settings, for columns' names; else empty."""
        return ""

    @property
    @abstractmethod
    def dimensions(self) -> int:
        """D, the number of features per image."""

    @abstractmethod
    def features(self, images: Tensor) -> Tensor:
        """uint8 (B, 3, H, W) to float32 (B, D)."""


class Classifier(FrozenNetwork):
    """Class probabilities of images, and the features that they are made of."""

    @property
    @abstractmethod
    def label_names(self) -> tuple[str, ...]:
        """The classes in order."""

    @property
    def families(self) -> frozenset[str]:
        """Families whose weights its settings make it share, beside its component's own; see ``Component.family``."""
        return frozenset()

    def image_refusal(self, info: DatasetInfo) -> str | None:
        """Why it cannot classify images of such a dataset; ``None`` where it can."""
        if info.channels != 3:
            return f"looks at colour images, not at {info.channels} channels; set the dataset's channels to 3"
        if min(info.image_size) < self.minimum_size:
            height, width = info.image_size
            return f"needs {self.minimum_size}×{self.minimum_size} pixels, and images have {height}×{width}"
        return None

    @property
    def seen_splits(self) -> tuple[str, ...]:
        """Splits of the manifest's dataset that it was trained on, as far as is known."""
        return ()

    @property
    def dimensions(self) -> int:
        """D, the number of features per image; by default the number of classes."""
        return len(self.label_names)

    def features(self, images: Tensor) -> Tensor:
        """uint8 (B, 3, H, W) to float32 (B, D): what the last linear layer reads; by default log p(class | image)."""
        return self.log_probabilities(images)

    @abstractmethod
    def log_probabilities(self, images: Tensor) -> Tensor:
        """uint8 (B, 3, H, W) to float32 (B, L), log p(class | image)."""


class TrainedClassifier(Trainable, Classifier):
    """A classifier that is trained on the labelled images of a dataset, by a stage of the plan.

    Built as ``cls(config, parts, info)``, where ``info`` describes the dataset, and trained on batches
    ``{"image": float (B, C, H, W) in [-1, 1], "label": int64 (B,)}`` of the training split: random views of the images, as the
    dataset crops and flips them. Where a component's settings refer to one, the trained model in eval mode is in its ``parts``;
    before anything is trained it is one without memory for its weights, which knows its classes and its ``dimensions``.

    It takes images of the dataset's size and channels, on the device of its weights.
    """

    def __init__(self, config: Config, parts: Mapping[str, Any], info: DatasetInfo) -> None:
        # Both bases are initialised, one after the other: nn.Module does not call the next one.
        Trainable.__init__(self)
        Classifier.__init__(self, config, parts)
        self.info = info

    @classmethod
    def refusal(cls, config: Config, info: DatasetInfo) -> str | None:
        """Why it cannot be trained on such a dataset, with the remedy; ``None`` where it can. Allocates nothing."""
        if not info.label_names:
            return "the dataset gives no classes to train on; set the dataset's label column"
        return None

    @property
    def label_names(self) -> tuple[str, ...]:
        """The dataset's classes in order."""
        assert self.info.label_names is not None, "refused without classes"
        return self.info.label_names

    def image_refusal(self, info: DatasetInfo) -> str | None:
        """Why it cannot classify images of such a dataset: it was made for others."""
        same = (info.image_size, info.channels) == (self.info.image_size, self.info.channels)
        return None if same else "was trained on images of another size or other channels"

    @property
    def seen_splits(self) -> tuple[str, ...]:
        """The training split."""
        return ("train",)

    def missing(self) -> str | None:
        """Nothing: its weights are what a stage of the plan makes."""
        return None
