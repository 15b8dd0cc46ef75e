"""What PixelSNAIL remembers of the visited positions of all grids.

Shape letters: B batch, N code positions, T visited, K targets.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple, Self

import torch
import torch.nn.functional as F
from torch import Tensor

from tamingplat.interfaces.models import PriorState
from tamingplat_pixelsnail.parts import Parts

NEVER = torch.iinfo(torch.int64).max
"""The step of a position that was not visited yet."""


def same_memory(one: Tensor, other: Tensor) -> bool:
    """Whether two tensors are views of the same numbers; known without reading them, and so without waiting for the device."""
    return (one.device, one.dtype, one.shape, one.stride()) == (
        other.device,
        other.dtype,
        other.shape,
        other.stride(),
    ) and one.data_ptr() == other.data_ptr()


class Arrivals(NamedTuple):
    """Which of the last targets have been visited since.

    Attributes:
        anywhere: Whether any was.
        mask: bool (B, K), which; ``None`` for all of them in every row.
    """

    anywhere: bool
    mask: Tensor | None


@dataclass
class PixelSNAILState(PriorState):
    """A prefix of the visited positions, and the columns of the last targets.

    Attributes:
        lengths: int64 (B,), how many positions each row has visited.
        steps: int64 (B, N + 1), for each visited position how many were visited before its step began, and ``NEVER`` for
            others. Positions of one step have the same number; later steps have larger ones. The last column takes what is not
            kept.
        targets: int64 (B, K), the positions last predicted; N for none.
        lanes: The memory of each grid that is being visited, put together when decoding goes on from it.
        common: How many positions every row has visited, where that is known to be one number.
        shown: The tensor in which the caller named ``targets``, to recognise a view of the same memory.
    """

    lengths: Tensor
    steps: Tensor
    targets: Tensor
    lanes: dict[int, Parts]
    common: int | None = None
    shown: Tensor | None = None

    @classmethod
    def empty(cls, batch: int, length: int, device: torch.device) -> Self:
        """Nothing visited."""
        return cls(
            torch.zeros(batch, dtype=torch.int64, device=device),
            torch.full((batch, length + 1), NEVER, device=device),
            torch.zeros(batch, 0, dtype=torch.int64, device=device),
            {},
            common=0,
        )

    def newly_visited(self, visited: Tensor, lengths: Tensor | None) -> Arrivals | None:
        """Which of the last targets have been visited since, if that is all that has.

        Args:
            visited: int64 (B, T), in visiting order.
            lengths: int64 (B,); all T where ``None``.

        Returns:
            Those; ``None`` where other positions were visited too, whose columns this state lacks.
        """
        K = self.targets.shape[1]
        T = visited.shape[1]
        if lengths is None and self.common is not None:
            if self.common == T:
                return Arrivals(False, None)
            if self.common + K == T:
                latest = visited[:, self.common :]
                if self.shown is not None and same_memory(latest, self.shown):
                    return Arrivals(True, None)
                if torch.equal(latest, self.targets):
                    return Arrivals(True, None)
        index = self.lengths[:, None] + torch.arange(K, device=visited.device)
        counts = torch.full_like(self.lengths, T) if lengths is None else lengths
        if T:
            after = torch.where(index < counts[:, None], visited.gather(1, index.clamp(max=T - 1)), -1)
        else:
            after = torch.full_like(index, -1)
        mask = (after[:, :, None] == self.targets[:, None, :]).any(1)
        complete = (mask.sum(1) == counts - self.lengths).all()
        # One transfer from the device for all three.
        known, anywhere, everywhere = torch.stack([complete, mask.any(), mask.all()]).tolist()
        return Arrivals(anywhere, None if everywhere and anywhere else mask) if known else None

    def serves(self, visited: Tensor, lengths: Tensor) -> list[bool]:
        """For each row whether all that it has visited since are targets of this state; arguments as ``newly_visited``."""
        time = torch.arange(visited.shape[1], device=visited.device)
        new = (time >= self.lengths[:, None]) & (time < lengths[:, None])
        expected = (visited[:, :, None] == self.targets[:, None, :]).any(2)
        found: list[bool] = (expected | ~new).all(1).tolist()
        return found

    def visit(self, arrivals: Arrivals) -> None:
        """Count the targets that were visited, as one step."""
        K = self.targets.shape[1]
        begins = self.lengths[:, None].expand(-1, K)
        if arrivals.mask is None:
            self.steps.scatter_(1, self.targets, begins)
            self.lengths = self.lengths + K
            self.common = None if self.common is None else self.common + K
        else:
            self.steps.scatter_(1, torch.where(arrivals.mask, self.targets, self.steps.shape[1] - 1), begins)
            self.lengths = self.lengths + arrivals.mask.sum(1)
            self.common = None

    def measured(self) -> Self:
        """Itself, with ``common`` as ``lengths`` have it."""
        lengths = set(self.lengths.tolist())
        self.common = lengths.pop() if len(lengths) == 1 else None
        return self

    def select(self, rows: Tensor) -> Self:
        """See ``PriorState``."""
        chosen = rows.tolist()
        return self._of(rows, {grid: parts.select(chosen) for grid, parts in self.lanes.items()})

    def take(self, rows: Tensor) -> Self:
        """See ``PriorState``: rows that are not needed later are not copied."""
        chosen = rows.tolist()
        return self._of(rows, {grid: parts.take(chosen) for grid, parts in self.lanes.items()})

    def _of(self, rows: Tensor, lanes: dict[int, Parts]) -> Self:
        # Where nothing is known of any of the rows, they begin like others.
        known = {grid: parts for grid, parts in lanes.items() if parts.known}
        return type(self)(self.lengths[rows], self.steps[rows], self.targets[rows], known).measured()

    def blank(self, rows: int) -> Self:
        """See ``PriorState``."""
        return type(self).empty(rows, self.steps.shape[1] - 1, self.steps.device)

    @classmethod
    def cat(cls, states: Sequence[Self]) -> Self:
        """See ``PriorState``."""
        K = max(state.targets.shape[1] for state in states)
        N = states[0].steps.shape[1] - 1
        targets = [F.pad(state.targets, (0, K - state.targets.shape[1]), value=N) for state in states]
        lanes = {
            grid: Parts.cat([state.lanes.get(grid) or Parts.blank(len(state.lengths)) for state in states])
            for grid in sorted({grid for state in states for grid in state.lanes})
        }
        return cls(
            torch.cat([state.lengths for state in states]),
            torch.cat([state.steps for state in states]),
            torch.cat(targets),
            lanes,
        ).measured()
