"""Decoding over all grids: which grid's stack predicts which row, and when memories begin, go on and are dropped.

Rows of one batch can be at different positions, and so in different grids: each stack then computes all rows, with "no
position" in those of other grids.

Shape letters: B batch, N code positions, P condition tokens, T visited, K targets, V vocabulary.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby, pairwise
from typing import NamedTuple

import torch
from torch import Tensor

from tamingplat_pixelsnail.lane import Lane
from tamingplat_pixelsnail.parts import Parts
from tamingplat_pixelsnail.stack import GridStack
from tamingplat_pixelsnail.state import NEVER, Arrivals, PixelSNAILState

CACHED_BYTES = 1 << 20
"""Features of one layer that passes over grids have at a time on a CPU. More rows in a pass were slower there, not faster."""

FEWEST_ROWS = 4
"""Rows of a pass, however large their features."""

PASS_POSITIONS = 48
"""Positions that take about as long as what a pass on a CPU costs beside them."""


@dataclass(frozen=True)
class Grid:
    """One grid's stack and its place in the canonical order.

    Attributes:
        stack: Its layers.
        start: Canonical position of its first code.
        stop: One past the last.
        sole: Whether there is no other grid.
    """

    stack: GridStack
    start: int
    stop: int
    sole: bool

    def within(self, positions: Tensor) -> Tensor:
        """Canonical positions counted within the grid, and the grid's length where they lie in others."""
        if self.sole:
            return positions
        inside = (positions >= self.start) & (positions < self.stop)
        return torch.where(inside, positions - self.start, self.stop - self.start)

    def conditions(self, codes: Tensor, condition: Tensor) -> Tensor:
        """What its stack is conditioned on, int64 (B, P + start): the condition and the codes of coarser grids."""
        return torch.cat([condition, codes[:, : self.start]], dim=1) if self.start else condition


def visiting_steps(
    visited: Tensor, lengths: Tensor, length: int, sizes: Tensor | None, state: PixelSNAILState | None
) -> Tensor:
    """The steps of visited positions, in the form of ``PixelSNAILState.steps``, int64 (B, N + 1).

    Args:
        visited: int64 (B, T), in visiting order.
        lengths: int64 (B,).
        length: N.
        sizes: int64 (S,), how many positions each step visits; one each where neither this nor the state says otherwise.
        state: What is known of an earlier prefix.
    """
    B, T = visited.shape
    time = torch.arange(T, device=visited.device)
    begins = time
    if sizes is not None:
        ends = sizes.to(visited.device).cumsum(0)
        begins = torch.repeat_interleave(ends - sizes.to(visited.device), sizes.to(visited.device))[:T]
    steps = torch.full((B, length + 1), NEVER, device=visited.device)
    places = torch.where(time < lengths[:, None], visited, length)
    steps.scatter_(1, places, begins.expand(B, -1))
    if sizes is None and state is not None:
        steps = torch.where(steps == NEVER, NEVER, torch.minimum(steps, state.steps))
    steps[:, length] = NEVER
    return steps


def begins_row_by_row(grids: Sequence[Grid], visited: Tensor, lengths: Tensor | None, targets: Tensor) -> bool:
    """Whether every row has visited a beginning of one grid's row-by-row order, and its only target comes next.

    Args:
        grids: All grids.
        visited: int64 (B, T), each a step of its own.
        lengths: int64 (B,); all T where ``None``.
        targets: int64 (B, K).
    """
    T = visited.shape[1]
    if len(grids) > 1 or targets.shape[1] != 1:
        return False
    following = torch.full_like(targets[:, 0], T) if lengths is None else lengths
    in_order = (visited == torch.arange(T, device=visited.device)).all() & (targets[:, 0] == following).all()
    return bool(in_order)


def recompute(
    grids: Sequence[Grid],
    codes: Tensor,
    targets: Tensor,
    condition: Tensor,
    steps: Tensor,
    lengths: Tensor,
    longest: int | None = None,
) -> tuple[Tensor, PixelSNAILState]:
    """Logits (B, K, V) of targets by a pass over every grid that has one, whatever is known already.

    Args:
        grids: All grids.
        codes: int64 (B, N).
        targets: int64 (B, K), N for none.
        condition: int64 (B, P).
        steps: int64 (B, N + 1), see ``visiting_steps``.
        lengths: int64 (B,), how many positions are visited.
        longest: Where ``begins_row_by_row``, how many positions the longest row has visited at most.
    """
    visited = steps[:, :-1] != NEVER
    codes = torch.where(visited, codes, 0)
    next_steps = steps.scatter(1, targets, lengths[:, None].expand_as(targets))
    state = PixelSNAILState(lengths.clone(), steps, targets.clone(), {}, shown=targets).measured()
    logits = None
    for index in _grids_of(grids, targets, None):
        grid = grids[index]
        here = slice(grid.start, grid.stop)
        tokens, inside = grid.conditions(codes, condition), grid.within(targets)
        passes = [
            grid.stack.recompute(
                codes[rows, here],
                tokens[rows],
                next_steps[rows, here],
                visited[rows, here],
                inside[rows],
                known,
                even=even,
            )
            for rows, known, even in _passes(grid, lengths, longest, even=state.common is not None)
        ]
        found = torch.cat([of_rows for of_rows, _ in passes])
        state.lanes[index] = Parts.cat([Parts.of(recorded) for _, recorded in passes])
        logits = found if logits is None else torch.where((inside < grid.stack.length)[:, :, None], found, logits)
    assert logits is not None, "no target lies in any grid"
    return logits, state


