"""Orderings: which position is visited when."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any, ClassVar

import torch

from tamingplat.interfaces.config import Config
from tamingplat.interfaces.models.visits import VisitPlan
from tamingplat.interfaces.spaces import CodeSpace


class Ordering(ABC):
    """Makes visiting plans for a code space. An ordering applies within each grid, the grids one after the other."""

    random: ClassVar[bool] = False
    """Whether plans differ from image to image; a likelihood under such a plan is a bound, ``nll-bound``."""

    grouped: ClassVar[bool] = False
    """Whether several positions are visited at one step."""

    def __init__(self, config: Config, parts: Mapping[str, Any]) -> None:
        self.config = config

    def refusal(self, space: CodeSpace) -> str | None:
        """Why there is no such order on ``space``; ``None`` where there is one."""
        return None

    @abstractmethod
    def plan(self, space: CodeSpace, batch: int, *, generator: torch.Generator | None = None) -> VisitPlan:
        """The plan of a batch, on the CPU.

        Args:
            space: The codes to be visited.
            batch: B, the number of images.
            generator: Randomness, where ``random``.
        """
