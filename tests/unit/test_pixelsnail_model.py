"""PixelSNAIL as a component: construction, parameters, training, precision and what it refuses."""

from __future__ import annotations

import copy
import math

import pytest
import torch
from pydantic import ValidationError
from safetensors.torch import load_file
from tamingplat_pixelsnail.config import PixelSNAILConfig
from tamingplat_pixelsnail.model import PixelSNAIL
from tamingplat_pixelsnail.plugin import tamingplat_components

from tamingplat.engine.files import write_tensors
from tamingplat.interfaces import CodeSpace, ConditionPart, TamingplatError
from tamingplat.interfaces.models import PriorBatch, VisitPlan
from tamingplat.registry import load_registry

LAYOUT = (ConditionPart("class", 4), ConditionPart("map", 6, (2, 3)))
SPACE = CodeSpace(((2, 2), (4, 4)), 7)


def settings(**changes):
    return PixelSNAILConfig(**({"layers": 2, "residual_layers": 2, "width": 8, "heads": 2, "key_width": 3} | changes))


def build(space=SPACE, layout=LAYOUT, **changes):
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return PixelSNAIL(space, layout, settings(**changes), {})


def seeded(seed):
    return torch.Generator().manual_seed(seed)


def example(model, batch=4):
    generator = seeded(1)
    codes = torch.randint(model.space.vocab_size, (batch, model.space.length), generator=generator)
    condition = torch.randint(4, (batch, sum(part.length for part in model.layout)), generator=generator)
    return PriorBatch(codes, condition, VisitPlan.repeat(torch.arange(model.space.length), batch))


def total(model, batch, generator=None):
    return model(batch, step=0, phase="main", generator=generator)["total"]


def test_the_component_builds_the_class_it_names():
    (component,) = tamingplat_components()
    module, name = component.factory.split(":")
    assert (component.reference, module, name) == ("prior:pixelsnail", PixelSNAIL.__module__, PixelSNAIL.__name__)
    assert component.config is PixelSNAILConfig
    assert component.training is not None
    assert component.training.betas == (0.9, 0.95)


def test_parameters_counted_by_hand():
    C, V, key, value, layers, residuals = 12, 5, 4, 6, 2, 3
    model = PixelSNAIL(
        CodeSpace(((3, 3),), V), (), PixelSNAILConfig(layers=layers, residual_layers=residuals, width=C, key_width=key), {}
    )
    residual = 9 * 2 * C * C + C + 9 * 2 * C * 2 * C + 2 * C

    def pointwise(width, beside=0):
        return 2 * width * width + width + 2 * beside * width + 2 * width * 2 * width + 2 * width

    attention = pointwise(C + 2) + (C + 3) * key + pointwise(2 * C + 2) + (2 * C + 3) * (key + value) + pointwise(C, value)
    expected = V * C + 9 * C * C + C + layers * (residuals * residual + attention) + (C + 1) * V
    assert sum(parameter.numel() for parameter in model.parameters()) == expected


def test_the_meta_device_counts_the_same_parameters():
    with torch.device("meta"):
        planned = PixelSNAIL(SPACE, LAYOUT, settings(), {})
    built = build()
    assert all(parameter.is_meta for parameter in planned.parameters())
    assert {name: parameter.shape for name, parameter in planned.named_parameters()} == {
        name: parameter.shape for name, parameter in built.named_parameters()
    }
    plan = VisitPlan.repeat(torch.arange(20), 1)
    assert planned.unused_parameters(plan) == built.unused_parameters(plan) > 0


def test_parameter_groups_cover_everything_once():
    model = build()
    decayed, plain = model.phase_parameters("main")
    assert (decayed.decay, plain.decay) == (True, False)
    identities = [id(parameter) for parameter in (*decayed.parameters, *plain.parameters)]
    assert len(identities) == len(set(identities))
    assert set(identities) == {id(parameter) for parameter in model.parameters()}
    names = {id(parameter): name for name, parameter in model.named_parameters()}
    for parameter in plain.parameters:
        assert "bias" in names[id(parameter)] or "embedding" in names[id(parameter)]


