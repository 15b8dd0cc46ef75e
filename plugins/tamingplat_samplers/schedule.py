"""Which positions are drawn at each step, and what is known by then.

Shape letters: B batch, N code positions, S steps of the plan, T known positions, K positions of one step.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import accumulate

import torch
from torch import Tensor

from tamingplat.interfaces import TamingplatError
from tamingplat.interfaces.models import VisitPlan, Visits


@dataclass(frozen=True)
class Step:
    """One step of sampling.

    Attributes:
        visited: int64 (B, T), known positions in visiting order.
        lengths: int64 (B,), how many of ``visited`` count in each row; ``None`` for all.
        targets: int64 (B, K), the positions to be drawn.
        start: Where they begin in the plan's order.
    """

    visited: Tensor
    lengths: Tensor | None
    targets: Tensor
    start: int


def visiting_schedule(plan: VisitPlan, given: Tensor | None, visits: Visits) -> Iterator[Step]:
    """The steps that are left to draw.

    A step that holds a given position in some rows and not in others is kept for all of them; the caller writes given codes
    over what was drawn.

    Args:
        plan: Visiting plan of B rows.
        given: bool (B, N) in canonical order, positions whose codes are known from the start; ``None`` for none.
        visits: What the prior can predict. An ``in_order`` prior needs given positions to be visited first.

    Raises:
        TamingplatError: A prior that predicts the next step alone is given a position that is visited after one to be drawn.
    """
    # Bounds of the steps and what is given are read once, before the loop, so that no step waits for the device.
    bounds = [0, *accumulate(plan.sizes.tolist())]
    if given is None or not bool(given.any()):
        return _in_order(plan, bounds, 0)
    step_of_position = plan.steps()
    first = torch.where(given, len(plan.sizes), step_of_position).amin(1)
    if visits == "any_subset":
        return _given_first(plan, bounds, given, step_of_position)
    late = given & (step_of_position > first[:, None])
    if bool(late.any()):
        row, position = (int(index) for index in late.nonzero()[0])
        raise TamingplatError(
            f"the given codes are no beginning of the visiting order: image {row} of the batch has position {position} "
            f"given, which is visited at step {int(step_of_position[row, position])}, after a position at step "
            f"{int(first[row])} that is not given, and this prior predicts one step after the other; give the positions "
            "that are visited first, choose an ordering that begins with the given ones, or take a prior that predicts any "
            "subset"
        )
    return _in_order(plan, bounds, int(first.min()))


def _in_order(plan: VisitPlan, bounds: list[int], first: int) -> Iterator[Step]:
    for step in range(first, len(bounds) - 1):
        start, stop = bounds[step], bounds[step + 1]
        yield Step(plan.order[:, :start], None, plan.order[:, start:stop], start)


def _given_first(plan: VisitPlan, bounds: list[int], given: Tensor, step_of_position: Tensor) -> Iterator[Step]:
    """Known positions are the given ones and those of earlier steps; rows can differ in how many these are."""
    when_known = torch.where(given, -1, step_of_position).gather(1, plan.order)
    visited = plan.order.gather(1, when_known.argsort(dim=1, stable=True))
    counts = torch.stack([(when_known < step).sum(1) for step in range(len(bounds) - 1)])
    longest = counts.amax(1).tolist()
    all_given = given.gather(1, plan.order).all(0).tolist()
    for step, length in enumerate(longest):
        start, stop = bounds[step], bounds[step + 1]
        if not all(all_given[start:stop]):
            yield Step(visited[:, :length], counts[step], plan.order[:, start:stop], start)
