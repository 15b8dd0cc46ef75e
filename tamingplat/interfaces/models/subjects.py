"""What metrics measure: a tokenizer, a prior, or a set of images, with all that belongs to it.

Shape letters: C/H/W image, N code positions, P condition positions, D features.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
import torch

from tamingplat.interfaces.models.dataset import Dataset
from tamingplat.interfaces.models.prior import Prior
from tamingplat.interfaces.models.tokenizer import Tokenizer
from tamingplat.interfaces.models.visits import VisitPlan
from tamingplat.interfaces.spaces import CodeSpace
from tamingplat.interfaces.windows import Windows


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


class TokenArray(Protocol):
    """Integers in rows of which some are read at a time: a memory-mapped array, or windows that are cut as they are read."""

    @property
    def shape(self) -> tuple[int, ...]:
        """How many rows, and how many tokens in each."""

    @property
    def dtype(self) -> np.dtype[Any]:
        """Some integers."""

    def __len__(self) -> int: ...

    def __getitem__(self, rows: slice, /) -> npt.NDArray[np.integer[Any]]:
        """Integers (len of the slice, tokens in a row), of consecutive rows."""


@dataclass(frozen=True)
class TokenSplit:
    """Codes (n, N) and conditions (n, P) of one split, integers, read in slices of consecutive rows."""

    codes: TokenArray
    condition: TokenArray


@dataclass(frozen=True)
class SourceLikelihoods:
    """What is known of the distribution that the measured images were drawn from.

    Attributes:
        log_probability: float64 (m,), the exact log-probability in nats of each measured image, and so of its codes.
        refusal: Why a prior's likelihood is not to be compared with it, as a sentence's end; ``None`` where it may be: each
            measured image was checked to be what its codes decode to, and the prior is of the codes alone and was trained on
            other images, none of them augmented.
    """

    log_probability: npt.NDArray[np.float64]
    refusal: str | None = None


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
        tokenizer: Loads the tokenizer of the codes, in eval mode on ``device``; ``None`` where there is none at hand.
        images: Gives the images of a split, by its name in ``splits``, uint8 (n, C, H, W), read when sliced; likewise.
        source: Of the validation split, where the dataset knows its source; else ``None``.
        windows: Where it models windows of images: these. The splits then hold those that tile every image, all of the first
            image before those of the next one, ``space`` and ``plan`` are a window's, and neither tokenizer nor images are at
            hand, because no image has such codes. ``None`` where it models whole images.
    """

    prior: Prior
    space: CodeSpace
    plan: Callable[[Sequence[int]], VisitPlan]
    random_plan: bool
    splits: Mapping[str, TokenSplit]
    device: torch.device
    batch_size: int
    tokenizer: Callable[[], Tokenizer] | None = None
    images: Callable[[str], ImageArray] | None = None
    source: SourceLikelihoods | None = None
    windows: Windows | None = None


class ImageArray(Protocol):
    """Images of which some are read at a time: a memory-mapped array, or a split of a dataset."""

    def __len__(self) -> int: ...

    def __getitem__(self, rows: slice, /) -> npt.NDArray[np.uint8]:
        """uint8 (len of the slice, C, H, W)."""


class ColumnArray(Protocol):
    """One column of a dataset's examples, of which some are read at a time."""

    def __len__(self) -> int: ...

    def __getitem__(self, rows: slice, /) -> npt.NDArray[Any]:
        """(len of the slice, …), as ``Dataset.read`` returns each."""


@dataclass(frozen=True)
class ImageSubject:
    """A set of images beside a reference set.

    Attributes:
        images: uint8 (n, C, H, W), as files would hold them, read in slices.
        labels: Gives int64 (n,), or ``None`` without classes; reads the dataset when called.
        features: float32 (n, D) of the metric's extractor; ``None`` where the metric names no extractor.
        reference_features: float32 (m, D) of the reference split; ``None`` likewise, and for a metric that does not read them
            (``reads_reference``).
        reference: Name of the reference split.
        reference_images: uint8 (m, C, H, W), read in slices.
        device: Where to compute.
        training_features: float32 (t, D) of the training split, for a metric that ``looks_for_copies``, else ``None``.
        held_out_features: float32 (h, D) of the evaluated split, on which nothing was trained; the same.
        conditions: Gives, by name, the dataset's columns of the example that each image belongs to, (n, …): whose condition it
            was sampled with, whose given part it completes, whose reconstruction it is. Samples without a condition belong to
            the examples that they would have it from, and know nothing of them.
        reference_conditions: The same of the reference images, (m, …).
    """

    images: ImageArray
    labels: Callable[[], npt.NDArray[np.int64] | None]
    features: npt.NDArray[np.float32] | None
    reference_features: npt.NDArray[np.float32] | None
    reference: str
    reference_images: ImageArray
    device: torch.device
    training_features: npt.NDArray[np.float32] | None = None
    held_out_features: npt.NDArray[np.float32] | None = None
    conditions: Callable[[], Mapping[str, ColumnArray]] | None = None
    reference_conditions: Callable[[], Mapping[str, ColumnArray]] | None = None


Subject = TokenizerSubject | PriorSubject | ImageSubject
