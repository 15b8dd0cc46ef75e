"""Metrics: numbers about a tokenizer, a prior or a set of images.

Shape letters: B batch, C/H/W image, N code positions, P condition positions, D features.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Literal, Protocol

import numpy as np
import numpy.typing as npt
import torch

from tamingplat.interfaces.config import Config
from tamingplat.interfaces.models.dataset import Dataset
from tamingplat.interfaces.models.prior import Prior
from tamingplat.interfaces.models.tokenizer import Tokenizer
from tamingplat.interfaces.models.visits import VisitPlan
from tamingplat.interfaces.spaces import CodeSpace, DatasetInfo

Measures = Literal["tokenizer", "prior", "images"]


@dataclass(frozen=True)
class Measurement:
    """One number with all that is needed to read it.

    Attributes:
        name: Column of the table, such as ``nll/token`` or ``fd-st-vgg (N=320)``.
        value: Finite.
        unit: ``nats``, ``bits``, ``dB``, … or empty.
        better: Which direction is better; empty where neither is.
        description: What it is, in one sentence.
        network: Whether it was computed by a network that the metric's settings refer to: it is not ranked where a relative of
            that network was in the tokenizer's loss.
        headline: Whether it is shown where there is room for a few columns only.
    """

    name: str
    value: float
    unit: str = ""
    better: Literal["lower", "higher", ""] = ""
    description: str = ""
    network: bool = False
    headline: bool = False


@dataclass(frozen=True)
class TokenizerSubject:
    """A trained tokenizer with the split that it is measured on.

    Attributes:
        tokenizer: In eval mode on ``device``.
        space: Its codes for the dataset's images.
        dataset: Where the images come from, view 0.
        split: Which of them.
        codes: Integers (n, N), the codes of the split, memory-mapped.
        device: Where to compute.
        batch_size: How many images at a time.
    """

    tokenizer: Tokenizer
    space: CodeSpace
    dataset: Dataset
    split: str
    codes: npt.NDArray[np.integer[Any]]
    device: torch.device
    batch_size: int


@dataclass(frozen=True)
class TokenSplit:
    """Codes (n, N) and conditions (n, P) of one split, integers, memory-mapped."""

    codes: npt.NDArray[np.integer[Any]]
    condition: npt.NDArray[np.integer[Any]]


@dataclass(frozen=True)
class PriorSubject:
    """A trained prior with the encoded splits that it is measured on.

    Attributes:
        prior: In eval mode on ``device``.
        space: The codes that it models.
        plan: Gives the visiting plan of a batch, on ``device``, for the indices of its images.
        random_plan: Whether plans are random, so that a likelihood is a bound.
        splits: Encoded splits by name: ``train`` and ``validation`` at least.
        device: Where to compute.
        batch_size: How many images at a time.
    """

    prior: Prior
    space: CodeSpace
    plan: Callable[[Sequence[int]], VisitPlan]
    random_plan: bool
    splits: Mapping[str, TokenSplit]
    device: torch.device
    batch_size: int


class ImageArray(Protocol):
    """Images of which some are read at a time: a memory-mapped array, or a split of a dataset."""

    def __len__(self) -> int: ...

    def __getitem__(self, rows: slice, /) -> npt.NDArray[np.uint8]:
        """uint8 (len of the slice, C, H, W)."""


@dataclass(frozen=True)
class ImageSubject:
    """A set of images beside a reference set.

    Attributes:
        images: uint8 (n, C, H, W), as files would hold them, read in slices.
        labels: Gives int64 (n,), or ``None`` without classes; reads the dataset when called.
        features: float32 (n, D) of the metric's extractor; ``None`` where the metric names no extractor.
        reference_features: float32 (m, D) of the reference split.
        reference: Name of the reference split.
        reference_images: uint8 (m, C, H, W), read in slices.
        device: Where to compute.
    """

    images: ImageArray
    labels: Callable[[], npt.NDArray[np.int64] | None]
    features: npt.NDArray[np.float32] | None
    reference_features: npt.NDArray[np.float32] | None
    reference: str
    reference_images: ImageArray
    device: torch.device


Subject = TokenizerSubject | PriorSubject | ImageSubject


class Metric(ABC):
    """Measures one kind of subject."""

    measures: ClassVar[Measures]
    """What it depends on: it is computed once per such artifact and not again for every row that contains it."""

    extractor: ClassVar[str | None] = None
    """Name of the settings' field that names the feature extractor whose features of the images it reads, if any. The pipeline
    extracts them once per set of images and extractor."""

    symmetric: ClassVar[bool | None] = None
    """Of a metric of images: whether it stays the same where images and reference change places, which the conformance kit then
    looks for; ``None`` says nothing of it."""

    at_equality: ClassVar[float | Mapping[str, float] | None] = None
    """Value where images and reference are the same, or where a tokenizer reconstructs without error, which the conformance kit
    then looks for: of all measurements, or of some by name, without what follows in parentheses. ``None`` says nothing."""

    def __init__(self, config: Config, parts: Mapping[str, Any]) -> None:
        self.config = config
        self.parts = parts

    def refusal(self, info: DatasetInfo, *, samples: int, reference: int) -> str | None:
        """Why it cannot be computed, known before anything runs; ``None`` where it can.

        Weights that are not on this machine are no reason: a plan asks every network for them by itself.

        Args:
            info: The dataset.
            samples: How many images will be measured.
            reference: How many images the reference split has.
        """
        return None

    @abstractmethod
    def run(self, subject: Any) -> Sequence[Measurement]:
        """Measure a ``TokenizerSubject``, ``PriorSubject`` or ``ImageSubject``, as ``measures`` says."""
