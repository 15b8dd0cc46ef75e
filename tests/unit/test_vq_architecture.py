"""VQVAE and VQGAN in any size: shapes, codes and gradients, attention where it was asked for, and what is refused."""

from __future__ import annotations

import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from pydantic import ValidationError
from tamingplat_perceptual.none import NoDistance
from tamingplat_vq.config import VQGANConfig, VQVAEConfig
from tamingplat_vq.vqgan import VQGAN
from tamingplat_vq.vqvae import VQVAE

from tamingplat.interfaces import NoConfig, TamingplatError

PARTS = {"perceptual": NoDistance(NoConfig(), {})}
QUANTIZERS = (
    {},
    {"codebook_update": "ema", "revive_after": 2},
    {"codebook_init": "kmeans", "quantizer_reduction": "sum"},
    {"quantizer": "gumbel"},
    {"quantizer": "gumbel", "gumbel_relaxation": "soft"},
)


@st.composite
def cases(draw):
    """Settings of a tokenizer, the size of the images that it is made for, and their channels."""
    downsampling = draw(st.integers(0, 3))
    factor = 2**downsampling
    groups = draw(st.sampled_from((1, 2, 3)))
    side = factor * draw(st.integers(1, 3))
    levels = draw(st.sets(st.integers(0, downsampling)))
    fields = {
        "downsampling": downsampling,
        "channels": groups * draw(st.integers(1, 2)),
        "channel_multipliers": tuple(draw(st.integers(1, 3)) for _ in range(downsampling + 1)),
        "norm_groups": groups,
        "residual_blocks": draw(st.integers(1, 3)),
        "attention_resolutions": tuple(side // 2**level for level in levels),
        "resolution": side,
        "codebook_size": draw(st.integers(1, 9)),
        "embedding_dim": draw(st.integers(1, 5)),
        "latent_channels": draw(st.none() | st.integers(1, 5)),
        "perceptual": "none",
        **draw(st.sampled_from(QUANTIZERS)),
    }
    size = (factor * draw(st.integers(1, 3)), factor * draw(st.integers(1, 3)))
    return fields, levels, size, draw(st.integers(1, 4))


@settings(max_examples=15, deadline=None)
@given(cases())
def test_shapes_codes_and_gradients_of_any_architecture(case):
    fields, levels, size, channels = case
    torch.manual_seed(0)
    model = VQVAE(VQVAEConfig(**fields), PARTS, image_size=size, channels=channels)
    # Attention sits where the configured resolution says, whatever the size of the images.
    assert {level for level, down in enumerate(model.encoder.down) if len(down.attn)} == levels
    assert [len(down.attn) for down in model.encoder.down] == [
        fields["residual_blocks"] * down.attends for down in model.encoder.down
    ]
    assert {level for level, up in enumerate(model.decoder.up) if len(up.attn)} == levels
    images = torch.rand(2, channels, *size, generator=torch.Generator().manual_seed(1)) * 2 - 1
    terms = model({"image": images}, step=0, phase="main", generator=torch.Generator().manual_seed(2))
    terms["total"].backward()
    assert all(parameter.grad is not None and parameter.grad.isfinite().all() for parameter in model.parameters())
    assert all(term.shape == () and term.isfinite() for term in terms.values())
    assert 1 <= terms["codebook_perplexity"] <= fields["codebook_size"] + 1e-4
    model.after_step(0, torch.Generator().manual_seed(0))
    model.eval()
    grid = (size[0] // 2 ** fields["downsampling"], size[1] // 2 ** fields["downsampling"])
    assert model.code_space(size).grids == (grid,)
    with torch.no_grad():
        codes = model.encode(images)
        assert codes.shape == (2, grid[0] * grid[1]) and codes.dtype == torch.int64
        assert codes.min() >= 0 and codes.max() < fields["codebook_size"]
        assert torch.equal(model.encode(images), codes)
        decoded = model.decode(codes, size)
        assert decoded.shape == images.shape and decoded.isfinite().all()
        # What training sees without noise is what codes decode to.
        quantized = model.quantize(model.latents(images), step=0, generator=None)
        through = model.decoder(model.post_quant_conv(quantized.latents))
    torch.testing.assert_close(through, decoded, rtol=1e-4, atol=1e-4)


@settings(max_examples=20, deadline=None)
@given(cases(), st.integers(1, 40), st.integers(1, 40))
def test_indivisible_images_are_refused_before_anything_is_allocated(case, height, width):
    fields, _, _, channels = case
    factor = 2 ** fields["downsampling"]
    assume(height % factor or width % factor)
    config = VQVAEConfig(**fields)
    message = f"{height}×{width} pixels are not divisible by {factor}"
    assert message in (VQVAE.refusal(config, image_size=(height, width), channels=channels) or "")
    before = torch.get_rng_state()
    with pytest.raises(TamingplatError, match=message):
        VQVAE(config, PARTS, image_size=(height, width), channels=channels)
    assert torch.equal(torch.get_rng_state(), before)


@settings(max_examples=20, deadline=None)
@given(cases(), st.integers(1, 100))
def test_widths_and_attention_that_do_not_fit_are_refused(case, odd):
    fields, _, _, _ = case
    sides = [fields["resolution"] // 2**level for level in range(fields["downsampling"] + 1)]
    if odd not in sides:
        with pytest.raises(ValidationError, match=f"attention resolution {odd} never occurs"):
            VQVAEConfig(**{**fields, "attention_resolutions": (odd,)})
        free = VQVAEConfig(**{**fields, "attention_resolutions": (odd,), "resolution": None})
        reason = VQVAE.refusal(free, image_size=(sides[0], 2 * sides[0]), channels=3)
        assert reason is not None and f"attention resolution {odd} never occurs" in reason
    widths = {fields["channels"], *(fields["channels"] * multiplier for multiplier in fields["channel_multipliers"])}
    wrong = sorted(width for width in widths if width % odd)
    if wrong:
        with pytest.raises(ValidationError, match=f"a width of {wrong[0]} channels is not divisible by norm_groups {odd}"):
            VQVAEConfig(**{**fields, "norm_groups": odd})


@pytest.mark.parametrize("fields", QUANTIZERS)
def test_vqgan_trains_with_every_quantizer(fields):
    torch.manual_seed(0)
    config = VQGANConfig(
        codebook_size=11, embedding_dim=5, downsampling=1, channels=4, norm_groups=2, residual_blocks=1, perceptual="none",
        discriminator_channels=4, discriminator_layers=1, discriminator_start=1, **fields,
    )  # fmt: skip
    model = VQGAN(config, PARTS, image_size=(16, 16), channels=3)
    optimizers = {
        phase: torch.optim.Adam([p for group in model.phase_parameters(phase) for p in group.parameters], 1e-3)
        for phase in model.phases
    }
    stepped = {id(p) for phase in model.phases for group in model.phase_parameters(phase) for p in group.parameters}
    assert stepped == {id(parameter) for parameter in model.parameters()}
    assert ("quantize.embedding.weight" in dict(model.named_parameters())) == (
        not fields.keys() & {"quantizer", "codebook_update"}
    )
    images = torch.rand(3, 3, 16, 16, generator=torch.Generator().manual_seed(0)) * 2 - 1
    for step in range(4):
        for phase in model.phases_at(step):
            terms = model({"image": images}, step=step, phase=phase, generator=torch.Generator().manual_seed(step))
            optimizers[phase].zero_grad()
            terms["total"].backward()
            optimizers[phase].step()
            assert all(term.isfinite() for term in terms.values())
        model.after_step(step, torch.Generator().manual_seed(step))
    names = set(terms := model({"image": images}, step=0, phase="autoencoder", generator=None))
    assert {"codebook_usage", "codebook_perplexity"} <= names and terms["total"].isfinite()
    assert ("codebook" in names) == (not fields.keys() & {"quantizer", "codebook_update"})
    assert ("kl" in names) == ("temperature" in names) == ("quantizer" in fields)