class Together(NamedTuple):
    """Rows of a batch that one pass computes; ``known`` and ``even`` as in ``GridStack.recompute``."""

    rows: slice
    known: int | None
    even: bool


def _passes(grid: Grid, lengths: Tensor, longest: int | None, *, even: bool) -> list[Together]:
    """The passes over rows of int64 (B,) visited positions; see ``recompute``.

    On a CPU each has as many rows as the caches hold the features of, and is over no more positions than these rows have.
    """
    whole, B = grid.stack.length, len(lengths)
    if lengths.device.type != "cpu":
        return [Together(slice(B), None if longest is None else min(longest, whole - 1), even and longest is not None)]
    weight = grid.stack.first.weight
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


def proceed(
    grids: Sequence[Grid],
    codes: Tensor,
    targets: Tensor,
    condition: Tensor,
    state: PixelSNAILState,
    arrivals: Arrivals,
    time: int | None,
) -> tuple[Tensor, PixelSNAILState]:
    """Logits (B, K, V) of targets where all that was visited since are targets of the state, which is changed in place.

    Args:
        grids: All grids.
        codes: int64 (B, N).
        targets: int64 (B, K).
        condition: int64 (B, P).
        state: Of what was visited before.
        arrivals: Which of the state's targets have been visited.
        time: How many positions every row has visited; ``None`` where rows can differ. One grid being visited after the other,
            this alone tells which grid the targets lie in.
    """
    before = state.targets
    if arrivals.anywhere:
        state.visit(arrivals)
    state.targets, state.shown = targets.clone(), targets
    lanes: dict[int, Parts] = {}
    logits = None
    for index in _grids_of(grids, targets, time):
        grid = grids[index]
        remembered = state.lanes.get(index)
        lane = None if remembered is None else remembered.lane(before.shape[1])
        if lane is not None and arrivals.anywhere:
            arrived = grid.within(before)
            if arrivals.mask is not None:
                arrived = torch.where(arrivals.mask, arrived, grid.stack.length)
            # Targets of one lane that were all visited lie in its grid.
            whole = arrivals.mask is None and len(state.lanes) == 1
            grid.stack.advance(lane, codes[:, grid.start : grid.stop], arrived, whole=whole)
        lane = _ready(grid, lane, codes, targets, condition, state, time)
        inside = grid.within(targets)
        found = grid.stack.predict(lane, inside)
        logits = found if logits is None else torch.where((inside < grid.stack.length)[:, :, None], found, logits)
        lanes[index] = Parts.of(lane)
    assert logits is not None, "no target lies in any grid"
    state.lanes = lanes
    return logits, state


def _ready(
    grid: Grid,
    lane: Lane | None,
    codes: Tensor,
    targets: Tensor,
    condition: Tensor,
    state: PixelSNAILState,
    time: int | None,
) -> Lane:
    """The grid's memory with the condition of every row that has a target there."""
    if lane is not None and lane.complete:
        return lane
    if grid.start == 0:
        # All of the first grid's condition is given; only rows that were blank lack it.
        if lane is None:
            return grid.stack.lane(condition)
        grid.stack.refresh(lane, condition, ~lane.ready)
        lane.complete = True
        return lane
    rows = _rows_of(grid, targets)
    if lane is not None and bool((lane.ready | ~rows).all()):
        return lane
    known = torch.where(state.steps[:, :-1] != NEVER, codes, 0)
    tokens = grid.conditions(known, condition)
    if lane is None:
        lane = grid.stack.lane(tokens)
        lane.ready, lane.complete = rows, time is not None
    else:
        grid.stack.refresh(lane, tokens, rows & ~lane.ready)
    return lane


def _inside(grid: Grid, targets: Tensor) -> Tensor:
    return grid.within(targets) < grid.stack.length


def _rows_of(grid: Grid, targets: Tensor) -> Tensor:
    return _inside(grid, targets).any(1)


def _grids_of(grids: Sequence[Grid], targets: Tensor, time: int | None) -> Sequence[int]:
    """The grids that targets lie in; see ``proceed`` for ``time``, without which the device has to be asked."""
    if len(grids) == 1:
        return (0,)
    if time is not None:
        found = [index for index, grid in enumerate(grids) if grid.start <= time < grid.stop]
        # Where it costs nothing, what the plan promises is looked at.
        assert targets.device.type != "cpu" or all(bool(_inside(grids[index], targets).all()) for index in found), (
            "the visiting plan mixes grids"
        )
        return found
    stops = torch.tensor([grid.stop for grid in grids], device=targets.device)
    found = torch.unique(torch.bucketize(targets.contiguous(), stops, right=True)).tolist()
    return [index for index in found if index < len(grids)]
