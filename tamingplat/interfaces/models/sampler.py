"""Samplers: codes drawn from a prior.

Shape letters: B batch, N code positions, P condition positions, L classes of the dataset.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt
from torch import Tensor

from tamingplat.interfaces.config import Config
from tamingplat.interfaces.models.prior import Prior, Visits
from tamingplat.interfaces.models.tokenizer import Tokenizer
from tamingplat.interfaces.models.visits import VisitPlan
from tamingplat.interfaces.spaces import CodeSpace, ConditionLayout, DatasetInfo


@dataclass(frozen=True)
class PriorScope:
    """What a prior was trained on, where that is not the whole of what is to be drawn from it.

    Attributes:
        space: The codes that it models: those of a window, where images are larger.
        layout: The condition that comes with them.
        null_condition: Whether it also learned the absent condition.
    """

    space: CodeSpace
    layout: ConditionLayout
    null_condition: bool


@dataclass(frozen=True)
class PlannedClasses:
    """The classes of the samples that a plan asks for, where the condition names them.

    Attributes:
        info: The dataset, which has classes.
        alone: Whether the condition is the class and nothing else.
        random_order: Whether the codes of every sample are visited in an order of its own.
        largest: How many samples the class has of which there are the most; ``None`` where the data are not here to count.
    """

    info: DatasetInfo
    alone: bool
    random_order: bool
    largest: Callable[[], int | None]


@dataclass(frozen=True)
class SampledClasses:
    """The classes of the samples of a request, where the condition names them.

    Attributes:
        names: The dataset's L classes in order.
        members: bool (B, L), the classes that the condition of each sample names: several where it does not tell them apart.
        ordinals: int64 (B,), how many samples with a smaller number the condition gives the same class: 0 for its first.
    """

    names: tuple[str, ...]
    members: Tensor
    ordinals: Tensor


@dataclass(frozen=True)
class SampleRequest:
    """A batch of images that is to be sampled.

    Attributes:
        prior: In eval mode, on the device of the tensors below.
        tokenizer: For samplers that look at images.
        space: The codes to be drawn; N = ``space.length``.
        layout: The condition's parts.
        plan: Visiting plan of B rows.
        condition: int64 (B, P).
        null_condition: int64 (B, P), the absent condition; ``None`` where the prior was not trained with one.
        image_size: Height and width in pixels.
        indices: int64 (B,), the number of each sample, which with ``seed`` addresses its randomness.
        seed: Of the sampling.
        given: Codes int64 (B, N) and a bool mask (B, N) of the positions that they fix, or ``None``.
        images: What is to be completed, float (B, C, H, W) in [-1, 1], for a sampler with ``given_positions``; else ``None``.
        classes: The samples' classes; ``None`` where the condition names none.
        prior_space: The codes that the prior was built for, where it models a window of what is to be drawn; ``None`` where it
            models ``space``.
        prior_layout: The condition's parts that the prior was built for, cropped with the window; ``None`` for ``layout``.
        parts: What a caller hands to its own sampler beside all this; the pipeline leaves it empty.
    """

    prior: Prior
    tokenizer: Tokenizer
    space: CodeSpace
    layout: ConditionLayout
    plan: VisitPlan
    condition: Tensor
    null_condition: Tensor | None
    image_size: tuple[int, int]
    indices: Tensor
    seed: int
    given: tuple[Tensor, Tensor] | None = None
    images: Tensor | None = None
    parts: Mapping[str, Any] = field(default_factory=dict)
    classes: SampledClasses | None = None
    prior_space: CodeSpace | None = None
    prior_layout: ConditionLayout | None = None


def whole_image_refusal(space: CodeSpace, scope: PriorScope) -> str | None:
    """Why a sampler that knows no windows cannot draw codes of ``space``: the prior models a part of them alone."""
    if scope.space.grids == space.grids:
        return None
    return (
        f"draws whole images at once, on grids of {_sizes(space)} codes, and this prior models {_sizes(scope.space)}; use "
        "sampler:sliding-window or sampler:wavefront"
    )


def _sizes(space: CodeSpace) -> str:
    return ", ".join("×".join(map(str, grid)) for grid in space.grids)


class Sampler(ABC):
    """Draws codes. Sample i of a seed is the same whatever the device, the batch and the process that draws it."""

    needs: ClassVar[Visits] = "in_order"
    """What it asks of a prior; a prior of ``any_subset`` serves both."""

    def __init__(self, config: Config, parts: Mapping[str, Any]) -> None:
        self.config = config
        self.parts = parts

    def refusal(self, space: CodeSpace, layout: ConditionLayout, *, ordering: str) -> str | None:
        """Why this sampler cannot draw such codes under the named ordering; ``None`` where it can."""
        return None

    def prior_refusal(self, space: CodeSpace, layout: ConditionLayout, scope: PriorScope) -> str | None:
        """Why this sampler cannot draw codes of ``space`` from a prior that was trained so; ``None`` where it can.

        A sampler that wraps another says what that one says.
        """
        return whole_image_refusal(space, scope)

    def given_positions(self, space: CodeSpace) -> npt.NDArray[np.bool_] | None:
        """The codes that it takes from ``request.images`` and does not draw, bool (N,) in canonical order.

        ``None`` for a sampler that completes no images. A sampler that wraps another gives what that one gives. A prior that
        predicts the next step alone needs them to be the first ones to be visited, which is checked for it.
        """
        return None

    def class_refusal(self, classes: PlannedClasses | None) -> str | None:
        """Why this sampler cannot draw samples of such classes; ``None`` where it can.

        A sampler that wraps another says what that one says.

        Args:
            classes: The samples' classes; ``None`` where the condition names none.
        """
        return None

    def drawn(self, counts: Sequence[int]) -> int:
        """How many images are drawn for the samples that are kept, in one process.

        Args:
            counts: How many samples each class has; one number where the condition names no class.
        """
        return sum(counts)

    @abstractmethod
    def sample(self, request: SampleRequest) -> Tensor:
        """int64 (B, N) in canonical order."""
