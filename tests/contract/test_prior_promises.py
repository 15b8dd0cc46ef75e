"""Every shipped prior under each of the shipped orderings, conditional and not."""

from __future__ import annotations

import importlib
import pkgutil
from typing import Any, NamedTuple

import pytest
import torch
from torch import Tensor

from tamingplat.interfaces import CodeSpace, Component, ConditionLayout, ConditionPart
from tamingplat.interfaces.models import Prior, PriorBatch, VisitPlan
from tamingplat.testing.inputs import random_codes, random_condition
from tamingplat.testing.priors import (
    check_chain_rule,
    check_incremental,
    check_no_leakage,
    check_state_rows,
)

# A row per prior: its plugin, its name there, and settings that keep it small.
PRIORS: dict[str, tuple[str, dict[str, Any]]] = {
    "gpt": ("tamingplat_gpt", {"layers": 2, "heads": 2, "width": 16}),
    "pixelsnail": ("tamingplat_pixelsnail", {"layers": 2, "residual_layers": 1, "heads": 2, "width": 16, "key_width": 4}),
}
ORDERINGS = ("raster", "spiral-out", "spiral-in", "z-curve", "subsample", "alternate")
LAYOUTS: dict[str, ConditionLayout] = {"none": (), "class": (ConditionPart("class", 5),)}
SPACE = CodeSpace(((3, 5),), vocab_size=7)
BATCH = 4


def component(plugin: str, name: str) -> Component:
    components = importlib.import_module(f"{plugin}.plugin").tamingplat_components()
    return next(one for one in components if one.name == name)


def build(name: str, space: CodeSpace, layout: ConditionLayout) -> Prior:
    plugin, settings = PRIORS[name]
    found = component(plugin, name)
    torch.manual_seed(0)
    prior: Prior = pkgutil.resolve_name(found.factory)(space, layout, found.config(**settings), {})
    return prior.eval()


def plan_of(name: str, space: CodeSpace, batch: int) -> VisitPlan:
    found = component("tamingplat_orderings", name)
    plan: VisitPlan = pkgutil.resolve_name(found.factory)(found.config(), {}).plan(space, batch)
    return plan


def train(prior: Prior, batch: PriorBatch, steps: int = 6) -> None:
    groups = [
        {"params": list(group.parameters), "weight_decay": 0.01 if group.decay else 0.0}
        for group in prior.phase_parameters("main")
    ]
    optimizer = torch.optim.AdamW(groups, lr=2e-2)
    prior.train()
    for step in range(steps):
        optimizer.zero_grad()
        generator = torch.Generator().manual_seed(step)
        prior(batch, step=step, phase="main", generator=generator)["total"].backward()
        optimizer.step()
    prior.eval()


class Case(NamedTuple):
    prior: Prior
    space: CodeSpace
    codes: Tensor
    condition: Tensor
    plan: VisitPlan


@pytest.fixture(scope="module", params=sorted(LAYOUTS))
def layout(request: pytest.FixtureRequest) -> ConditionLayout:
    return LAYOUTS[request.param]


@pytest.fixture(scope="module", params=ORDERINGS)
def ordering(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module", params=sorted(PRIORS))
def case(request: pytest.FixtureRequest, ordering: str, layout: ConditionLayout) -> Case:
    prior = build(request.param, SPACE, layout)
    codes, condition = random_codes(SPACE, BATCH), random_condition(layout, BATCH)
    plan = plan_of(ordering, SPACE, BATCH)
    train(prior, PriorBatch(codes, condition, plan))
    return Case(prior, SPACE, codes, condition, plan)


def test_chain_rule(case: Case) -> None:
    check_chain_rule(*case)


def test_incremental_decoding(case: Case) -> None:
    check_incremental(*case)


def test_rows_leave_and_join(case: Case) -> None:
    check_state_rows(*case)


def test_nothing_leaks(case: Case) -> None:
    check_no_leakage(*case)


@pytest.mark.parametrize("name", sorted(PRIORS))
def test_training_learns(name: str, layout: ConditionLayout) -> None:
    """A prior that is shown one image per condition comes to expect it."""
    prior = build(name, SPACE, layout)
    codes, condition = random_codes(SPACE, 2), random_condition(layout, 2)
    batch = PriorBatch(codes[:1].expand(2, -1), condition, plan_of("raster", SPACE, 2))
    with torch.no_grad():
        before = prior(batch, step=0, phase="main", generator=None)["total"]
    train(prior, batch, steps=30)
    with torch.no_grad():
        after = prior(batch, step=30, phase="main", generator=None)["total"]
    assert after < 0.5 * before
