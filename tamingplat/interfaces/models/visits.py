"""The visiting order of code positions.

Shape letters: B batch, N code positions, S steps.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class VisitPlan:
    """In which order the positions of each image are visited.

    Attributes:
        order: int64 (B, N), the canonical position visited at each time; every row is a permutation of 0 … N−1.
        sizes: int64 (S,), how many positions are visited together at each step, summing to N: all ones for the paper's orders.
        shared: Whether every row is the same, so that what is derived from the order can be computed once.
    """

    order: Tensor
    sizes: Tensor
    shared: bool = False

    @classmethod
    def repeat(cls, order: Tensor, batch: int) -> VisitPlan:
        """The same order, int64 (N,), for every image of a batch, one position a step; no memory is spent on the copies."""
        return cls(order[None].expand(batch, -1), torch.ones_like(order), shared=True)

    def ranks(self) -> Tensor:
        """int64 (B, N): the time at which each canonical position is visited, the inverse permutation of ``order``."""
        rows = self.order[:1] if self.shared else self.order
        times = torch.arange(rows.shape[1], device=rows.device).expand_as(rows)
        inverse = torch.empty_like(rows, memory_format=torch.contiguous_format).scatter_(1, rows, times)
        return inverse.expand_as(self.order)

    def steps(self) -> Tensor:
        """int64 (B, N): the step at which each canonical position is visited; those of one step are predicted together."""
        step_of_time = torch.repeat_interleave(torch.arange(len(self.sizes), device=self.sizes.device), self.sizes)
        return step_of_time.to(self.order.device)[self.ranks()]

    def to(self, device: torch.device | str) -> VisitPlan:
        """The same plan on another device."""
        if self.shared:
            order = self.order[:1].to(device).expand(self.order.shape[0], -1)
        else:
            order = self.order.to(device)
        return VisitPlan(order, self.sizes.to(device), self.shared)

    def rows(self, start: int, stop: int) -> VisitPlan:
        """The plan of images ``start`` to ``stop`` of the batch."""
        return VisitPlan(self.order[start:stop], self.sizes, self.shared)
