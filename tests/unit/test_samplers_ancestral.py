"""Ancestral sampling from priors whose distribution is known exactly."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, ClassVar, Self

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError
from tamingplat_gpt.config import GPTConfig
from tamingplat_gpt.model import GPT
from tamingplat_pixelsnail.config import PixelSNAILConfig
from tamingplat_pixelsnail.model import PixelSNAIL
from tamingplat_samplers.ancestral import Ancestral
from tamingplat_samplers.config import AncestralConfig
from tamingplat_samplers.drawing import AT_ONCE, NoiseInOrder
from torch import Tensor

from tamingplat.interfaces import CodeSpace, ConditionPart, NoConfig, TamingplatError
from tamingplat.interfaces.models import Prior, PriorState, SampleRequest, VisitPlan, Visits, gumbel_noise

SPACE = CodeSpace(((2, 3),), vocab_size=4)
ORDER = [4, 1, 0, 5, 3, 2]


@given(
    sizes=st.lists(st.integers(1, 5), min_size=1, max_size=12),
    batch=st.integers(1, 3),
    vocab_size=st.sampled_from([1, 7, AT_ONCE // 8, AT_ONCE]),
    first=st.integers(0, 3),
    data=st.data(),
)
@settings(deadline=None, max_examples=40)
def test_noise_of_several_steps_at_once_is_that_of_each(
    sizes: list[int], batch: int, vocab_size: int, first: int, data: st.DataObject
) -> None:
    orders = [data.draw(st.permutations(range(sum(sizes)))) for _ in range(batch)]
    order, indices = torch.tensor(orders), torch.arange(batch) * 5 + 1
    noise, start = NoiseInOrder(3, indices, order), 0
    for number, size in enumerate(sizes):
        stop = start + size
        if number >= first:
            one = noise.at(start, stop)(vocab_size)
            assert torch.equal(one, gumbel_noise(3, indices, order[:, start:stop], vocab_size))
        start = stop


class Counted(PriorState):
    def __init__(self, visited: int) -> None:
        self.visited = visited

    def select(self, rows: Tensor) -> Self:
        return self

    @classmethod
    def cat(cls, states: Sequence[Self]) -> Self:
        return states[0]


class SumPrior(Prior):
    """The probability of code c is proportional to 1 + (c + s + position) mod V, where s is the sum of visited codes."""

    grouped: ClassVar[bool] = True

    def __init__(self, visits: Visits = "in_order") -> None:
        super().__init__(SPACE, (), NoConfig(), {})
        # One class serves both kinds in these tests; a real prior is of one kind.
        self.__dict__["visits"] = visits
        self.calls: list[dict[str, Any]] = []

    def forward(self, batch: Any, *, step: int, phase: str, generator: torch.Generator | None) -> dict[str, Tensor]:
        raise AssertionError("not trained")

    def nll(self, codes: Tensor, condition: Tensor, plan: VisitPlan) -> Tensor:
        raise AssertionError("not scored")

    def logits(
        self,
        codes: Tensor,
        visited: Tensor,
        targets: Tensor,
        condition: Tensor,
        *,
        lengths: Tensor | None = None,
        state: PriorState | None = None,
        sizes: Tensor | None = None,
    ) -> tuple[Tensor, PriorState]:
        counts = torch.full((len(codes),), visited.shape[1]) if lengths is None else lengths
        assert state is None or (isinstance(state, Counted) and state.visited <= visited.shape[1])
        self.calls.append({"targets": targets, "counts": counts, "fresh": state is None})
        seen = codes.gather(1, visited) * (torch.arange(visited.shape[1]) < counts[:, None])
        shift = seen.sum(1)[:, None, None] + targets[..., None]
        weight = 1 + (torch.arange(SPACE.vocab_size) + shift) % SPACE.vocab_size
        return weight.double().log(), Counted(visited.shape[1])


def request_of(
    prior: Prior,
    count: int,
    *,
    given: tuple[Tensor, Tensor] | None = None,
    sizes: Sequence[int] | None = None,
    seed: int = 3,
    first: int = 0,
) -> SampleRequest:
    order = torch.tensor(ORDER)
    plan = VisitPlan.repeat(order, count)
    if sizes is not None:
        plan = VisitPlan(plan.order, torch.tensor(sizes), shared=True)
    return SampleRequest(
        prior=prior,
        tokenizer=None,  # type: ignore[arg-type]
        space=SPACE,
        layout=(),
        plan=plan,
        condition=torch.zeros(count, 0, dtype=torch.int64),
        null_condition=None,
        image_size=(2, 3),
        indices=torch.arange(first, first + count),
        seed=seed,
        given=given,
    )


def sampler(**settings: Any) -> Ancestral:
    return Ancestral(AncestralConfig(**settings), {})


def probabilities(codes: Tensor, time: int, *, exponent: float = 1.0) -> Tensor:
    """What SumPrior says of the code visited at ``time``, given the earlier ones, (B, V)."""
    seen = codes[:, ORDER[:time]].sum(1)
    weight = 1 + (torch.arange(SPACE.vocab_size) + seen[:, None] + ORDER[time]) % SPACE.vocab_size
    powered = weight.double() ** exponent
    return powered / powered.sum(1, keepdim=True)


@pytest.mark.parametrize("temperature", [1.0, 0.5, 2.0])
def test_codes_have_the_priors_distribution(temperature: float) -> None:
    codes = sampler(temperature=temperature).sample(request_of(SumPrior(), 20_000))
    for time, position in enumerate(ORDER):
        expected = probabilities(codes, time, exponent=1 / temperature)
        drawn = torch.nn.functional.one_hot(codes[:, position], SPACE.vocab_size)
        # Each count is a sum of independent draws; five standard deviations around its mean.
        deviation = (drawn - expected).sum(0) / (expected * (1 - expected)).sum(0).sqrt()
        assert deviation.abs().max() < 5


def test_a_code_is_the_argmax_of_logits_and_addressed_noise() -> None:
    codes = sampler().sample(request_of(SumPrior(), 5, seed=11, first=40))
    for time, position in enumerate(ORDER):
        noise = gumbel_noise(11, torch.arange(40, 45), torch.full((5, 1), position), SPACE.vocab_size)[:, 0]
        assert torch.equal((probabilities(codes, time).log() + noise).argmax(1), codes[:, position])


def test_temperature_zero_takes_the_most_likely_code_whatever_the_seed() -> None:
    one, other = (sampler(temperature=0.0, top_k=2).sample(request_of(SumPrior(), 3, seed=seed)) for seed in (0, 1))
    assert torch.equal(one, other)
    for time, position in enumerate(ORDER):
        assert torch.equal(probabilities(one, time).argmax(1), one[:, position])


@pytest.mark.parametrize(("settings", "allowed"), [({"top_k": 2}, 2), ({"top_p": 0.45}, 2), ({"top_k": 3, "top_p": 0.4}, 1)])
def test_filters_bound_what_is_drawn(settings: dict[str, Any], allowed: int) -> None:
    # Weights are 4, 3, 2, 1: 0.7 of the mass in the first two, and 4/9 > 0.4 in the first after top_k = 3.
    codes = sampler(**settings).sample(request_of(SumPrior(), 500))
    ranks = torch.stack(
        [(probabilities(codes, t) > probabilities(codes, t).gather(1, codes[:, [p]])).sum(1) for t, p in enumerate(ORDER)]
    )
    assert set(ranks.flatten().tolist()) == set(range(allowed))


def test_mixed_k_draws_one_k_per_sample() -> None:
    mixed = sampler(mixed_k=(1, 4))
    together = mixed.sample(request_of(SumPrior(), 400))
    alone = torch.cat([mixed.sample(request_of(SumPrior(), 1, first=index)) for index in range(20)])
    assert torch.equal(together[:20], alone)
    greedy = sampler(temperature=0.0).sample(request_of(SumPrior(), 1))
    everything = sampler().sample(request_of(SumPrior(), 400))
    with_one = (together == greedy).all(1)
    assert 150 < int(with_one.sum()) < 250
    assert torch.equal(together[~with_one], everything[~with_one])
    assert not torch.equal(with_one, (mixed.sample(request_of(SumPrior(), 400, seed=4)) == greedy).all(1))


def test_state_goes_from_step_to_step_and_targets_follow_the_plan() -> None:
    prior = SumPrior()
    sampler().sample(request_of(prior, 2))
    assert [call["fresh"] for call in prior.calls] == [True] + [False] * 5
    assert [call["targets"].tolist() for call in prior.calls] == [[[position]] * 2 for position in ORDER]
    assert [call["counts"].tolist() for call in prior.calls] == [[time] * 2 for time in range(6)]


def test_positions_of_one_step_are_drawn_together() -> None:
    prior = SumPrior()
    codes = sampler().sample(request_of(prior, 3, sizes=(1, 3, 2)))
    assert [call["targets"][0].tolist() for call in prior.calls] == [ORDER[:1], ORDER[1:4], ORDER[4:]]
    for position in ORDER[1:4]:
        noise = gumbel_noise(3, torch.arange(3), torch.full((3, 1), position), SPACE.vocab_size)[:, 0]
        weight = 1 + (torch.arange(4) + codes[:, [ORDER[0]]] + position) % 4
        assert torch.equal((weight.double().log() + noise).argmax(1), codes[:, position])


def given_at(positions: Sequence[Sequence[int]]) -> tuple[Tensor, Tensor]:
    mask = torch.zeros(len(positions), SPACE.length, dtype=torch.bool)
    for row, chosen in enumerate(positions):
        mask[row, list(chosen)] = True
    return torch.full((len(positions), SPACE.length), 2), mask


def test_given_codes_are_kept_and_their_steps_skipped() -> None:
    prior, given = SumPrior(), given_at([ORDER[:3]] * 2)
    codes = sampler().sample(request_of(prior, 2, given=given))
    assert (codes[given[1]] == 2).all()
    assert [call["targets"][0].tolist() for call in prior.calls] == [[position] for position in ORDER[3:]]
    for time in (3, 4, 5):
        noise = gumbel_noise(3, torch.arange(2), torch.full((2, 1), ORDER[time]), SPACE.vocab_size)[:, 0]
        assert torch.equal((probabilities(codes, time).log() + noise).argmax(1), codes[:, ORDER[time]])


def test_rows_can_be_given_different_numbers() -> None:
    given = given_at([ORDER[:1], ORDER[:4], ORDER])
    together = sampler().sample(request_of(SumPrior(), 3, given=given))
    assert (together[given[1]] == 2).all()
    for row in range(2):
        one = (given[0][row : row + 1], given[1][row : row + 1])
        assert torch.equal(sampler().sample(request_of(SumPrior(), 1, given=one, first=row)), together[row : row + 1])


def test_nothing_given_and_all_given() -> None:
    free = sampler().sample(request_of(SumPrior(), 2))
    assert torch.equal(sampler().sample(request_of(SumPrior(), 2, given=given_at([[], []]))), free)
    prior = SumPrior()
    assert (sampler().sample(request_of(prior, 2, given=given_at([ORDER, ORDER]))) == 2).all()
    assert not prior.calls


def test_a_part_of_a_step_can_be_given() -> None:
    given = given_at([ORDER[:2]] * 2)
    codes = sampler().sample(request_of(SumPrior(), 2, sizes=(1, 3, 2), given=given))
    assert (codes[given[1]] == 2).all()


def test_given_codes_of_a_group_were_visited_together() -> None:
    """A prior that can tell is asked about the same steps as where the codes were drawn, and so draws the same others."""
    torch.manual_seed(0)
    prior = PixelSNAIL(SPACE, (), PixelSNAILConfig(layers=1, residual_layers=1, width=8), {}).double().eval()
    with torch.no_grad():
        for parameter in prior.parameters():
            parameter.add_(torch.randn_like(parameter))
    free = sampler().sample(request_of(prior, 16, sizes=(1, 3, 2)))
    mask = torch.zeros(16, SPACE.length, dtype=torch.bool)
    mask[:, ORDER[:4]] = True
    given = (torch.where(mask, free, 0), mask)
    assert torch.equal(sampler().sample(request_of(prior, 16, sizes=(1, 3, 2), given=given)), free)
    assert not torch.equal(sampler().sample(request_of(prior, 16, given=given)), free)


@pytest.mark.parametrize("positions", [ORDER[1:2], ORDER[3:], [ORDER[0], ORDER[2]]])
def test_given_codes_that_come_later_are_refused(positions: list[int]) -> None:
    with pytest.raises(TamingplatError, match=r"no beginning of the visiting order: image 1 .* ordering"):
        sampler().sample(request_of(SumPrior(), 2, given=given_at([ORDER[:1], positions])))


def test_a_prior_of_any_subset_takes_any_given_part() -> None:
    prior, given = SumPrior("any_subset"), given_at([[ORDER[1]], [ORDER[4], ORDER[5]]])
    codes = sampler().sample(request_of(prior, 2, given=given))
    assert (codes[given[1]] == 2).all()
    assert [call["counts"].tolist() for call in prior.calls] == [[1, 2], [2, 3], [2, 4], [3, 5], [4, 6], [5, 6]]
    # The first code drawn knows the given ones, wherever they are in the order.
    first = ORDER[0]
    noise = gumbel_noise(3, torch.arange(2), torch.full((2, 1), first), SPACE.vocab_size)[:, 0]
    weight = 1 + (torch.arange(4) + torch.tensor([[2], [4]]) + first) % 4
    assert torch.equal((weight.double().log() + noise).argmax(1), codes[:, first])


def test_a_prior_of_any_subset_skips_what_all_rows_are_given() -> None:
    prior = SumPrior("any_subset")
    sampler().sample(request_of(prior, 2, given=given_at([[ORDER[2]], [ORDER[2], ORDER[0]]])))
    assert [call["targets"][0].tolist() for call in prior.calls] == [[position] for position in ORDER if position != ORDER[2]]


@pytest.mark.parametrize(("scale", "rows"), [(0.0, 3), (2.0, 6)])
def test_guidance_combines_the_logits_with_and_without_the_condition(
    scale: float, rows: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """u + s·(c − u), filtered behind that; with s = 0 the prior is asked without the condition alone."""
    torch.manual_seed(0)
    layout = (ConditionPart("class", 5),)
    prior = GPT(SPACE, layout, GPTConfig(layers=1, heads=1, width=8), {}).double().eval()
    with torch.no_grad():
        for parameter in prior.parameters():
            parameter.add_(torch.randn_like(parameter))
    condition, null = torch.tensor([[0], [1], [3]]), torch.full((3, 1), 4)
    request = replace(request_of(prior, 3), layout=layout, condition=condition, null_condition=null)
    ask, asked = prior.logits, []
    monkeypatch.setattr(prior, "logits", lambda *given, **more: asked.append(len(given[0])) or ask(*given, **more))
    codes = sampler(guidance=scale, temperature=0.8, top_k=3).sample(request)
    assert asked == [rows] * len(ORDER)
    for time, position in enumerate(ORDER):
        arguments = (codes, request.plan.order[:, :time], request.plan.order[:, time : time + 1])
        with_it, without = (ask(*arguments, of_image)[0][:, 0] for of_image in (condition, null))
        combined = (without + scale * (with_it - without)) / 0.8
        kept = combined.masked_fill(combined == combined.amin(1, keepdim=True), -torch.inf)
        noise = gumbel_noise(3, torch.arange(3), torch.full((3, 1), position), SPACE.vocab_size)[:, 0]
        assert torch.equal((kept + noise).argmax(1), codes[:, position])


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"temperature": -1.0}, "greater than or equal to 0"),
        ({"temperature": 1e-9}, "beyond double precision"),
        ({"temperature": math.inf}, "finite"),
        ({"top_k": 0}, "greater than or equal to 1"),
        ({"top_p": 0.0}, "greater than 0"),
        ({"top_p": 1.5}, "less than or equal to 1"),
        ({"mixed_k": ()}, "at least one k"),
        ({"mixed_k": (4, 0)}, "greater than or equal to 1"),
        ({"mixed_k": (4,), "top_k": 4}, "exclude each other"),
        ({"topk": 4}, "Extra inputs"),
    ],
)
def test_wrong_settings(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        AncestralConfig(**settings)
