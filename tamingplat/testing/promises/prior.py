"""What every prior promises.

Shape letters: B batch, N code positions, V vocabulary, P condition positions.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from tamingplat.interfaces import CodeSpace, ConditionLayout, ConditionPart, Config, TamingplatError
from tamingplat.interfaces.models import Prior, PriorBatch, VisitPlan
from tamingplat.testing.inputs import random_codes, random_condition
from tamingplat.testing.priors import (
    check_chain_rule,
    check_incremental,
    check_no_leakage,
    check_normalised,
    check_state_rows,
)
from tamingplat.testing.promises.common import LISTED, REPRODUCIBLE
from tamingplat.testing.promises.kinds import KindOfComponent, check_refusal, promises_of
from tamingplat.testing.promises.trainable import TrainingPromises, check_rows, train_steps
from tamingplat.testing.subject import BATCH, Subject
from tamingplat.testing.verdicts import NotApplicable

_SPACES = (CodeSpace(((3, 5),), 7), CodeSpace(((2, 2), (3, 4)), 6), CodeSpace(((4, 4),), 7), CodeSpace(((12,),), 7))
_SMALLEST = (CodeSpace(((2, 2),), 3), CodeSpace(((4,),), 3), CodeSpace(((1, 2), (1, 2)), 3))
_CLASS: ConditionLayout = (ConditionPart("class", 5),)
_MAP: ConditionLayout = (ConditionPart("class", 5), ConditionPart("map", 4, (2, 3)))


@dataclass(frozen=True)
class Case:
    """Codes, a condition and a visiting order that a prior is examined under."""

    name: str
    space: CodeSpace
    layout: ConditionLayout
    plan: Callable[[CodeSpace, int], VisitPlan]


def raster(space: CodeSpace, batch: int) -> VisitPlan:
    """Position by position."""
    return VisitPlan.repeat(torch.arange(space.length), batch)


def _shuffled(space: CodeSpace, seed: int) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    stops = (*space.offsets[1:], space.length)
    grids = zip(space.offsets, stops, strict=True)
    return torch.cat([start + torch.randperm(stop - start, generator=generator) for start, stop in grids])


def scattered(space: CodeSpace, batch: int) -> VisitPlan:
    """One random order within each grid, for all images."""
    return VisitPlan.repeat(_shuffled(space, 0), batch)


def of_its_own(space: CodeSpace, batch: int) -> VisitPlan:
    """A random order for each image."""
    order = torch.stack([_shuffled(space, seed) for seed in range(batch)])
    return VisitPlan(order, torch.ones(space.length, dtype=torch.int64))


def grouped(space: CodeSpace, batch: int) -> VisitPlan:
    """Several positions at a step: one, then two, then three, …, then what is left."""
    sizes: list[int] = []
    left = space.length
    while left:
        sizes.append(min(len(sizes) + 1, left))
        left -= sizes[-1]
    return VisitPlan(_shuffled(space, 0).expand(batch, -1), torch.tensor(sizes), shared=True)


def _spaces(subject: Subject, candidates: tuple[CodeSpace, ...]) -> list[CodeSpace]:
    refusals = {space: subject.cls.refusal(space, (), subject.config) for space in candidates}
    taken = [space for space, reason in refusals.items() if reason is None]
    if not taken:
        space, reason = next(iter(refusals.items()))
        raise TamingplatError(f"it refuses every code space that was tried, the first, {space}, because {reason}; give spaces")
    return taken


def _cases(subject: Subject) -> list[Case]:
    """The cases that are not refused: orders and conditions over the first space, and the other spaces once."""
    first, *others = _spaces(subject, tuple(subject.request.spaces or _SPACES))
    others = others[:1] if subject.request.spaces is None else others
    cases = [
        Case("raster order", first, (), raster),
        Case("a random order, under a class", first, _CLASS, scattered),
        Case("orders of their own, under a class and a map", first, _MAP, of_its_own),
        *(Case(f"a random order on {space.grids}", space, (), scattered) for space in others),
    ]
    if subject.cls.grouped:
        cases.append(Case("several positions at a step", first, (), grouped))
    return [case for case in cases if subject.cls.refusal(case.space, case.layout, subject.config) is None]


def _case(subject: Subject) -> Case:
    return _cases(subject)[0]


def _make_for(subject: Subject, space: CodeSpace, layout: ConditionLayout) -> Prior:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        prior: Prior = subject.cls(space, layout, subject.config, subject.parts)
    return prior


def _make(subject: Subject, cls: Any, config: Config, parts: Mapping[str, Any]) -> Any:
    case = _case(subject)
    return cls(case.space, case.layout, config, parts)


def _batch_of(case: Case, count: int) -> PriorBatch:
    codes, condition = random_codes(case.space, count), random_condition(case.layout, count)
    return PriorBatch(codes, condition, case.plan(case.space, count))


def _batch(subject: Subject, count: int) -> PriorBatch:
    return _batch_of(_case(subject), count)


def _on_meta(subject: Subject, count: int) -> PriorBatch:
    with torch.device("cpu"):
        batch = _batch(subject, count)
    # The plan keeps its values: what reads it may depend on them.
    return PriorBatch(batch.codes.to("meta"), batch.condition.to("meta"), batch.plan)


def _trained(subject: Subject) -> Iterator[tuple[Case, Prior, PriorBatch]]:
    """A prior for each case after a few steps of training, so that no weight is zero that will not stay so."""
    if "trained" not in subject.kept:
        found = []
        for case in _cases(subject):
            prior, batch = _make_for(subject, case.space, case.layout), _batch_of(case, BATCH)
            train_steps(prior, batch, 4, learning_rate=2e-2)
            found.append((case, prior.eval(), batch))
        subject.kept["trained"] = found
    yield from subject.kept["trained"]


def _result(subject: Subject, built: Any) -> list[Tensor]:
    batch = _batch(subject, BATCH)
    with torch.no_grad():
        return [built.nll(batch.codes, batch.condition, batch.plan)]


TRAINING = TrainingPromises(_batch, _on_meta)


def _hold(subject: Subject, check: Callable[..., None]) -> None:
    for case, prior, batch in _trained(subject):
        if check is check_state_rows and case.plan is grouped:
            continue
        try:
            check(prior, case.space, batch.codes, batch.condition, batch.plan)
        except AssertionError as error:
            raise AssertionError(f"under {case.name}: {error}") from error


def the_chain_rule_holds(subject: Subject) -> None:
    """Logits step by step, with and without state, give nll at every position, under several orders and conditions."""
    _hold(subject, check_chain_rule)


def nothing_leaks(subject: Subject) -> None:
    """Codes that are not visited yet have no influence at all, bit by bit in float64, under several orders and conditions."""
    _hold(subject, check_no_leakage)


def incremental_equals_full(subject: Subject) -> None:
    """Logits from a state that is extended by several steps at once equal those computed afresh."""
    _hold(subject, check_incremental)


def rows_of_a_state_leave_and_join(subject: Subject) -> None:
    """States of different lengths are joined, picked from and extended like batches of their rows."""
    _hold(subject, check_state_rows)


def probabilities_sum_to_one(subject: Subject) -> None:
    """The probabilities of all images of a tiny space sum to one, by enumeration."""
    space = _spaces(subject, _SMALLEST)[0]
    layouts = [layout for layout in ((), _CLASS) if subject.cls.refusal(space, layout, subject.config) is None]
    if not layouts:
        raise NotApplicable("it refuses every space that is small enough to enumerate")
    case = Case("", space, layouts[-1], scattered)
    prior, batch = _make_for(subject, space, case.layout), _batch_of(case, 8)
    train_steps(prior, batch, 4, learning_rate=2e-2)
    check_normalised(prior.eval(), space, batch.condition[:1], scattered(space, 1))


def rows_are_independent(subject: Subject) -> None:
    """The nll of an image is the same in every batch."""
    for _, prior, batch in _trained(subject):
        rows = range(len(batch.codes))
        with torch.no_grad():
            together = prior.nll(batch.codes, batch.condition, batch.plan)
            alone = [prior.nll(batch.codes[i : i + 1], batch.condition[i : i + 1], batch.plan.rows(i, i + 1)) for i in rows]
        check_rows([torch.cat(alone)], [together], 1e-5)


def total_is_the_mean_of_nll(subject: Subject) -> None:
    """Its total, in validation, is the mean of nll over images and positions."""
    for case, prior, batch in _trained(subject):
        with torch.no_grad():
            total = prior(batch, step=0, phase=prior.phases[0], generator=None)["total"]
            mean = prior.nll(batch.codes, batch.condition, batch.plan).mean()
        assert abs(float(total) - float(mean)) <= 1e-4 * (1 + abs(float(mean))), (
            f"under {case.name} total is {float(total):.6g} and the mean of nll {float(mean):.6g}. Look at forward in eval "
            "mode, and at weights of positions"
        )


def nll_in_bfloat16(subject: Subject) -> None:
    """Under autocast to bfloat16 nll is finite, at least float32, and close to what float32 gives."""
    _, prior, batch = next(_trained(subject))
    with torch.no_grad():
        exact = prior.nll(batch.codes, batch.condition, batch.plan)
        with torch.autocast("cpu", dtype=torch.bfloat16):
            rough = prior.nll(batch.codes, batch.condition, batch.plan)
    assert rough.dtype.itemsize >= 4, f"nll is {rough.dtype}. Look at where logits become probabilities"
    worst = float((rough - exact).abs().max())
    assert worst <= 0.5, f"nll differs by up to {worst:.3g} nats. Look at softmax and sums, which need float32"


def refusals_are_sentences(subject: Subject) -> None:
    """Any code space and condition is taken, or refused with a sentence; refusing raises nothing."""
    spaces = (
        CodeSpace(((1,),), 1),
        CodeSpace(((2, 3, 4),), 5),
        CodeSpace(((1, 1), (2, 2), (3, 5)), 8),
        CodeSpace(((1, 9),), 2),
    )
    for space in spaces:
        for layout in ((), _CLASS, _MAP):
            check_refusal(subject.cls.refusal(space, layout, subject.config), f"{space.grids}")


OWN = (
    the_chain_rule_holds,
    nothing_leaks,
    incremental_equals_full,
    rows_of_a_state_leave_and_join,
    probabilities_sum_to_one,
    rows_are_independent,
    total_is_the_mean_of_nll,
    nll_in_bfloat16,
    refusals_are_sentences,
)

KIND = KindOfComponent(
    promises=promises_of(LISTED, OWN, TRAINING.all(), REPRODUCIBLE), make=_make, result=_result, trained=True
)
