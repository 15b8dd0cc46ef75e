"""What the transformer is asked about each row of a batch, and which rows it computes together.

Shape letters: B batch, N code positions, P condition positions, T visited.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple

from torch import Tensor

CACHED_BYTES = 5 << 20
"""The largest features of a layer that a pass over new rows has on a CPU. More rows in a pass were slower there, not faster."""

FEWEST_ROWS = 4
"""Rows of a pass, however large their features."""


class Asked(NamedTuple):
    """Arguments of ``Prior.logits``.

    Attributes:
        codes: int64 (B, N).
        visited: int64 (B, T).
        targets: int64 (B, 1).
        condition: int64 (B, P).
        lengths: int64 (B,), or ``None`` where all T count.
    """

    codes: Tensor
    visited: Tensor
    targets: Tensor
    condition: Tensor
    lengths: Tensor | None

    def of(self, rows: Tensor, counts: Sequence[int]) -> Asked:
        """The same of some rows, int64 (B',), which have so many visited positions each."""
        longest = max(counts)
        lengths = None if self.lengths is None or min(counts) == longest else self.lengths[rows]
        return Asked(self.codes[rows], self.visited[rows, :longest], self.targets[rows], self.condition[rows], lengths)

    def counts(self) -> Sequence[int]:
        """How many visited positions count in each row. Waits for the device where rows differ."""
        return [self.visited.shape[1]] * len(self.codes) if self.lengths is None else self.lengths.tolist()


def passes(rows: int, bytes_of_row: int) -> list[range]:
    """Rows that are computed together on a CPU: as many as its caches hold the largest features of."""
    count = -(-rows // max(FEWEST_ROWS, CACHED_BYTES // bytes_of_row))
    return [range(start, stop) for start, stop in pairwise(rows * number // count for number in range(count + 1))]
