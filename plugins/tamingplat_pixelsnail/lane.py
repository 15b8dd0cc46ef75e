"""What decoding remembers of one grid: the columns of visited positions in every layer, and what attention keeps of them.

A column is what all convolutions of the grid's layers read at one position. It depends on codes visited before that position
alone, so it is final once it was computed, when the position was a target. Its keys and values depend on the position's own
code too, and are made when that code is known.

Shape letters: B batch, N positions of the grid, K targets, C width, S channels of a column (the first convolution's C, then
those of every other), T positions visited so far, R rows of memory for columns.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Self

import torch
import torch.nn.functional as F
from torch import Tensor

from tamingplat_pixelsnail.geometry import CENTRE


@dataclass
class Lane:
    """The memory of one grid for a batch of images. Changed in place; a position "N" is none.

    Attributes:
        table: int64 (N + 1, 9), what the taps of a kernel read at every position, N for nothing.
        background: (N, 2), coordinates.
        condition: (B, N or 1, C), or ``None`` without conditions.
        ready: bool (B,), rows whose condition is known: that of a finer grid waits for the coarser codes.
        complete: Whether all rows are known to be ready.
        channels: What each convolution reads at one position, S together.
        columns: (B, R, S), in the order in which they came. The row 0 is zero: what is read where nothing was visited. R grows
            as columns come: a window that soon slides on never needs the memory of a whole grid.
        used: Rows of ``columns`` that are taken; the same for all images.
        rows: int64 (B, N + 2), the row of each position's column, 0 where nothing was visited. The position N is off the grid;
            N + 1 takes what is not kept.
        keys: For each attention layer (B, heads, key_width, N + 1), visited positions first; the last slot takes what is not
            kept.
        values: Likewise (B, heads, N + 1, value_width).
        filled: int64 (B,), positions visited so far.
        extent: At least the largest of ``filled``.
        even: Whether every row has visited ``extent`` positions.
        pending_columns: (B, K, S − C), the columns of the last targets without what the first convolution reads, their codes,
            which were not known yet.
        pending_features: For each attention layer (B, K, C), what their keys and values will be made of.
    """

    table: Tensor
    background: Tensor
    condition: Tensor | None
    ready: Tensor
    complete: bool
    channels: list[int]
    columns: Tensor
    used: int
    rows: Tensor
    keys: list[Tensor]
    values: list[Tensor]
    filled: Tensor
    extent: int
    even: bool
    pending_columns: Tensor
    pending_features: list[Tensor]

    @property
    def length(self) -> int:
        """N, positions of the grid."""
        return len(self.background)

    def around(self, targets: Tensor) -> tuple[Tensor, range]:
        """The columns that lie around targets int64 (B, K), and which of a kernel's taps read them.

        Returns:
            (B · K, taps, S), zero at the centre, off the grid and where nothing was visited; and consecutive taps, the centre
            among them. Beyond these nothing was visited, as far as that is known without waiting for the device.
        """
        B, R, S = self.columns.shape
        places = self.table.index_select(0, targets.flatten())
        rows = self.rows.gather(1, places.view(B, -1)).view(*targets.shape, -1)
        taps = range(rows.shape[2])
        if rows.device.type == "cpu":
            read = [tap for tap, something in enumerate(rows.flatten(0, 1).any(0).tolist()) if something]
            taps = range(min(CENTRE, *read[:1]), max(CENTRE, *read[-1:]) + 1) if read else range(CENTRE, CENTRE + 1)
        within = rows[:, :, taps.start : taps.stop] + torch.arange(0, B * R, R, device=targets.device)[:, None, None]
        return self.columns.view(-1, S).index_select(0, within.flatten()).view(-1, len(taps), S), taps

    def keep(self, positions: Tensor, columns: Tensor, *, whole: bool = False) -> None:
        """Keep columns (B, K, S) of visited positions int64 (B, K), N where one was not; ``whole`` where all were."""
        N, K = self.length, positions.shape[1]
        if self.used + K > 2 * (N + 1):
            self._close_up()
        stop = self.used + K
        B, R, S = self.columns.shape
        if stop > R:
            grown = self.columns.new_empty(B, min(2 * stop, N + 1 if stop <= N + 1 else 2 * (N + 1)), S)
            grown[:, : self.used] = self.columns[:, : self.used]
            self.columns = grown
        self.columns[:, self.used : stop] = columns
        places = positions if whole else torch.where(positions < N, positions, N + 1)
        self.rows.scatter_(1, places, torch.arange(self.used, stop, device=positions.device).expand_as(places))
        self.used = stop

    def _close_up(self) -> None:
        """Give up what columns take that belong to no position: each step has some where images are at different places."""
        N = self.length
        unvisited = self.rows[:, :N] == 0
        at = unvisited.to(torch.uint8).argsort(dim=1, stable=True)[:, : int((~unvisited).sum(1).max())]
        image = torch.arange(len(at), device=at.device)[:, None]
        self.columns = F.pad(self.columns[image, self.rows.gather(1, at)], (0, 0, 1, 0))
        taken = torch.arange(1, 1 + at.shape[1], device=at.device).expand_as(at)
        self.rows = torch.zeros_like(self.rows).scatter(1, torch.where(unvisited.gather(1, at), N + 1, at), taken)
        self.used = 1 + at.shape[1]

    def empty_slots(self) -> Tensor:
        """bool (B, 1, 1, T): the slots of keys and values up to ``extent`` in which a row has nothing yet."""
        slots = torch.arange(self.extent, device=self.filled.device)
        return (slots >= self.filled[:, None])[:, None, None]

    def write(self, positions: Tensor, embedded: Tensor, memory: Sequence[tuple[Tensor, Tensor]], *, whole: bool) -> None:
        """Keep the pending columns whose positions were visited.

        Args:
            positions: int64 (B, K), the pending positions, N where one was not visited.
            embedded: (B, K, C), their codes.
            memory: Their keys (B, heads, K, key_width) and values (B, heads, K, value_width) for each attention layer.
            whole: Whether all of them were visited in every row.
        """
        B, K = positions.shape
        N = self.length
        self.keep(positions, torch.cat([embedded, self.pending_columns], dim=-1), whole=whole)
        if whole and self.even:
            for kept, kept_values, (keys, values) in zip(self.keys, self.values, memory, strict=True):
                kept[:, :, :, self.extent : self.extent + K] = keys.transpose(2, 3)
                kept_values[:, :, self.extent : self.extent + K] = values
            self.filled = self.filled + K
        else:
            visited = positions < N
            row = torch.arange(B, device=positions.device)[:, None]
            slots = torch.where(visited, self.filled[:, None] + visited.cumsum(1) - 1, N)
            for kept, kept_values, (keys, values) in zip(self.keys, self.values, memory, strict=True):
                kept[row, :, :, slots] = keys.transpose(1, 2).to(kept.dtype)
                kept_values[row, :, slots] = values.transpose(1, 2).to(kept_values.dtype)
            self.filled = self.filled + visited.sum(1)
            self.even = False
        self.extent = min(self.extent + K, N)

    def select(self, rows: Tensor) -> Self:
        """The memory of some rows, int64 (B',)."""
        return replace(
            self,
            condition=None if self.condition is None else self.condition[rows],
            ready=self.ready[rows],
            columns=self.columns[rows],
            rows=self.rows[rows],
            keys=[keys[rows] for keys in self.keys],
            values=[values[rows] for values in self.values],
            filled=self.filled[rows],
            pending_columns=self.pending_columns[rows],
            pending_features=[features[rows] for features in self.pending_features],
        ).measured()

    def blank(self, rows: int) -> Self:
        """A memory like this one for other rows, in which nothing was visited and nothing is pending."""

        def empty(tensor: Tensor) -> Tensor:
            return tensor.new_zeros(rows, *tensor.shape[1:])

        return replace(
            self,
            condition=None if self.condition is None else empty(self.condition),
            ready=empty(self.ready),
            complete=False,
            columns=empty(self.columns[:, : self.used]),
            rows=empty(self.rows),
            keys=[empty(keys) for keys in self.keys],
            values=[empty(values) for values in self.values],
            filled=empty(self.filled),
            extent=0,
            even=True,
            pending_columns=empty(self.pending_columns),
            pending_features=[empty(features) for features in self.pending_features],
        )

    @classmethod
    def cat(cls, lanes: Sequence[Self], targets: int) -> Self:
        """The rows of several memories of the same grid, with K = ``targets`` pending positions."""
        conditions = [lane.condition for lane in lanes if lane.condition is not None]

        used = max(lane.used for lane in lanes)

        def widened(tensor: Tensor, to: int = targets) -> Tensor:
            return F.pad(tensor, (0, 0, 0, to - tensor.shape[1]))

        return replace(
            lanes[0],
            condition=torch.cat(conditions) if conditions else None,
            ready=torch.cat([lane.ready for lane in lanes]),
            columns=torch.cat([widened(lane.columns[:, : lane.used], used) for lane in lanes]),
            used=used,
            rows=torch.cat([lane.rows for lane in lanes]),
            keys=[torch.cat(keys) for keys in zip(*(lane.keys for lane in lanes), strict=True)],
            values=[torch.cat(values) for values in zip(*(lane.values for lane in lanes), strict=True)],
            filled=torch.cat([lane.filled for lane in lanes]),
            pending_columns=torch.cat([widened(lane.pending_columns) for lane in lanes]),
            pending_features=[
                torch.cat([widened(features) for features in of_layer])
                for of_layer in zip(*(lane.pending_features for lane in lanes), strict=True)
            ],
        ).measured()

    def measured(self) -> Self:
        """Itself, with ``extent`` and ``even`` as ``filled`` has them, and ``complete`` as ``ready`` does."""
        filled = self.filled.tolist()
        self.complete = all(self.ready.tolist())
        self.extent = max(filled, default=0)
        self.even = min(filled, default=0) == self.extent
        return self
