"""Which rows of a batch one pass over a grid computes together, and how far.

Shape letters: B batch.
"""

from __future__ import annotations

from typing import NamedTuple

from torch import Tensor

from tamingplat.interfaces.models import rows_together
from tamingplat_pixelsnail.stack import GridStack

CACHED_BYTES = 1 << 20
"""Features of one layer that passes over grids have at a time on a CPU. More rows in a pass were slower there, not faster."""

PASS_OVERHEAD = 48
"""What a pass on a CPU costs however many positions it has, about, in positions."""


class Together(NamedTuple):
    """Rows of a batch that one pass computes; ``known`` and ``even`` as in ``GridStack.recompute``."""

    rows: slice
    known: int | None
    even: bool


def passes_over(stack: GridStack, lengths: Tensor, longest: int | None, common: int | None) -> list[Together]:
    """The passes over rows of int64 (B,) visited positions.

    On a CPU each has as many rows as the caches hold the features of, and is over no more positions than these rows have.

    Args:
        stack: The layers of the targets' grid.
        lengths: int64 (B,), how many positions are visited.
        longest: Where every row has visited a beginning of the row-by-row order and its target comes next: how many positions
            the longest row has visited at most.
        common: How many positions every row has visited, where that is one number.
    """
    whole, B = stack.length, len(lengths)
    if lengths.device.type != "cpu":
        if longest is None:
            return [Together(slice(B), None, even=False)]
        return [Together(slice(B), min(longest if common is None else common, whole - 1), common is not None)]
    weight = stack.first.weight
    most = CACHED_BYTES // (2 * len(weight) * weight.element_size())
    if longest is None:
        return [Together(slice(rows.start, rows.stop), None, even=False) for rows in rows_together([whole] * B, most, 0)]
    # Where rows are padded to the whole grid, the longest one still has a target left.
    known = [min(count, whole - 1) for count in lengths.tolist()]
    found = []
    for rows in rows_together([count + 1 for count in known], most, PASS_OVERHEAD):
        of_rows = known[rows.start : rows.stop]
        found.append(Together(slice(rows.start, rows.stop), max(of_rows), len(set(of_rows)) == 1))
    return found
