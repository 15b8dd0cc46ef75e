"""Likelihoods in every unit, against arithmetic done by hand."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
import torch
from tamingplat_metrics.nll import NegativeLogLikelihood
from torch import Tensor

from tamingplat.interfaces import CodeSpace, NoConfig, TamingplatError
from tamingplat.interfaces.models import Measurement, Prior, PriorState, PriorSubject, TokenSplit, VisitPlan

SPACE = CodeSpace(((2, 3),), 5)


class TablePrior(Prior):
    """Codes drawn independently from a table of its own for each position, tempered by the condition."""

    def __init__(self, *, broken: float | None = None) -> None:
        super().__init__(SPACE, (), NoConfig(), {})
        self.register_buffer("table", torch.randn(6, 5, generator=torch.Generator().manual_seed(0)).log_softmax(-1))
        self.broken = broken
        self.plans: list[VisitPlan] = []

    def nll(self, codes: Tensor, condition: Tensor, plan: VisitPlan) -> Tensor:
        assert codes.dtype == condition.dtype == torch.int64
        assert not torch.is_grad_enabled()
        self.plans.append(plan)
        values = -self.table[torch.arange(6), codes] + condition[:, :1]
        if self.broken is not None:
            values = values.masked_fill(codes == 4, self.broken)
        return values

    def logits(self, codes: Tensor, *_: Any, **__: Any) -> tuple[Tensor, PriorState]:
        raise AssertionError("a likelihood needs no logits")

    def forward(self, batch: Any, *, step: int, phase: str, generator: torch.Generator | None) -> dict[str, Tensor]:
        raise AssertionError("a metric trains nothing")


def split(count: int, seed: int) -> TokenSplit:
    random = np.random.default_rng(seed)
    return TokenSplit(random.integers(0, 5, (count, 6)).astype(np.uint8), random.integers(0, 2, (count, 1)).astype(np.uint8))


def subject(prior: TablePrior, batch_size: int = 4, random: bool = False, counts: tuple[int, int] = (30, 11)) -> PriorSubject:
    def plan(indices: Sequence[int]) -> VisitPlan:
        return VisitPlan(torch.stack([torch.arange(6).roll(index) for index in indices]), torch.ones(6, dtype=torch.int64))

    splits = {"train": split(counts[0], 1), "validation": split(counts[1], 2)}
    return PriorSubject(prior, SPACE, plan, random, splits, torch.device("cpu"), batch_size)


def measure(**options: Any) -> dict[str, Measurement]:
    measurements = NegativeLogLikelihood(NoConfig(), {}).run(subject(TablePrior(), **options))
    return {measurement.name: measurement for measurement in measurements}


def by_hand(tokens: TokenSplit, count: int) -> np.ndarray:
    table = TablePrior().table.double().numpy()
    images = [
        sum(-table[position, code] for position, code in enumerate(codes)) + 6.0 * condition[0]
        for codes, condition in zip(tokens.codes[:count], tokens.condition[:count], strict=True)
    ]
    return np.array(images)


def test_every_unit() -> None:
    measured = measure()
    images = by_hand(split(11, 2), 11)
    expected = {
        "nll": images.mean() / 6,
        "nll/image": images.mean(),
        "bits/token": images.mean() / 6 / math.log(2),
        "rate": images.mean() / math.log(2),
        "nll train": by_hand(split(30, 1), 11).mean() / 6,
        "nll s.e. images": images.std(ddof=1) / math.sqrt(11) / 6,
    }
    assert list(measured) == list(expected)
    for name, value in expected.items():
        assert measured[name].value == pytest.approx(value, rel=1e-6), name
    assert measured["nll"].unit == "nats/token"
    assert measured["nll"].better == "lower"
    assert measured["rate"].unit == "bits/image"
    assert all(isinstance(measurement.value, float) and measurement.description for measurement in measured.values())


@pytest.mark.parametrize("batch_size", [1, 3, 11, 100])
def test_batches_do_not_matter(batch_size: int) -> None:
    expected = measure(batch_size=4)
    for name, measurement in measure(batch_size=batch_size).items():
        assert measurement.value == pytest.approx(expected[name].value, rel=1e-12)


def test_a_random_order_gives_a_bound_under_another_name() -> None:
    plain, bound = measure(), measure(random=True)
    assert list(bound) == [
        "nll-bound",
        "nll-bound/image",
        "bits/token-bound",
        "rate-bound",
        "nll-bound train",
        "nll-bound s.e. images",
    ]
    assert [item.value for item in bound.values()] == [item.value for item in plain.values()]
    assert "bound" in bound["nll-bound"].description


def test_plans_are_asked_for_by_the_images_numbers() -> None:
    prior = TablePrior()
    NegativeLogLikelihood(NoConfig(), {}).run(subject(prior))
    firsts = [int(order[0]) for plan in prior.plans for order in plan.order]
    assert firsts == [-index % 6 for index in range(11)] * 2


def test_few_images() -> None:
    one = measure(counts=(3, 1))
    assert "nll s.e. images" not in one
    assert one["nll"].value == pytest.approx(by_hand(split(1, 2), 1)[0] / 6, rel=1e-6)
    fewer = measure(counts=(3, 11))
    assert fewer["nll train"].value == pytest.approx(by_hand(split(3, 1), 3).mean() / 6, rel=1e-6)
    for counts in ((0, 4), (4, 0)):
        with pytest.raises(TamingplatError, match="split has no images"):
            measure(counts=counts)


@pytest.mark.parametrize("broken", [math.nan, math.inf])
def test_what_is_not_finite_fails(broken: float) -> None:
    with pytest.raises(TamingplatError, match=r"nll: \d+ of 11 validation images, first number \d+, have no finite likelihood"):
        NegativeLogLikelihood(NoConfig(), {}).run(subject(TablePrior(broken=broken)))
