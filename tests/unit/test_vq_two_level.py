"""The two-level VQGAN: its grids, how its levels depend on each other, its objective, and what it refuses."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError
from tamingplat_perceptual.none import NoDistance
from tamingplat_vq.layers.encoder_decoder import AttentionBlock
from tamingplat_vq.two_level import TwoLevelVQGAN
from tamingplat_vq.two_level_config import TwoLevelVQGANConfig

from tamingplat.interfaces import CodeSpace, NoConfig, TamingplatError
from tamingplat.registry import load_registry

PARTS = {"perceptual": NoDistance(NoConfig(), {})}
TINY = {
    "codebook_size": 7,
    "embedding_dim": 5,
    "latent_channels": 6,
    "downsampling": 1,
    "channels": 4,
    "norm_groups": 2,
    "residual_blocks": 1,
    "perceptual": "none",
    "discriminator_channels": 4,
    "discriminator_layers": 1,
    "discriminator_start": 5,
}


def tiny(image_size=(16, 16), **fields):
    torch.manual_seed(0)
    return TwoLevelVQGAN(TwoLevelVQGANConfig(**{**TINY, **fields}), PARTS, image_size=image_size, channels=3)


def images_of(height, width, count=3):
    return torch.rand(count, 3, height, width, generator=torch.Generator().manual_seed(0)) * 2 - 1


def attended_sides(module, side):
    """The sides of the feature maps on which attention blocks run, in order, for what comes in at ``side``."""
    found = []
    hooks = [
        block.register_forward_hook(lambda block, inputs, output: found.append(output.shape[3]))
        for block in module.modules()
        if isinstance(block, AttentionBlock)
    ]
    module(torch.empty(1, module.conv_in.in_channels, side, side, device="meta"))
    for hook in hooks:
        hook.remove()
    return found


def test_the_preset_is_the_papers_model():
    preset = load_registry(environ={}).preset("tokenizer", "vqgan-two-level", "imagenet-two-level-512")
    config = TwoLevelVQGANConfig(**{**preset, "perceptual": "none"})
    with torch.device("meta"):
        model = TwoLevelVQGAN(config, PARTS, image_size=(256, 256), channels=3)
    assert model.code_space((256, 256)) == CodeSpace(((32, 32), (64, 64)), 512)
    assert (config.discriminator_start, config.commitment_placement, config.pixel_loss) == (250001, "reference", "l1")
    # Attention after each residual block at 32, and in the four middles: two of them at 64.
    assert attended_sides(model.encoder, 256) == [64] and attended_sides(model.decoder, 64) == [64]
    assert attended_sides(model.coarse_encoder, 64) == [32] * 3 and attended_sides(model.coarse_decoder, 32) == [32] * 4
    discriminator = sum(parameter.numel() for parameter in model.loss.parameters())
    assert discriminator == 2_765_633
    assert TwoLevelVQGANConfig().multipliers == config.multipliers and TwoLevelVQGANConfig().factor == 8


def test_attention_may_sit_on_both_sides_of_the_fine_grid():
    config = {"attention_resolutions": (16, 4, 8), "resolution": 16, "downsampling": 1, "coarse_downsampling": 1}
    with torch.device("meta"):
        # Larger images than the resolution that the sides are stated for.
        model = tiny(image_size=(32, 48), **config)
    assert attended_sides(model.encoder, 32) == [32, 16, 16]
    assert attended_sides(model.coarse_encoder, 16) == [16, 8, 8]
    assert attended_sides(model.coarse_decoder, 8) == [8, 8, 8, 16, 16]
    assert attended_sides(model.decoder, 16) == [16, 16, 16, 32, 32]


@settings(max_examples=12, deadline=None)
@given(st.integers(0, 2), st.integers(1, 2), st.integers(1, 2), st.integers(1, 3), st.sampled_from([1, 3]))
def test_shapes_of_codes_and_images(downsampling, coarse, rows, columns, channels):
    total = 2 ** (downsampling + coarse)
    size = (rows * total, columns * total)
    torch.manual_seed(0)
    fields = {**TINY, "downsampling": downsampling, "coarse_downsampling": coarse, "discriminator_start": 0}
    # Made for the smallest images that its discriminator takes; used for others.
    made_for = (max(total, 8), max(total, 8))
    model = TwoLevelVQGAN(TwoLevelVQGANConfig(**fields), PARTS, image_size=made_for, channels=channels).eval()
    fine = (rows * 2**coarse, columns * 2**coarse)
    assert model.code_space(size) == CodeSpace(((rows, columns), fine), 7)
    with torch.no_grad():
        codes = model.encode(torch.rand(2, channels, *size) * 2 - 1)
        images = model.decode(codes, size)
    assert codes.shape == (2, rows * columns + fine[0] * fine[1]) and 0 <= codes.min() <= codes.max() < 7
    assert images.shape == (2, channels, *size) and images.isfinite().all()


def test_codes_are_coarse_first_and_each_in_raster_order():
    model = tiny().eval()
    codes = torch.randint(7, (1, 16 + 64), generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        coarse = model.coarse_quantize.embedding.weight[codes[:, :16]].view(1, 4, 4, 5).permute(0, 3, 1, 2)
        fine = model.quantize.embedding.weight[codes[:, 16:]].view(1, 8, 8, 5).permute(0, 3, 1, 2)
        both = torch.cat([model.upsample(coarse), fine], dim=1)
        assert torch.equal(model.decode(codes, (16, 16)), model.decoder(model.post_quant_conv(both)))


def test_fine_codes_are_made_from_the_decoded_coarse_ones():
    model, images = tiny().eval(), images_of(16, 16)
    with torch.no_grad():
        # Larger than they begin, so that codes differ.
        for quantizer in (model.coarse_quantize, model.quantize):
            quantizer.embedding.weight.normal_(generator=torch.Generator().manual_seed(1))
        before = model.encode(images)
        model.coarse_quantize.embedding.weight.copy_(model.coarse_quantize.embedding.weight.roll(3, dims=0))
        after = model.encode(images)
        # The same vectors under other numbers: coarse codes are renamed, fine ones are the same.
        assert torch.equal(after[:, :16], (before[:, :16] + 3) % 7) and torch.equal(after[:, 16:], before[:, 16:])
        model.coarse_quantize.embedding.weight.mul_(-3)
        assert not torch.equal(model.encode(images)[:, 16:], before[:, 16:])


def test_what_is_trained_is_what_is_encoded_and_decoded():
    model, images = tiny().eval(), images_of(16, 24)
    with torch.no_grad():
        made = model.autoencode(images, step=0, generator=None)
        decoded = model.decode(model.encode(images), (16, 24))
    torch.testing.assert_close(model.decoder.conv_out(made.features), decoded, rtol=1e-4, atol=1e-5)


def test_gradients_are_those_of_the_plain_objective():
    model, images = tiny(codebook_weight=0.5).double(), images_of(16, 16).double()
    features = model.encoder.features(images)
    coarse = model.coarse_quantize(model.coarse_quant_conv(model.coarse_encoder(features)).float(), step=0, generator=None)
    decoded = model.coarse_decoder(model.coarse_post_quant_conv(coarse.latents.double()))
    latents = model.quant_conv(torch.cat([model.encoder.project(features), decoded], dim=1))
    fine = model.quantize(latents.float(), step=0, generator=None)
    both = torch.cat([model.upsample(coarse.latents.double()), fine.latents.double()], dim=1)
    reconstructions = model.decoder(model.post_quant_conv(both))
    reconstruction = (images - reconstructions).abs().mean()
    adversarial = -model.loss.discriminator(reconstructions).mean()
    last = model.decoder.conv_out.weight
    one, other = (torch.autograd.grad(term, last, retain_graph=True)[0].norm() for term in (reconstruction, adversarial))
    weight = 0.8 * (one / (other + 1e-4)).detach()
    total = reconstruction + weight * adversarial + 0.5 * (coarse.loss + fine.loss)
    own = [parameter for group in model.phase_parameters("autoencoder") for parameter in group.parameters]
    wanted = torch.autograd.grad(total, own)

    single = tiny(codebook_weight=0.5)
    terms = single({"image": images.float()}, step=5, phase="autoencoder", generator=None)
    torch.testing.assert_close(terms["adaptive_weight"].double(), weight, rtol=1e-3, atol=0)
    torch.testing.assert_close(terms["total"].detach().double(), total.detach(), rtol=1e-4, atol=0)
    for level, quantized in (("coarse", coarse), ("fine", fine)):
        logged = terms[f"{level}_codebook"] + terms[f"{level}_commitment"]
        torch.testing.assert_close(logged, quantized.loss.detach(), rtol=1e-3, atol=0)
    terms["total"].backward()
    scale = max(float(gradient.abs().max()) for gradient in wanted)
    found = [parameter.grad for group in single.phase_parameters("autoencoder") for parameter in group.parameters]
    assert len(found) == len(wanted)
    for gradient, expected in zip(found, wanted, strict=True):
        torch.testing.assert_close(gradient.double(), expected, rtol=1e-3, atol=1e-5 * scale)
    assert all(parameter.grad is None for parameter in single.loss.parameters())


@pytest.mark.parametrize(
    ("fields", "names"),
    [
        ({}, {"codebook", "commitment"}),
        ({"codebook_update": "ema"}, {"commitment"}),
        ({"quantizer": "gumbel"}, {"kl", "temperature"}),
    ],
    ids=["gradients", "ema", "gumbel"],
)
def test_both_levels_have_the_quantizer_of_the_settings(fields, names):
    model, generator = tiny(**fields), torch.Generator().manual_seed(0)
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    terms = model({"image": images_of(16, 16)}, step=0, phase="autoencoder", generator=generator)
    model.after_step(0, generator)
    names = names | {"codebook_usage", "codebook_perplexity"}
    assert {name for name in terms if name.startswith("coarse_")} == {f"coarse_{name}" for name in names}
    assert {name for name in terms if name.startswith("fine_")} == {f"fine_{name}" for name in names}
    changed = {name for name, tensor in model.state_dict().items() if not torch.equal(tensor, before[name])}
    assert ({"quantize.embedding.weight", "coarse_quantize.embedding.weight"} <= changed) == ("codebook_update" in fields)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"coarse_downsampling": 0}, "greater than or equal to 1"),
        ({"channel_multipliers": (1, 2)}, r"has 2 numbers; \(downsampling \+ coarse_downsampling\) 2 needs 3"),
        ({"attention_resolutions": (5,), "resolution": 16}, "resolution 5 never occurs; the feature maps have sides 16, 8, 4"),
        ({"resolution": 18}, r"not divisible by 4, which is 2\^\(downsampling \+ coarse_downsampling\)"),
    ],
)
def test_wrong_settings_are_refused(fields, message):
    with pytest.raises(ValidationError, match=message):
        TwoLevelVQGANConfig(**{**TINY, **fields})


def test_impossible_images_are_refused():
    config = TwoLevelVQGANConfig(**{**TINY, "attention_resolutions": (9,)})
    assert TwoLevelVQGAN.refusal(TwoLevelVQGANConfig(**TINY), image_size=(16, 20), channels=3) is None
    reason = TwoLevelVQGAN.refusal(config, image_size=(16, 16), channels=3)
    assert reason is not None and "attention resolution 9 never occurs" in reason
    # Divisible by the fine factor alone.
    reason = TwoLevelVQGAN.refusal(config, image_size=(16, 18), channels=3)
    assert reason is not None and "16×18 pixels are not divisible by 4" in reason
    with torch.device("meta"), pytest.raises(TamingplatError, match="not divisible by 4"):
        tiny(image_size=(16, 18))
    model = tiny()
    for call in (lambda: model.code_space((16, 18)), lambda: model.encode(torch.zeros(1, 3, 18, 16))):
        with pytest.raises(TamingplatError, match="not divisible by 4"):
            call()
