"""PixelSNAIL's convolutions and attention read exactly what the visiting order allows."""

from __future__ import annotations

import copy

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from tamingplat_pixelsnail.config import PixelSNAILConfig
from tamingplat_pixelsnail.geometry import Geometry
from tamingplat_pixelsnail.layers import MaskedConv
from tamingplat_pixelsnail.model import PixelSNAIL
from tamingplat_pixelsnail.passes import masked_convolution, sliced_convolution

from tamingplat.interfaces import CodeSpace
from tamingplat.interfaces.models import VisitPlan


def build(grids, *, vocab=5, dtype=torch.float64, **settings):
    """A small model whose weights are large enough for every path through it to matter."""
    config = {"layers": 2, "residual_layers": 1, "width": 6, "heads": 1, "key_width": 4} | settings
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = PixelSNAIL(CodeSpace(grids, vocab), (), PixelSNAILConfig(**config), {}).to(dtype).eval()
        with torch.no_grad():
            for parameter in model.parameters():
                parameter.add_(0.1 * torch.randn_like(parameter))
    return model


def seeded(seed):
    return torch.Generator().manual_seed(seed)


def no_condition(batch):
    return torch.zeros(batch, 0, dtype=torch.int64)


@settings(max_examples=25, deadline=None)
@given(
    height=st.integers(1, 6),
    width=st.integers(1, 6),
    channels=st.integers(1, 4),
    heads=st.integers(1, 2),
    batch=st.integers(1, 3),
)
def test_sliced_raster_equals_the_masked_path(height, width, channels, heads, batch):
    model = build(((height, width),), dtype=torch.float32, width=2 * heads * channels, heads=heads)
    codes = torch.randint(5, (batch, height * width), generator=seeded(height * 10 + width))
    plan = VisitPlan.repeat(torch.arange(height * width), batch)
    results, gradients = [], []
    for sliced in (True, False):
        model.sliced = sliced
        model.zero_grad()
        nll = model.nll(codes, no_condition(batch), plan)
        nll.mean().backward()
        assert all(geometry.raster == sliced for geometry in model._geometries(plan))
        results.append(nll)
        gradients.append([parameter.grad for parameter in model.parameters()])
    torch.testing.assert_close(*results, rtol=0, atol=1e-5)
    for sliced_gradient, masked_gradient in zip(*gradients, strict=True):
        torch.testing.assert_close(sliced_gradient, masked_gradient, rtol=0, atol=1e-5)


@pytest.mark.parametrize("strict", [True, False])
@pytest.mark.parametrize("sizes", [[1] * 12, [1, 3, 4, 2, 2]])
def test_masked_convolution_against_its_definition(strict, sizes):
    height, width, batch = 3, 4, 2
    generator = seeded(1)
    order = torch.stack([torch.randperm(12, generator=generator) for _ in range(batch)])
    steps = VisitPlan(order, torch.tensor(sizes)).steps()
    convolution = MaskedConv(3, 2, strict=strict).double()
    inputs = torch.randn(batch, 12, 3, generator=generator, dtype=torch.float64)
    geometry = Geometry.of(steps, height, width, batch=batch, like=convolution.weight)
    expected = convolution.bias.detach().expand(batch, 12, 2).clone()
    for b in range(batch):
        for p in range(12):
            for down in (-1, 0, 1):
                for right in (-1, 0, 1):
                    row, column = p // width + down, p % width + right
                    if not (0 <= row < height and 0 <= column < width):
                        continue
                    q = row * width + column
                    if steps[b, q] < steps[b, p] or (q == p and not strict):
                        expected[b, p] += convolution.weight.detach()[:, :, down + 1, right + 1] @ inputs[b, q]
    torch.testing.assert_close(masked_convolution(convolution, inputs, geometry), expected)


@pytest.mark.parametrize("strict", [True, False])
def test_sliced_convolution_never_reads_the_future(strict):
    convolution = MaskedConv(2, 3, strict=strict)
    geometry = Geometry.of(torch.arange(12)[None], 3, 4, batch=1, like=convolution.weight)
    assert geometry.raster
    inputs = torch.randn(1, 12, 2, generator=seeded(2))
    before = sliced_convolution(convolution, inputs, geometry)
    for position in range(12):
        changed = inputs.clone()
        changed[0, position:] += 1
        first_affected = position + 1 if strict else position
        after = sliced_convolution(convolution, changed, geometry)
        assert torch.equal(before[0, :first_affected], after[0, :first_affected])


