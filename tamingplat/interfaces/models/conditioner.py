"""Conditioners: what is given, as tokens that come before the codes.

Shape letters: B batch, P condition positions.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any

from torch import Tensor

from tamingplat.interfaces.config import Config
from tamingplat.interfaces.spaces import ConditionLayout, DatasetInfo


class Conditioner(ABC):
    """Turns a batch's label, map or image into condition tokens.

    Built as ``cls(config, parts, info)``, where ``info`` describes the dataset.
    """

    def __init__(self, config: Config, parts: Mapping[str, Any], info: DatasetInfo) -> None:
        self.config = config
        self.info = info

    @classmethod
    def refusal(cls, config: Config, info: DatasetInfo) -> str | None:
        """Why this conditioner cannot be used with such a dataset, with the remedy; ``None`` where it can."""
        return None

    @property
    def dropout(self) -> float:
        """Share of training examples whose condition is replaced by the null index, in [0, 1): what guidance needs."""
        return 0.0

    @property
    def columns(self) -> tuple[str, ...]:
        """The dataset's columns that ``encode`` reads."""
        return ()

    @abstractmethod
    def layout(self, image_size: tuple[int, int]) -> ConditionLayout:
        """The parts of the condition for an image of this size, in order; empty for no condition."""

    @abstractmethod
    def encode(self, batch: Mapping[str, Tensor]) -> Tensor:
        """The condition of a batch of dataset columns, int64 (B, P) in layout order."""

    @abstractmethod
    def null(self, batch: int) -> Tensor:
        """The absent condition, int64 (B, P): in every part an index of its own that ``encode`` never gives."""
