"""Rows that are computed together: all of them once, in order, and padded no more than is worth it."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from tamingplat.interfaces.models import rows_together
from tamingplat.interfaces.models.row_groups import FEWEST_ROWS


@given(st.lists(st.integers(0, 40), min_size=1, max_size=30), st.integers(0, 300), st.integers(0, 60))
def test_every_row_is_in_one_group_and_padding_stays_below_the_overhead_of_a_pass(
    counts: list[int], most: int, overhead: int
) -> None:
    groups = rows_together(counts, most, overhead)
    assert [row for group in groups for row in group] == list(range(len(counts)))
    for group in groups:
        of_group = counts[group.start : group.stop]
        assert len(group) * max(of_group) - sum(of_group) <= overhead
        assert len(group) <= FEWEST_ROWS or len(group) * max(of_group) <= most


@given(st.integers(1, 40), st.integers(1, 30), st.integers(0, 300))
def test_rows_of_one_length_are_split_evenly_and_no_more_than_the_caches_ask_for(count: int, rows: int, most: int) -> None:
    sizes = [len(group) for group in rows_together([count] * rows, most, 0)]
    assert max(sizes) - min(sizes) <= 1
    assert len(sizes) == -(-rows // max(FEWEST_ROWS, most // count))


def test_neighbours_that_differ_much_are_apart() -> None:
    assert rows_together([9, 9, 2, 2, 9], 1000, 0) == [range(2), range(2, 4), range(4, 5)]
    assert rows_together([9, 9, 2, 2, 9], 1000, 13) == [range(2), range(2, 4), range(4, 5)]
    assert rows_together([9, 9, 2, 2, 9], 1000, 14) == [range(5)]
