"""No condition.

Shape letters: B batch.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from tamingplat.interfaces import ConditionLayout
from tamingplat.interfaces.models import Conditioner


class NoCondition(Conditioner):
    """A condition of no tokens (P = 0); the prior begins with a start token of its own."""

    def layout(self, image_size: tuple[int, int]) -> ConditionLayout:
        """No parts."""
        return ()

    def encode(self, batch: Mapping[str, Tensor]) -> Tensor:
        """int64 (B, 0), where B is that of any column of the batch."""
        assert batch, "the size of a batch without columns is unknown"
        column = next(iter(batch.values()))
        return torch.zeros(len(column), 0, dtype=torch.int64, device=column.device)

    def null(self, batch: int) -> Tensor:
        """int64 (B, 0)."""
        return torch.zeros(batch, 0, dtype=torch.int64)
