"""Which rows of a batch a prior computes together, where the batch is more than a processor's caches hold."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby, pairwise

FEWEST_ROWS = 4
"""Rows of a pass over rows of one length, however long they are."""


def rows_together(counts: Sequence[int], most: int, overhead: int) -> list[range]:
    """The passes in which a CPU best computes the rows of a batch.

    A pass computes as many positions of all its rows as the longest of them has.

    Args:
        counts: How many positions each row has, at least 0.
        most: How many positions of all its rows together a pass may have. Beyond what caches hold, more rows in a pass are
            slower and not faster.
        overhead: What a pass costs however many positions it has, in positions: rows of different lengths stay together where
            padding them costs no more than that.

    Returns:
        The rows of each pass. They follow each other, and so do the passes.
    """
    found = []
    for alike in _alike(counts, overhead):
        longest = max(1, *counts[alike.start : alike.stop])
        passes = -(-len(alike) // max(FEWEST_ROWS, most // longest))
        bounds = [alike.start + len(alike) * number // passes for number in range(passes + 1)]
        found += [range(start, stop) for start, stop in pairwise(bounds)]
    return found


def _alike(counts: Sequence[int], overhead: int) -> list[range]:
    """Neighbouring rows of one length, joined with those before them where padding costs no more than ``overhead``."""
    found: list[range] = []
    stop = 0
    for _, run in groupby(counts):
        start, stop = stop, stop + len(list(run))
        joined = found[-1].start if found else start
        padding = (stop - joined) * max(counts[joined:stop]) - sum(counts[joined:stop])
        if found and padding <= overhead:
            found[-1] = range(joined, stop)
        else:
            found.append(range(start, stop))
    return found
