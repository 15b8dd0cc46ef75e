"""Both priors on the meta device: training there is counted, and sampling there shows that no step reads from the device.

A tensor on the meta device has no values, so that whatever waits for a value raises.
"""

from __future__ import annotations

from typing import Any

import pytest
import torch
from tamingplat_gpt.config import GPTConfig
from tamingplat_gpt.model import GPT
from tamingplat_pixelsnail.config import PixelSNAILConfig
from tamingplat_pixelsnail.model import PixelSNAIL
from tamingplat_samplers.ancestral import Ancestral
from tamingplat_samplers.config import AncestralConfig
from torch.utils.flop_counter import FlopCounterMode

from tamingplat.interfaces import CodeSpace, ConditionLayout, ConditionPart, layout_length
from tamingplat.interfaces.models import Prior, PriorBatch, SampleRequest, VisitPlan

ONE, TWO = CodeSpace(((2, 3),), 7), CodeSpace(((1, 2), (2, 3)), 7)
LAYOUT: ConditionLayout = (ConditionPart("class", 4), ConditionPart("map", 5, (2, 3)))
BATCH = 3
CASES = pytest.mark.parametrize(("space", "layout"), [(ONE, ()), (TWO, LAYOUT)], ids=["one grid", "two grids, conditions"])


def gpt(space: CodeSpace, layout: ConditionLayout) -> Prior:
    config = GPTConfig(layers=2, heads=2, width=16, dropout=0.1, pkeep=0.9, bidirectional_condition=True)
    return GPT(space, layout, config, {})


def pixelsnail(space: CodeSpace, layout: ConditionLayout) -> Prior:
    return PixelSNAIL(space, layout, PixelSNAILConfig(layers=2, residual_layers=1, width=16, dropout=0.1), {})


def plan_of(space: CodeSpace, kind: str) -> VisitPlan:
    generator = torch.Generator().manual_seed(0)
    ends = (*space.offsets[1:], space.length)
    orders = [
        torch.cat(
            [start + torch.randperm(end - start, generator=generator) for start, end in zip(space.offsets, ends, strict=True)]
        )
        for _ in range(BATCH)
    ]
    if kind == "apart":
        return VisitPlan(torch.stack(orders), torch.ones(space.length, dtype=torch.int64))
    return VisitPlan.repeat(torch.arange(space.length) if kind == "raster" else orders[0], BATCH)


def on_meta(space: CodeSpace, layout: ConditionLayout) -> tuple[torch.Tensor, torch.Tensor]:
    shapes = ((BATCH, space.length), (BATCH, layout_length(layout)))
    codes, condition = (torch.zeros(shape, dtype=torch.int64, device="meta") for shape in shapes)
    return codes, condition


@pytest.mark.parametrize("kind", ["raster", "shared", "apart"])
@CASES
@pytest.mark.parametrize("build", [gpt, pixelsnail])
def test_a_training_step_can_be_counted(build: Any, space: CodeSpace, layout: ConditionLayout, kind: str) -> None:
    """The same operations as a real step, with weights and codes on the meta device and the plan on the CPU."""
    counted = []
    for device in ("meta", "cpu"):
        with torch.device(device):
            prior = build(space, layout).train()
        codes, condition = (torch.zeros_like(tensor, device=device) for tensor in on_meta(space, layout))
        with FlopCounterMode(display=False) as counter:
            batch = PriorBatch(codes, condition, plan_of(space, kind))
            prior(batch, step=0, phase="main", generator=None)["total"].backward()
        assert all(parameter.grad is not None and parameter.grad.device.type == device for parameter in prior.parameters())
        products = counter.get_flop_counts()["Global"]
        # Attention is one fused operation on some devices and two products on others; the rest is the same everywhere.
        names = ("aten.mm", "aten.addmm", "aten.convolution", "aten.convolution_backward")
        counted.append(sum(count for name, count in products.items() if str(name) in names))
    assert counted[0] == counted[1] > 0


@pytest.mark.parametrize("kind", ["shared", "apart"])
@CASES
@pytest.mark.parametrize("build", [gpt, pixelsnail])
def test_no_step_of_sampling_waits_for_the_device(build: Any, space: CodeSpace, layout: ConditionLayout, kind: str) -> None:
    with torch.device("meta"):
        prior = build(space, layout).eval()
    codes, condition = on_meta(space, layout)
    plan = plan_of(space, kind)
    # The filters and the noise, which are slow here, need no prior of each kind.
    settings = {"top_k": 3, "top_p": 0.9} if build is gpt and space is ONE else {"temperature": 0.0}
    drawn = Ancestral(AncestralConfig(**settings), {}).sample(
        SampleRequest(
            prior=prior,
            tokenizer=None,  # type: ignore[arg-type]
            space=space,
            layout=layout,
            plan=VisitPlan(plan.order.to("meta"), plan.sizes, plan.shared),
            condition=condition,
            null_condition=None,
            image_size=(12, 16),
            indices=torch.arange(BATCH, device="meta"),
            seed=0,
        )
    )
    assert drawn.shape == codes.shape and drawn.is_meta


def test_unused_parameters_are_known_without_weights() -> None:
    """At the sizes of the paper's largest tokenizer, two grids of 32×32 and 64×64 codes."""
    space = CodeSpace(((32, 32), (64, 64)), 512)
    plan = VisitPlan.repeat(torch.arange(space.length), 1)
    config = PixelSNAILConfig(layers=2, residual_layers=1, width=8)
    with torch.device("meta"):
        assert gpt(ONE, ()).unused_parameters(plan_of(ONE, "shared")) == 0
        prior = PixelSNAIL(space, (), config, {})
        # Row by row five taps of the first convolution and four of every other one; the residual layers have two each.
        per_grid = 5 * 8 * 8 + 4 * 2 * (16 * 8 + 16 * 16)
        assert prior.unused_parameters(plan) == 2 * per_grid
