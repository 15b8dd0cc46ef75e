"""What the transformer is asked about each row of a batch, and which rows it computes together.

Shape letters: B batch, N code positions, P condition positions, T visited.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from tamingplat.interfaces.models import rows_together
from tamingplat_gpt.state import KeyValueState

CACHED_BYTES = 5 << 20
"""The largest features of a layer that a pass over new rows has on a CPU. More rows in a pass were slower there, not faster."""

PASS_OVERHEAD = 24
"""What a pass on a CPU costs however many positions it has, about, in positions."""

FEWEST_TOKENS = 8
"""Rows that lack no more tokens than that are computed as one group, however few of them a row lacks."""


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

    def of(self, group: Lacking, prefix: int) -> Asked:
        """The same of the rows of a group, where ``prefix`` tokens come before the visited ones."""
        visited = group.total - prefix
        if group.rows == range(len(self.codes)) and visited == self.visited.shape[1]:
            return self
        rows: slice | Tensor
        if isinstance(group.rows, range):
            rows = slice(group.rows.start, group.rows.stop)
        else:
            rows = torch.tensor(group.rows, device=self.codes.device)
        lengths = None if self.lengths is None or group.even else self.lengths[rows]
        return Asked(self.codes[rows], self.visited[rows, :visited], self.targets[rows], self.condition[rows], lengths)


class Lacking(NamedTuple):
    """Rows that are computed as one group, because they lack about as many tokens.

    Attributes:
        rows: Which of the batch.
        new: How many tokens are computed of each: as many as the row lacks that lacks most.
        total: How many tokens the longest row has then.
        even: Whether all have that many.
    """

    rows: Sequence[int]
    new: int
    total: int
    even: bool


def passes(asked: Asked, state: KeyValueState | None, prefix: int, bytes_of_token: int) -> list[list[Lacking]]:
    """The passes in which rows are best computed, and the groups of each.

    Waits for the device where rows differ and go on from a state, and on a CPU where they differ.

    Args:
        asked: About all rows.
        state: Of all rows.
        prefix: How many tokens come before the visited ones.
        bytes_of_token: Of a token's largest features.
    """
    batch, total = len(asked.codes), prefix + asked.visited.shape[1]
    on_cpu = asked.codes.device.type == "cpu"
    everyone = Lacking(range(batch), total, total, asked.lengths is None)
    if state is None or not state.begun:
        if not on_cpu:
            return [[everyone]]
        counts = [total] * batch if asked.lengths is None else (prefix + asked.lengths).tolist()
        return [[group] for group in _beginning(range(batch), counts, bytes_of_token)]
    if asked.lengths is None and state.tokens is None:
        return [[everyone._replace(new=total - min(state.filled, total - 1))]]
    tokens = asked.codes.new_full((batch,), total) if asked.lengths is None else prefix + asked.lengths
    missing, counts = torch.stack([tokens - torch.minimum(state.tokens_of_rows(), tokens - 1), tokens]).tolist()
    most = max(missing)
    few = [row for row in range(batch) if 2 * missing[row] <= most]
    many = [row for row in range(batch) if 2 * missing[row] > most]
    if not few or most <= FEWEST_TOKENS:
        return [[_lacking(range(batch), missing, counts)]]
    going = _lacking(few, missing, counts)
    if not on_cpu or any(missing[row] < counts[row] for row in many):
        return [[_lacking(many, missing, counts), going]]
    # A pass over few tokens takes the time in which the weights are read; beside many others they cost next to nothing.
    first, *others = _beginning(many, [counts[row] for row in many], bytes_of_token)
    return [[first, going], *([group] for group in others)]


def _beginning(rows: Sequence[int], counts: Sequence[int], bytes_of_token: int) -> list[Lacking]:
    """Rows that have no token and get so many, as a CPU best computes them: each group in a pass of its own."""
    spans = rows_together(counts, CACHED_BYTES // bytes_of_token, PASS_OVERHEAD)
    found = []
    for span in spans:
        shortest, longest = (bound(counts[span.start : span.stop]) for bound in (min, max))
        found.append(Lacking(rows[span.start : span.stop], longest, longest, shortest == longest))
    return found


def _lacking(rows: Sequence[int], missing: Sequence[int], counts: Sequence[int]) -> Lacking:
    """Rows of a batch of which each lacks so many tokens and will have so many."""
    of_rows = [counts[row] for row in rows]
    return Lacking(rows, max(missing[row] for row in rows), max(of_rows), min(of_rows) == max(of_rows))