@pytest.mark.parametrize("sizes", [[1] * 9, [4, 5], [9]], ids=str)
def test_every_query_has_a_key_so_that_no_softmax_is_undefined(sizes):
    plan = VisitPlan(torch.randperm(9, generator=seeded(9))[None], torch.tensor(sizes))
    geometry = Geometry.of(plan.steps(), 3, 3, batch=1, like=torch.zeros(()))
    attendable = geometry.attendable[0, 0]
    assert attendable.any(1).all()
    # Only the first step has nothing before it; it is given itself, and what it finds there is erased.
    first = plan.steps()[0] == 0
    assert torch.equal(geometry.reached[0, :, 0], ~first)
    assert torch.equal(attendable[first], torch.eye(9, dtype=torch.bool)[first])
    assert torch.equal(attendable[~first], (plan.steps()[0][None] < plan.steps()[0][:, None])[~first])


def test_attention_of_a_position_without_predecessors_is_zero():
    model = build(((1, 1),), dtype=torch.float32)
    plan = VisitPlan.repeat(torch.arange(1), 2)
    nll = model.nll(torch.tensor([[0], [3]]), no_condition(2), plan)
    nll.sum().backward()
    assert torch.isfinite(nll).all()
    assert all(torch.isfinite(parameter.grad).all() for parameter in model.parameters())
    # Nothing can be attended to, so what makes keys and values gets no gradient, and what the network ends in does.
    stack = model.stacks[0]
    assert not stack.blocks[0].attention.memory.weight.grad.any()
    assert stack.head.weight.grad.any()


def test_unused_parameters_are_the_taps_that_no_position_uses():
    model = build(((4, 4),), width=6, layers=2, residual_layers=1)
    first, others = 6 * 6, 2 * (12 * 6 + 12 * 12)
    raster = VisitPlan.repeat(torch.arange(16), 3)
    assert model.unused_parameters(raster) == 5 * first + 4 * others
    shuffled = VisitPlan.repeat(torch.randperm(16, generator=seeded(0)), 1)
    assert model.unused_parameters(shuffled) == first
    together = VisitPlan(torch.arange(16)[None], torch.tensor([16]))
    assert model.unused_parameters(together) == 9 * first + 8 * others


def test_unused_parameters_have_no_gradient_and_the_others_do():
    model = build(((3, 5),))
    codes = torch.randint(5, (4, 15), generator=seeded(3))
    plan = VisitPlan.repeat(torch.arange(15), 4)
    model.nll(codes, no_condition(4), plan).sum().backward()
    idle = sum(int((module.weight.grad == 0).sum()) for module in model.modules() if isinstance(module, MaskedConv))
    assert idle == model.unused_parameters(plan)


def test_unused_parameters_of_a_single_row():
    model = build(((7,),), width=4, layers=1)
    first, others = 4 * 4, 8 * 4 + 8 * 8
    forwards = VisitPlan.repeat(torch.arange(7), 1)
    assert model.unused_parameters(forwards) == 8 * first + 7 * others


def test_the_geometry_of_a_shared_order_is_computed_once(monkeypatch):
    made = []
    plain = Geometry.of.__func__
    monkeypatch.setattr(Geometry, "of", classmethod(lambda cls, *a, **k: made.append(1) or plain(cls, *a, **k)))
    model = build(((3, 3),))
    codes = torch.randint(5, (4, 9), generator=seeded(4))
    one, other = (torch.randperm(9, generator=seeded(seed)) for seed in (0, 1))
    first = model.nll(codes, no_condition(4), VisitPlan.repeat(one, 4))
    assert torch.equal(first, model.nll(codes, no_condition(4), VisitPlan.repeat(one.clone(), 4)))
    assert len(made) == 1
    changed = model.nll(codes, no_condition(4), VisitPlan.repeat(other, 4))
    assert len(made) == 2
    assert not torch.equal(first, changed)
    # The same order for every row, not marked as shared, and a copy of the model, give the same.
    apart = VisitPlan(one.expand(4, -1).clone(), torch.ones(9, dtype=torch.int64))
    torch.testing.assert_close(model.nll(codes, no_condition(4), apart), first)
    assert torch.equal(copy.deepcopy(model).nll(codes, no_condition(4), VisitPlan.repeat(one, 4)), first)
    smaller = model.nll(codes[:2], no_condition(2), VisitPlan.repeat(one, 2))
    torch.testing.assert_close(smaller, first[:2])


def test_an_order_first_seen_in_inference_mode_can_be_trained_on():
    model = build(((2, 3),), dtype=torch.float32)
    codes = torch.randint(5, (2, 6), generator=seeded(5))
    plan = VisitPlan.repeat(torch.randperm(6, generator=seeded(6)), 2)
    with torch.inference_mode():
        scored = model.nll(codes, no_condition(2), plan)
    trained = model.nll(codes, no_condition(2), plan)
    trained.sum().backward()
    assert torch.equal(scored.clone(), trained.detach())
