"""Promises of every ordering.

Shape letters: B batch, N code positions, S steps.
"""

from __future__ import annotations

from collections.abc import Iterable

import torch

from tamingplat.interfaces import CodeSpace
from tamingplat.interfaces.models import Ordering, VisitPlan


def _check_plan(ordering: Ordering, space: CodeSpace, plan: VisitPlan, batch: int) -> None:
    name, length = type(ordering).__name__, space.length
    assert plan.order.shape == (batch, length) and plan.order.dtype == torch.int64, (
        f"Plans hold int64 (B, N) = ({batch}, {length}): {name} on {space.grids} gives {plan.order.dtype} "
        f"{tuple(plan.order.shape)}"
    )
    everything = torch.arange(length).expand(batch, -1)
    assert torch.equal(plan.order.sort(dim=1).values, everything), (
        f"Every position is visited exactly once: {name} on {space.grids} visits {plan.order.tolist()}"
    )
    assert plan.sizes.dtype == torch.int64 and int(plan.sizes.sum()) == length and int(plan.sizes.min()) >= 1, (
        f"Steps visit at least one position each and all {length} together: {name} on {space.grids} has {plan.sizes.tolist()}"
    )
    assert ordering.grouped or len(plan.sizes) == length, (
        f"An ordering that is not marked grouped visits one position at a step: {name} on {space.grids} has "
        f"{plan.sizes.tolist()}"
    )
    assert torch.equal(plan.ranks().gather(1, plan.order), everything), (
        f"Ranks invert the order: {name} on {space.grids} has ranks {plan.ranks().tolist()}"
    )
    assert not plan.shared or bool((plan.order == plan.order[:1]).all()), (
        f"A shared plan is the same for every image: {name} on {space.grids} visits {plan.order.tolist()}"
    )


def check_permutation(ordering: Ordering, shapes: Iterable[tuple[tuple[int, ...], ...]], *, batch: int = 2) -> None:
    """Plans visit every position exactly once, on every list of grids that the ordering does not refuse.

    Where there are several grids they are visited one after the other, each as it is visited alone; a random ordering is given
    the same randomness twice and has to make the same plan of it.

    Args:
        ordering: What is checked.
        shapes: Grids of code spaces, such as ``((4, 4),)`` or ``((2, 2), (4, 4))``; at least one is not refused.
        batch: B.
    """
    checked = 0
    for grids in shapes:
        space = CodeSpace(grids, vocab_size=2)
        if ordering.refusal(space) is not None:
            continue
        checked += 1
        plan, again = (ordering.plan(space, batch, generator=torch.Generator().manual_seed(0)) for _ in range(2))
        _check_plan(ordering, space, plan, batch)
        assert torch.equal(plan.order, again.order) and torch.equal(plan.sizes, again.sizes), (
            f"Plans depend on nothing but the space and the generator: {type(ordering).__name__} on {grids} made two "
            "different ones"
        )
        if len(grids) > 1:
            sides = torch.tensor(space.offsets[1:])
            grid_of_visit = torch.bucketize(plan.order.contiguous(), sides, right=True)
            assert torch.equal(grid_of_visit, grid_of_visit.sort(dim=1).values), (
                f"Grids are visited one after the other: {type(ordering).__name__} on {grids} visits {plan.order.tolist()}"
            )
    assert checked, f"{type(ordering).__name__} refuses every shape that it was to be checked on"
