"""Gumbel quantization: against the reference implementation, and its draws, gradients, schedules and divergence."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from tamingplat_perceptual.none import NoDistance
from tamingplat_vq.config import VQVAEConfig
from tamingplat_vq.quantizer import GumbelQuantizer
from tamingplat_vq.vqvae import VQVAE

from tamingplat.interfaces import NoConfig

FIXTURES = Path(__file__).parents[1] / "fixtures" / "parity"
NONE = {"perceptual": NoDistance(NoConfig(), {})}


def test_everything_is_what_the_reference_computes():
    expected = load_file(FIXTURES / "gumbel_expected.safetensors")
    sizes = json.loads((FIXTURES / "gumbel.json").read_text())
    network = sizes["ddconfig"]
    config = VQVAEConfig(
        quantizer="gumbel",
        codebook_size=sizes["n_embed"],
        embedding_dim=sizes["embed_dim"],
        latent_channels=network["z_channels"],
        downsampling=len(network["ch_mult"]) - 1,
        channels=network["ch"],
        channel_multipliers=tuple(network["ch_mult"]),
        residual_blocks=network["num_res_blocks"],
        attention_resolutions=tuple(network["attn_resolutions"]),
        resolution=network["resolution"],
    )
    model = VQVAE(config, NONE, image_size=(16, 16), channels=3).eval()
    model.load_state_dict(torch.load(FIXTURES / "gumbel.ckpt", weights_only=True, map_location="cpu")["state_dict"])
    with torch.no_grad():
        latents = model.latents(expected["image"])
        logits = model.quantize.logits(latents)
        codes = model.encode(expected["image"])
        reconstruction = model.decode(codes, (16, 16))
        through = model.quantize(latents, step=0, generator=None)
    assert torch.equal(codes.view(-1, 8, 8), expected["codes"]) and torch.equal(through.codes, expected["codes"])
    for given, name in ((logits, "logits"), (reconstruction, "reconstruction")):
        spread = float(expected[name].max() - expected[name].min())
        torch.testing.assert_close(given, expected[name], rtol=0, atol=1e-5 * spread)


def gumbel(relaxation="straight-through", codes=6, dimensions=4, temperature=(0.9, 0.1, 100), kl_weight=0.5, warmup=0):
    torch.manual_seed(0)
    return GumbelQuantizer(
        codes, dimensions, relaxation=relaxation, temperature=temperature, kl_weight=kl_weight, kl_warmup_steps=warmup
    )


@pytest.fixture
def latents():
    return torch.randn(2, 4, 3, 5, generator=torch.Generator().manual_seed(0)).requires_grad_()


def draw(model, latents, seed=0, step=0):
    return model(latents, step=step, generator=torch.Generator().manual_seed(seed))


def test_names_and_shapes_are_the_published_ones():
    shapes = {name: tuple(tensor.shape) for name, tensor in gumbel().state_dict().items()}
    assert shapes == {"proj.weight": (6, 4, 1, 1), "proj.bias": (6,), "embed.weight": (6, 4)}


def test_codes_are_the_most_probable_ones_without_noise(latents):
    model = gumbel()
    logits = torch.einsum("bdhw,kd->bkhw", latents, model.proj.weight[:, :, 0, 0]) + model.proj.bias[:, None, None]
    assert torch.equal(model.codes(latents), logits.argmax(dim=1))
    for relaxation in ("straight-through", "soft"):
        model = gumbel(relaxation).eval()
        quantized = draw(model, latents)
        assert torch.equal(quantized.codes, model.codes(latents))
        torch.testing.assert_close(quantized.latents, model.lookup(quantized.codes))
    assert torch.equal(model.lookup(quantized.codes)[1, :, 2, 3], model.embed.weight[quantized.codes[1, 2, 3]])


def test_draws_follow_the_distribution():
    model = gumbel()
    vector = torch.randn(1, 4, 1, 1, generator=torch.Generator().manual_seed(3))
    codes = draw(model, vector.expand(20_000, 4, 1, 1)).codes
    shares = torch.bincount(codes.flatten(), minlength=6) / 20_000
    torch.testing.assert_close(shares, model.logits(vector).softmax(dim=1).flatten().detach(), rtol=0, atol=0.015)


def test_noise_comes_from_the_generator_alone(latents):
    model = gumbel("soft")
    before = torch.get_rng_state()
    one, same, other = (draw(model, latents, seed).latents for seed in (1, 1, 2))
    assert torch.equal(torch.get_rng_state(), before)
    assert torch.equal(one, same) and not torch.equal(one, other)
    assert torch.equal(model(latents, step=0, generator=None).codes, model.codes(latents))


def test_straight_through_puts_codes_out_and_takes_the_mixtures_gradient(latents):
    model, soft = gumbel(), gumbel("soft")
    soft.load_state_dict(model.state_dict())
    hard, mixture = draw(model, latents, step=40), draw(soft, latents, step=40)
    assert torch.equal(hard.codes, mixture.codes)
    torch.testing.assert_close(hard.latents, model.lookup(hard.codes))
    assert not torch.allclose(mixture.latents, hard.latents, atol=1e-2)
    probe = torch.randn(2, 4, 3, 5, generator=torch.Generator().manual_seed(1))
    of_hard = torch.autograd.grad((hard.latents * probe).sum(), [latents, model.proj.weight, model.embed.weight])
    of_soft = torch.autograd.grad((mixture.latents * probe).sum(), [latents, soft.proj.weight, soft.embed.weight])
    torch.testing.assert_close(of_hard[:2], of_soft[:2])
    # Of the codebook vectors, the drawn ones alone are moved; in a mixture all are.
    pulls = torch.zeros(6, 4).index_add_(0, hard.codes.flatten(), probe.permute(0, 2, 3, 1).reshape(-1, 4))
    torch.testing.assert_close(of_hard[2], pulls)
    assert not torch.allclose(of_soft[2], pulls, atol=1e-2)


def test_mixtures_are_relaxed_draws(latents):
    model = gumbel("soft", temperature=(0.7, 0.7, 1))
    quantized = draw(model, latents)
    waiting = torch.empty(2, 6, 3, 5).exponential_(generator=torch.Generator().manual_seed(0))
    shares = ((model.logits(latents) - waiting.log()) / 0.7).softmax(dim=1)
    torch.testing.assert_close(quantized.latents, torch.einsum("bkhw,kd->bdhw", shares, model.embed.weight))


def test_the_divergence_is_from_the_uniform_distribution(latents):
    model = gumbel(kl_weight=0.5)
    quantized = draw(model, latents)
    shares = model.logits(latents).detach().double().softmax(dim=1)
    wanted = (shares * (shares * 6).log()).sum(dim=1).mean()
    torch.testing.assert_close(quantized.terms["kl"].double(), wanted, rtol=1e-5, atol=0)
    torch.testing.assert_close(quantized.loss.detach(), 0.5 * quantized.terms["kl"])
    with torch.no_grad():
        model.proj.weight.zero_()
        model.proj.bias.zero_()
    assert draw(model, latents).terms["kl"].abs() < 1e-6


def test_schedules_follow_cosines():
    published = gumbel(temperature=(0.9, 1e-6, 1_000_001), kl_weight=1e-8)
    dalle = gumbel(temperature=(1.0, 1 / 16, 150_000), kl_weight=6.6 / 192, warmup=5000)
    cpu = torch.device("cpu")
    for model, step, temperature, weight in (
        (published, 0, 0.9, 1e-8),
        (published, 500_000, 1e-6 + 0.5 * (0.9 - 1e-6) * (1 + math.cos(math.pi * 500_000 / 1_000_001)), 1e-8),
        (published, 2_000_000, 1e-6, 1e-8),
        (dalle, 0, 1.0, 0.0),
        (dalle, 2500, 1 / 16 + 15 / 32 * (1 + math.cos(math.pi / 60)), 3.3 / 192),
        (dalle, 150_000, 1 / 16, 6.6 / 192),
    ):
        found = model.schedules(step, cpu)
        assert [value.item() for value in found] == pytest.approx([temperature, weight], rel=1e-6)
    assert draw(dalle, torch.zeros(1, 4, 1, 1), step=150_000).terms["temperature"] == 1 / 16


def test_arithmetic_is_float32_under_mixed_precision(latents):
    model = gumbel(temperature=(0.9, 1e-6, 10))
    plain = draw(model, latents, step=9)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        mixed = draw(model, latents, step=9)
        assert torch.equal(model.codes(latents), model.codes(latents.detach().double()))
    assert plain.terms == mixed.terms
    for one, other in zip(plain[:3], mixed[:3], strict=True):
        assert torch.equal(one, other) and one.dtype == other.dtype
    cold = draw(model, latents, step=10)
    gradients = torch.autograd.grad(cold.latents.sum() + cold.loss, list(model.parameters()))
    assert cold.latents.isfinite().all() and all(gradient.isfinite().all() for gradient in gradients)


@pytest.mark.parametrize("relaxation", ["straight-through", "soft"])
def test_a_tokenizer_trains_with_it(relaxation):
    torch.manual_seed(0)
    config = VQVAEConfig(
        quantizer="gumbel", gumbel_relaxation=relaxation, gumbel_temperature_end=0.1, gumbel_temperature_steps=30,
        codebook_size=16, embedding_dim=6, downsampling=1, channels=8, norm_groups=2, residual_blocks=1,
    )  # fmt: skip
    model = VQVAE(config, NONE, image_size=(8, 8), channels=3)
    images = torch.rand(8, 3, 1, 1, generator=torch.Generator().manual_seed(1)).expand(8, 3, 8, 8) * 2 - 1
    optimizer = torch.optim.Adam(model.parameters(), 5e-3)
    generator = torch.Generator()
    errors = []
    for step in range(30):
        terms = model({"image": images}, step=step, phase="main", generator=generator.manual_seed(step))
        assert {"kl", "temperature", "codebook_usage", "codebook_perplexity"} <= set(terms) and "commitment" not in terms
        optimizer.zero_grad()
        terms["total"].backward()
        optimizer.step()
        errors.append(float(terms["reconstruction"]))
    assert sum(errors[-5:]) < 0.5 * sum(errors[:5])