def test_untrained_predictions_are_nearly_uniform():
    model = build(CodeSpace(((4, 4),), 50), (), width=32, layers=6)
    batch = example(model)
    nll = model.nll(batch.codes, batch.condition, batch.plan)
    assert nll.dtype == torch.float32
    assert abs(nll.mean().item() - math.log(50)) < 0.2


@pytest.mark.parametrize("order", ["raster", "random"])
def test_training_learns(order):
    model = build(CodeSpace(((4, 4),), 7), LAYOUT[:1], width=16)
    places = torch.arange(16) if order == "raster" else torch.randperm(16, generator=seeded(0))
    batch = example(model)
    batch = PriorBatch(batch.codes, batch.condition, VisitPlan.repeat(places, 4))
    optimizer = torch.optim.AdamW(model.parameters(), lr=5e-3)
    losses = []
    for _ in range(60):
        loss = total(model, batch)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < 0.25 * losses[0]


def test_the_loss_is_the_mean_of_nll_and_every_parameter_has_a_gradient():
    model = build()
    batch = example(model)
    loss = total(model, batch, seeded(0))
    torch.testing.assert_close(loss, model.nll(batch.codes, batch.condition, batch.plan).mean())
    loss.backward()
    assert all(parameter.grad is not None for parameter in model.parameters())


def test_dropout_draws_from_the_generator_it_is_given():
    model = build(dropout=0.5)
    batch = example(model)
    plain = model.nll(batch.codes, batch.condition, batch.plan).mean()
    before = torch.random.get_rng_state()
    assert torch.equal(total(model, batch, seeded(3)), total(model, batch, seeded(3)))
    assert not torch.equal(total(model, batch, seeded(3)), total(model, batch, seeded(4)))
    assert torch.equal(total(model, batch), plain)
    assert torch.equal(model.nll(batch.codes, batch.condition, batch.plan).mean(), plain)
    model.eval()
    assert torch.equal(total(model, batch, seeded(3)), plain)
    assert torch.equal(torch.random.get_rng_state(), before)


def test_dropout_reaches_the_gated_residual_layers_of_attention():
    model = build(dropout=0.5)
    batch = example(model)
    with torch.no_grad():
        for stack in model.stacks:
            for block in stack.blocks:
                for residual in block.residuals:
                    # What is dropped in the stacks of convolutions no longer arrives anywhere.
                    residual.conv_out.weight.zero_()
    assert not torch.equal(total(model, batch, seeded(3)), total(model, batch, seeded(4)))
    assert torch.equal(total(model, batch, seeded(3)), total(model, batch, seeded(3)))


@pytest.mark.parametrize(
    ("name", "layers", "conditional", "published"),
    [("rin", 12, False, 85), ("d-rin-v1", 14, True, 180), ("imagenet", 24, False, 310), ("s-flckr", 24, True, 310)],
)
def test_presets_match_the_published_sizes(name, layers, conditional, published):
    """Layers of Tab. 1's transformer, and the width at which active parameters under raster come nearest to its number."""
    config = PixelSNAILConfig(**load_registry().preset("prior", "pixelsnail", name))
    assert config.layers == layers
    layout = (ConditionPart("map", 1024, (16, 16)),) if conditional else ()
    plan = VisitPlan.repeat(torch.arange(256), 1)

    def active(layers, width):
        with torch.device("meta"):
            sizes = config.model_copy(update={"layers": layers, "width": width})
            model = PixelSNAIL(CodeSpace(((16, 16),), 1024), layout, sizes, {})
        return sum(parameter.numel() for parameter in model.parameters()) - model.unused_parameters(plan)

    def distance(width):
        # Every layer is as large as any other; two are quicker to make than all of them.
        first, second = active(1, width), active(2, width)
        return abs((first + (config.layers - 1) * (second - first)) / 1e6 - published)

    assert distance(config.width) == min(distance(config.width + change) for change in (-16, 0, 16))
    assert distance(config.width) < 0.04 * published


