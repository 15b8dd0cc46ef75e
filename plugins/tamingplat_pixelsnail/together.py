"""Which rows of a batch one pass over a grid computes together.

Shape letters: B batch.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby, pairwise
from typing import NamedTuple

from torch import Tensor

from tamingplat_pixelsnail.stack import GridStack

CACHED_BYTES = 1 << 20
"""Features of one layer that passes over grids have at a time on a CPU. More rows in a pass were slower there, not faster."""

FEWEST_ROWS = 4
"""Rows of a pass, however large their features."""

PASS_POSITIONS = 48
"""Positions that take about as long as what a pass on a CPU costs beside them."""


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
    of_position = 2 * len(weight) * weight.element_size()
    # Where rows are padded to the whole grid, the longest one still has a target left.
    counts = [whole - 1] * B if longest is None else [min(count, whole - 1) for count in lengths.tolist()]
    found = []
    for alike in _alike(counts):
        known = max(counts[alike.start : alike.stop])
        number = -(-len(alike) // max(FEWEST_ROWS, CACHED_BYTES // (of_position * (known + 1))))
        bounds = [alike.start + len(alike) * place // number for place in range(number + 1)]
        for start, stop in pairwise(bounds):
            same = longest is not None and len(set(counts[start:stop])) == 1
            found.append(Together(slice(start, stop), None if longest is None else known, same))
    return found


def _alike(counts: Sequence[int]) -> list[range]:
    """Rows that follow each other and whose counts differ so little that passes of their own would cost more."""
    found: list[range] = []
    for _, rows in groupby(range(len(counts)), key=counts.__getitem__):
        row, *others = rows
        joined = range(found[-1].start if found else 0, row + 1 + len(others))
        of_joined = counts[joined.start : joined.stop]
        if found and len(joined) * max(of_joined) - sum(of_joined) <= PASS_POSITIONS:
            found[-1] = joined
        else:
            found.append(range(row, joined.stop))
    return found
