"""Decoding over all grids: which grid's stack predicts which row, and when memories begin, go on and are dropped.

Rows of one batch can be at different positions, and so in different grids: each stack then computes all rows, with "no
position" in those of other grids.

Shape letters: B batch, N code positions, P condition tokens, T visited, K targets, V vocabulary.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from tamingplat_pixelsnail.lane import Lane
from tamingplat_pixelsnail.parts import Parts
from tamingplat_pixelsnail.stack import GridStack
from tamingplat_pixelsnail.state import NEVER, Arrivals, PixelSNAILState
from tamingplat_pixelsnail.together import passes_over


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
            for rows, known, even in passes_over(grid.stack, lengths, longest, state.common)
        ]
        found = torch.cat([of_rows for of_rows, _ in passes])
        state.lanes[index] = Parts.cat([Parts.of(recorded) for _, recorded in passes])
        logits = found if logits is None else torch.where((inside < grid.stack.length)[:, :, None], found, logits)
    assert logits is not None, "no target lies in any grid"
    return logits, state


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