def test_state_round_trips_and_a_copy_is_independent(tmp_path):
    model = build()
    batch = example(model)
    expected = model.nll(batch.codes, batch.condition, batch.plan)
    other = PixelSNAIL(SPACE, LAYOUT, settings(), {})
    # A file holds every tensor contiguously; the model lays its kernels out in its own way.
    write_tensors(model.state_dict(), tmp_path / "weights.safetensors")
    other.load_state_dict(load_file(tmp_path / "weights.safetensors"))
    assert torch.equal(other.nll(batch.codes, batch.condition, batch.plan), expected)
    for stack in other.stacks:
        for convolution in stack.convolutions():
            # Views, whatever range of taps is read: no weight is copied at a step of decoding.
            assert (
                convolution.matrix(range(1, 5)).untyped_storage().data_ptr() == convolution.weight.untyped_storage().data_ptr()
            )
            taps = convolution.weight.flatten(2)[:, :, 1:5].transpose(1, 2).flatten(1)
            assert torch.equal(convolution.matrix(range(1, 5)), taps)
    duplicate = copy.deepcopy(model)
    with torch.no_grad():
        for parameter in duplicate.parameters():
            parameter.zero_()
    assert torch.equal(model.nll(batch.codes, batch.condition, batch.plan), expected)


@pytest.mark.parametrize("order", ["raster", "random"])
def test_bfloat16_is_close_and_scored_in_float32(order):
    model = build(CodeSpace(((4, 4),), 7), LAYOUT, width=16)
    places = torch.arange(16) if order == "raster" else torch.randperm(16, generator=seeded(0))
    batch = example(model)
    plan = VisitPlan.repeat(places, 4)
    exact = model.nll(batch.codes, batch.condition, plan)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        rounded = model.nll(batch.codes, batch.condition, plan)
        state = None
        stepped = torch.zeros_like(exact)
        for time in range(16):
            target = plan.order[:, time : time + 1]
            logits, state = model.logits(batch.codes, plan.order[:, :time], target, batch.condition, state=state)
            stepped.scatter_(1, target, -logits[:, 0].float().log_softmax(1).gather(1, batch.codes.gather(1, target)))
        full, _ = model.logits(batch.codes, plan.order[:, :8], plan.order[:, 8:9], batch.condition)
    rounded.mean().backward()
    assert rounded.dtype == torch.float32
    assert not torch.equal(rounded, exact)
    torch.testing.assert_close(rounded, exact, rtol=0, atol=0.05)
    torch.testing.assert_close(stepped, exact, rtol=0, atol=0.05)
    assert full.shape == (4, 1, 7)


def test_float64_scores_are_float64():
    model = build().double()
    batch = example(model)
    assert model.nll(batch.codes, batch.condition, batch.plan).dtype == torch.float64


def test_a_grid_of_three_dimensions_is_refused():
    deep = CodeSpace(((4, 4, 2),), 7)
    assert "choose a tokenizer" in PixelSNAIL.refusal(deep, (), settings())
    with pytest.raises(TamingplatError, match="prior:pixelsnail"):
        PixelSNAIL(deep, (), settings(), {})
    cube = (ConditionPart("volume", 4, (2, 2, 2)),)
    assert "volume" in PixelSNAIL.refusal(SPACE, cube, settings())
    assert PixelSNAIL.refusal(SPACE, LAYOUT, settings()) is None


def test_settings_that_do_not_fit():
    with pytest.raises(ValidationError, match="not divisible by 3 heads"):
        PixelSNAILConfig(width=16, heads=3)
    assert PixelSNAILConfig(width=16, heads=3, value_width=5).head_value_width == 5
    assert PixelSNAILConfig(width=16, heads=2).head_value_width == 4
    with pytest.raises(ValidationError, match="residual_blocks"):
        PixelSNAILConfig(residual_blocks=2)
