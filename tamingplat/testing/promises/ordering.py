"""What every ordering promises.

Shape letters: B batch, N code positions.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from tamingplat.interfaces import CodeSpace
from tamingplat.testing.orderings import check_permutation
from tamingplat.testing.promises.common import LISTED, REPRODUCIBLE
from tamingplat.testing.promises.kinds import KindOfComponent, check_refusal, make_plainly, promises_of
from tamingplat.testing.subject import BATCH, Subject
from tamingplat.testing.verdicts import NotApplicable

_PLANES = tuple(((height, width),) for height in (1, 2, 3, 5, 8) for width in (1, 2, 3, 4, 7))
_OTHERS = (((7,),), ((2, 3, 4),), ((4, 4, 2),))
_SEVERAL = (((1, 1), (2, 2), (3, 5)), ((4, 4), (8, 8)), ((1, 7), (7, 1)), ((2, 2), (5,)))


def _spaces(subject: Subject) -> list[CodeSpace]:
    given = subject.request.spaces
    return list(given) if given is not None else [CodeSpace(grids, 2) for grids in (*_PLANES, *_OTHERS, *_SEVERAL)]


def _taken(subject: Subject, several: bool) -> list[CodeSpace]:
    found = [space for space in _spaces(subject) if (len(space.grids) > 1) == several]
    return [space for space in found if subject.built.refusal(space) is None]


def _result(subject: Subject, built: Any) -> list[Tensor]:
    largest = max((space for space in _spaces(subject) if built.refusal(space) is None), key=lambda space: space.length)
    plan = built.plan(largest, BATCH, generator=torch.Generator().manual_seed(0))
    return [plan.order.contiguous(), plan.sizes]


def every_position_is_visited_once(subject: Subject) -> None:
    """On a grid of any shape that is not refused, odd ones too, a plan visits every position once and is always the same."""
    spaces = _taken(subject, several=False)
    if not spaces:
        raise NotApplicable("it refuses every single grid that was tried")
    check_permutation(subject.built, [space.grids for space in spaces])


def grids_are_visited_one_after_the_other(subject: Subject) -> None:
    """Where there are several grids, ragged ones too, each is visited as a whole before the next."""
    spaces = _taken(subject, several=True)
    if not spaces:
        raise NotApplicable("it refuses every list of several grids that was tried")
    check_permutation(subject.built, [space.grids for space in spaces])


def a_batch_of_one_has_a_plan(subject: Subject) -> None:
    """A plan for one image is the first row of the plan for many, where the order is not random."""
    for space in _taken(subject, several=False)[-3:]:
        one, many = (subject.built.plan(space, count, generator=torch.Generator().manual_seed(0)) for count in (1, BATCH))
        assert one.order.shape == (1, space.length), f"on {space.grids} its order is {tuple(one.order.shape)}. Look at plan"
        assert subject.built.random or torch.equal(one.order, many.order[:1]), (
            f"on {space.grids} the order of one image is {one.order.tolist()}, and of the first of several "
            f"{many.order[:1].tolist()}. Look at plan, and at the mark random"
        )


def randomness_is_declared(subject: Subject) -> None:
    """Plans differ from image to image if, and only if, the ordering is marked random; then they come from the generator."""
    spaces = [space for space in _taken(subject, several=False) if space.length >= 12]
    if not spaces:
        raise NotApplicable("it refuses every grid that is large enough to tell")
    plans = [subject.built.plan(spaces[0], 8, generator=torch.Generator().manual_seed(seed)) for seed in (0, 1)]
    differ = any(bool((plan.order != plan.order[:1]).any()) for plan in plans)
    differ = differ or not torch.equal(plans[0].order, plans[1].order)
    assert differ == subject.built.random, (
        f"plans of {spaces[0].grids} {'differ' if differ else 'do not differ'} between images and seeds, and random is "
        f"{subject.built.random}. Look at the class's mark random: a likelihood under a random plan is a bound"
    )


def the_vocabulary_does_not_matter(subject: Subject) -> None:
    """A plan depends on the shape of the grids and not on the number of codes."""
    for space in _taken(subject, several=False)[-3:]:
        plans = [
            subject.built.plan(CodeSpace(space.grids, size), 1, generator=torch.Generator().manual_seed(0)).order
            for size in (2, 1000)
        ]
        assert torch.equal(*plans), (
            f"on {space.grids} the order is another with more codes. Look at what plan reads of the space"
        )


def plans_are_on_the_cpu(subject: Subject) -> None:
    """Plans are on the CPU, also where models are built on another device."""
    space = next(iter(_taken(subject, several=False)), None) or _taken(subject, several=True)[0]
    plan = subject.built.plan(space, 1, generator=torch.Generator().manual_seed(0))
    assert plan.order.device.type == plan.sizes.device.type == "cpu", f"it is on {plan.order.device}. Look at plan"


def refusals_are_sentences(subject: Subject) -> None:
    """Grids of any shape are taken, or refused with a sentence; refusing raises nothing."""
    for grids in (*_PLANES, *_OTHERS, *_SEVERAL):
        check_refusal(subject.built.refusal(CodeSpace(grids, 2)), str(grids))


OWN = (
    every_position_is_visited_once,
    grids_are_visited_one_after_the_other,
    a_batch_of_one_has_a_plan,
    randomness_is_declared,
    the_vocabulary_does_not_matter,
    plans_are_on_the_cpu,
    refusals_are_sentences,
)

KIND = KindOfComponent(promises=promises_of(LISTED, OWN, REPRODUCIBLE), make=make_plainly, result=_result)
