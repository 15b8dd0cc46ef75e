"""Orderings, priors and samplers on two grids of codes, the coarser first, of odd shapes too."""

from __future__ import annotations

import importlib
import pkgutil
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from tamingplat.interfaces import CodeSpace, Component, NoConfig
from tamingplat.interfaces.models import Ordering, Prior, PriorBatch, SampleRequest, VisitPlan
from tamingplat.testing.inputs import other_codes, random_codes
from tamingplat.testing.orderings import check_permutation
from tamingplat.testing.samplers import check_batch_independence, check_fills_every_position

PRIORS: dict[str, dict[str, Any]] = {
    "gpt": {"layers": 1, "heads": 2, "width": 8},
    "pixelsnail": {"layers": 1, "residual_layers": 1, "width": 8, "key_width": 3},
}
ORDERINGS = ("raster", "spiral-out", "spiral-in", "z-curve", "subsample", "alternate")
sides = st.integers(1, 7)
pairs = st.tuples(st.tuples(sides, sides), st.tuples(sides, sides))


def component(plugin: str, name: str) -> Component:
    components = importlib.import_module(f"{plugin}.plugin").tamingplat_components()
    return next(one for one in components if one.name == name)


def ordering_of(name: str) -> Ordering:
    ordering: Ordering = pkgutil.resolve_name(component("tamingplat_orderings", name).factory)(NoConfig(), {})
    return ordering


def trained(name: str, space: CodeSpace, plan: VisitPlan) -> tuple[Prior, Tensor]:
    """A prior after a few steps, and the codes that it was shown."""
    found = component(f"tamingplat_{name}", name)
    torch.manual_seed(0)
    prior: Prior = pkgutil.resolve_name(found.factory)(space, (), found.config(**PRIORS[name]), {})
    codes = random_codes(space, len(plan.order))
    batch = PriorBatch(codes, codes[:, :0], plan)
    optimizer = torch.optim.AdamW(prior.parameters(), lr=3e-2)
    losses = []
    for step in range(6):
        total = prior(batch, step=step, phase="main", generator=torch.Generator().manual_seed(step))["total"]
        optimizer.zero_grad()
        total.backward()
        optimizer.step()
        losses.append(float(total.detach()))
    assert losses[-1] < losses[0]
    return prior.eval(), codes


@pytest.mark.parametrize("name", ORDERINGS)
@settings(max_examples=25, deadline=None)
@given(grids=pairs)
def test_an_ordering_applies_within_each_grid(name: str, grids: tuple[tuple[int, int], tuple[int, int]]) -> None:
    ordering, space = ordering_of(name), CodeSpace(grids, vocab_size=2)
    assert ordering.refusal(space) is None
    check_permutation(ordering, [grids])
    coarse, fine = (ordering.plan(CodeSpace((grid,), vocab_size=2), 1).order[0] for grid in grids)
    both = ordering.plan(space, 2).order
    assert both.tolist() == [[*coarse.tolist(), *(len(coarse) + fine).tolist()]] * 2


@pytest.mark.parametrize("name", sorted(PRIORS))
def test_fine_codes_depend_on_every_coarse_code_and_coarse_codes_on_no_fine_one(name: str) -> None:
    space = CodeSpace(((2, 2), (3, 5)), vocab_size=5)
    order = ordering_of("subsample").plan(space, 1)
    prior, codes = trained(name, space, ordering_of("subsample").plan(space, 2))
    prior, codes = prior.double(), codes[:1]
    with torch.no_grad():
        before = prior.nll(codes, codes[:, :0], order)
        changed = other_codes(codes, space.vocab_size, seed=0)
        coarse = torch.arange(space.length) < space.offsets[1]
        after = prior.nll(torch.where(coarse, codes, changed), codes[:, :0], order)
        assert torch.equal(after[:, coarse], before[:, coarse])
        # The first fine position knows nothing but the coarse grid, and each of its codes.
        first = order.order[:, space.offsets[1] : space.offsets[1] + 1]
        for position in range(space.offsets[1]):
            one = torch.where(torch.arange(space.length) == position, changed, codes)
            assert prior.nll(one, codes[:, :0], order).gather(1, first) != before.gather(1, first)


@pytest.mark.parametrize("name", sorted(PRIORS))
def test_sampling_fills_both_grids_and_continues_from_given_codes(name: str) -> None:
    sampler = pkgutil.resolve_name(component("tamingplat_samplers", "ancestral").factory)
    space = CodeSpace(((1, 2), (2, 3)), vocab_size=9)
    ordering = ordering_of("spiral-out")
    prior = trained(name, space, ordering.plan(space, 16))[0].double()

    def request(indices: Tensor) -> SampleRequest:
        return SampleRequest(
            prior=prior,
            tokenizer=None,  # type: ignore[arg-type]
            space=space,
            layout=(),
            plan=ordering.plan(space, len(indices)),
            condition=torch.zeros(len(indices), 0, dtype=torch.int64),
            null_condition=None,
            image_size=(4, 6),
            indices=indices,
            seed=3,
        )

    drawing = sampler(component("tamingplat_samplers", "ancestral").config(), {})
    check_fills_every_position(drawing, request(torch.arange(48)))
    check_batch_independence(drawing, request, count=8, batch_sizes=(8, 3))
