"""Samplers: codes drawn from a prior.

Shape letters: B batch, N code positions, P condition positions.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

from torch import Tensor

from tamingplat.interfaces.config import Config
from tamingplat.interfaces.models.prior import Prior, Visits
from tamingplat.interfaces.models.tokenizer import Tokenizer
from tamingplat.interfaces.models.visits import VisitPlan
from tamingplat.interfaces.spaces import CodeSpace, ConditionLayout


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
    parts: Mapping[str, Any] = field(default_factory=dict)


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

    @abstractmethod
    def sample(self, request: SampleRequest) -> Tensor:
        """int64 (B, N) in canonical order."""
