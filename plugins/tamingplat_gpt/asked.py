"""What the transformer is asked about each row of a batch, and which rows it computes together.

Shape letters: B batch, N code positions, P condition positions, T visited.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from torch import Tensor

from tamingplat.interfaces.models import rows_together

CACHED_BYTES = 5 << 20
"""The largest features of a layer that a pass over new rows has on a CPU. More rows in a pass were slower there, not faster."""

PASS_OVERHEAD = 24
"""What a pass on a CPU costs however many positions it has, about, in positions."""


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


def passes(tokens: Sequence[int], bytes_of_token: int) -> list[range]:
    """Rows with so many tokens each that are computed together on a CPU: as many as its caches hold the largest features of."""
    return rows_together(tokens, CACHED_BYTES // bytes_of_token, PASS_OVERHEAD)
