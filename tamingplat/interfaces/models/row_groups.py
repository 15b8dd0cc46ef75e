"""Which rows of a batch a prior computes together, where the batch is more than a processor's caches hold."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby, pairwise

FEWEST_ROWS = 4
"""Rows of a pass over rows of one length, however long they are."""


def rows_together(counts: Sequence[int], cached: int, apart: int) -> list[range]:
    """Rows of a batch, each group of which follow each other and are best computed in one pass on a CPU.

    A pass computes as many positions of all its rows as the longest of them has.

    Args:
        counts: How many positions each row has.
        cached: How many positions of all rows together a pass may have. Beyond what caches hold, more rows in a pass are slower
            and not faster.
        apart: How many positions take about as long as what a pass costs beside them: rows whose lengths differ by fewer in all
            are not computed apart.
    """
    found = []
    for alike in _alike(counts, apart):
        longest = max(1, *counts[alike.start : alike.stop])
        passes = -(-len(alike) // max(FEWEST_ROWS, cached // longest))
        bounds = [alike.start + len(alike) * number // passes for number in range(passes + 1)]
        found += [range(start, stop) for start, stop in pairwise(bounds)]
    return found


def _alike(counts: Sequence[int], apart: int) -> list[range]:
    found: list[range] = []
    for _, rows in groupby(range(len(counts)), key=counts.__getitem__):
        row, *others = rows
        joined = range(found[-1].start if found else 0, row + 1 + len(others))
        of_joined = counts[joined.start : joined.stop]
        if found and len(joined) * max(of_joined) - sum(of_joined) <= apart:
            found[-1] = joined
        else:
            found.append(range(row, joined.stop))
    return found
