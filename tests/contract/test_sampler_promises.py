"""Samples do not depend on the batch that draws them, whatever the filters; on the process neither, as conformance holds."""

from __future__ import annotations

import functools
from typing import Any

import pytest
import torch
from tamingplat_gpt.config import GPTConfig
from tamingplat_gpt.model import GPT
from tamingplat_orderings.ordering import SpiralOut
from tamingplat_samplers.ancestral import Ancestral
from tamingplat_samplers.config import AncestralConfig
from torch import Tensor

from tamingplat.interfaces import CodeSpace, NoConfig
from tamingplat.interfaces.models import SampleRequest, gumbel_noise, uniform_noise
from tamingplat.testing.samplers import check_batch_independence, check_fills_every_position

SETTINGS: dict[str, dict[str, Any]] = {
    "all filters": {"temperature": 0.9, "top_k": 20, "top_p": 0.9},
    "mixed k": {"mixed_k": (2, 8, 32)},
    "greedy": {"temperature": 0.0},
}
SPACE = CodeSpace(((3, 5),), vocab_size=33)
COUNT = 16


@functools.cache
def prior() -> GPT:
    """In float64, with weights large enough for peaked distributions."""
    torch.manual_seed(0)
    gpt = GPT(SPACE, (), GPTConfig(layers=2, heads=2, width=16), {}).double().eval()
    with torch.no_grad():
        for parameter in gpt.parameters():
            parameter.mul_(4).add_(torch.randn_like(parameter), alpha=0.2)
    return gpt


def request_of(indices: Tensor, *, seed: int = 5) -> SampleRequest:
    return SampleRequest(
        prior=prior(),
        tokenizer=None,  # type: ignore[arg-type]
        space=SPACE,
        layout=(),
        plan=SpiralOut(NoConfig(), {}).plan(SPACE, len(indices)),
        condition=torch.zeros(len(indices), 0, dtype=torch.int64),
        null_condition=None,
        image_size=(3, 5),
        indices=indices,
        seed=seed,
    )


@pytest.mark.parametrize("name", SETTINGS)
def test_batches_of_every_size_give_the_same_codes(name: str) -> None:
    codes = check_batch_independence(Ancestral(AncestralConfig(**SETTINGS[name]), {}), request_of, count=COUNT)
    assert codes.shape == (COUNT, SPACE.length)
    distinct = len({tuple(row) for row in codes.tolist()})
    assert distinct == 1 if name == "greedy" else distinct > COUNT // 2


@pytest.mark.parametrize("name", [name for name in SETTINGS if name != "greedy"])
def test_every_position_is_drawn_and_given_codes_stay(name: str) -> None:
    check_fills_every_position(Ancestral(AncestralConfig(**SETTINGS[name]), {}), request_of(torch.arange(64)))


def test_noise_is_the_same_in_batches_of_every_size() -> None:
    indices, positions = torch.arange(COUNT), torch.arange(SPACE.length).expand(COUNT, -1)
    for make in (gumbel_noise, uniform_noise):
        whole = make(5, indices, positions, SPACE.vocab_size)
        for size in (1, 7, 32):
            parts = [make(5, rows, positions[: len(rows)], SPACE.vocab_size) for rows in indices.split(size)]
            assert torch.equal(torch.cat(parts), whole)
        by_position = [make(5, indices, positions[:, [position]], SPACE.vocab_size) for position in range(SPACE.length)]
        assert torch.equal(torch.cat(by_position, dim=1), whole)


def test_another_seed_and_another_number_give_other_samples() -> None:
    sampler = Ancestral(AncestralConfig(), {})
    one, other = (sampler.sample(request_of(torch.arange(8), seed=seed)) for seed in (5, 6))
    assert not (one == other).all(1).any()
    assert not (one[:4] == one[4:]).all(1).any()
