"""VQGAN against what the reference implementation computes from a small random checkpoint in the published layout."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from tamingplat_perceptual.none import NoDistance
from tamingplat_vq.config import VQGANConfig
from tamingplat_vq.losses import discriminator_loss
from tamingplat_vq.vqgan import VQGAN

from tamingplat.interfaces import NoConfig

FIXTURES = Path(__file__).parents[1] / "fixtures" / "parity"


@pytest.fixture(scope="module")
def expected():
    return load_file(FIXTURES / "vqgan_expected.safetensors")


def build(**fields):
    sizes = json.loads((FIXTURES / "vqgan.json").read_text())
    network, loss = sizes["ddconfig"], sizes["loss"]
    settings = {
        "codebook_size": sizes["n_embed"],
        "embedding_dim": sizes["embed_dim"],
        "latent_channels": network["z_channels"],
        "downsampling": len(network["ch_mult"]) - 1,
        "channels": network["ch"],
        "channel_multipliers": tuple(network["ch_mult"]),
        "residual_blocks": network["num_res_blocks"],
        "attention_resolutions": tuple(network["attn_resolutions"]),
        "resolution": network["resolution"],
        "perceptual": "none",
        "discriminator_start": loss["disc_start"],
        "discriminator_weight": loss["disc_weight"],
        "discriminator_channels": loss["disc_ndf"],
        "discriminator_layers": loss["disc_num_layers"],
    }
    config = VQGANConfig(**{**settings, **fields})
    # As published models were trained, without being told: β on the codebook term, and δ = 1e-4.
    assert config.commitment_placement == "reference" and config.adaptive_weight_delta == 1e-4
    built = VQGAN(config, {"perceptual": NoDistance(NoConfig(), {})}, image_size=(32, 32), channels=3)
    checkpoint = torch.load(FIXTURES / "vqgan.ckpt", weights_only=True, map_location="cpu")
    built.load_state_dict(checkpoint["state_dict"])
    return built.eval()


@pytest.fixture(scope="module")
def model():
    return build()


def spread(tensor):
    return float(tensor.max() - tensor.min())


def test_every_step_from_image_to_reconstruction(model, expected):
    images = expected["image"]
    with torch.no_grad():
        latents = model.latents(images)
        quantized = model.quantize(latents, step=0, generator=None)
        codes = model.encode(images)
        reconstructions = model.decode(codes, (32, 32))
    assert torch.equal(quantized.codes, expected["codes"])
    assert torch.equal(codes, expected["codes"].flatten(1))
    for given, name in ((latents, "pre_quant"), (quantized.latents, "quantized"), (reconstructions, "reconstruction")):
        torch.testing.assert_close(given, expected[name], rtol=0, atol=1e-5 * spread(expected[name]))


@pytest.mark.parametrize("step", [0, 100])
def test_terms_of_the_autoencoder(model, expected, step):
    terms = model({"image": expected["image"]}, step=step, phase="autoencoder", generator=None)
    torch.testing.assert_close(terms["codebook"] + terms["commitment"], expected["codebook_loss"], rtol=1e-5, atol=0)
    torch.testing.assert_close(terms["codebook"], terms["commitment"] / 4)
    torch.testing.assert_close(terms["reconstruction"], expected[f"nll_loss_step{step}"], rtol=1e-5, atol=0)
    torch.testing.assert_close(terms["total"].detach(), expected[f"autoencoder_loss_step{step}"], rtol=1e-5, atol=0)
    if step >= model.config.discriminator_start:
        torch.testing.assert_close(terms["adversarial"], expected["generator_loss_step100"], rtol=1e-5, atol=0)
        torch.testing.assert_close(terms["adaptive_weight"], expected["adaptive_weight_step100"], rtol=1e-5, atol=0)
    else:
        # The reference computes these two and multiplies them with zero; here they are not computed.
        assert terms["adversarial"] == 0 and terms["adaptive_weight"] == 0


def test_terms_of_the_discriminator(model, expected):
    logits = model.loss.discriminator(expected["image"])
    torch.testing.assert_close(
        logits, expected["discriminator_logits_real"], rtol=0, atol=1e-5 * spread(expected["discriminator_logits_real"])
    )
    terms = model({"image": expected["image"]}, step=100, phase="discriminator", generator=None)
    torch.testing.assert_close(terms["total"].detach(), expected["discriminator_loss_hinge_step100"], rtol=1e-5, atol=0)
    torch.testing.assert_close(terms["logits_real"], logits.mean())
    fake = model.loss.discriminator(expected["reconstruction"])
    torch.testing.assert_close(
        discriminator_loss(logits, fake, "vanilla"), expected["discriminator_loss_vanilla_step100"], rtol=1e-5, atol=0
    )


def test_the_discriminator_rests_before_its_start(model, expected):
    assert tuple(model.phases_at(99)) == ("autoencoder",)
    assert tuple(model.phases_at(100)) == ("autoencoder", "discriminator")
    assert expected["discriminator_loss_hinge_step0"] == 0


def test_no_golden_tensor_is_left_out(model, expected):
    """Every scalar by name; the reference computes the adversarial figures of step 0 too and multiplies them with zero, so that
    a discriminator that starts at once has them."""
    found = {}
    for step, of in ((0, build(discriminator_start=0)), (100, model)):
        terms = of({"image": expected["image"]}, step=step, phase="autoencoder", generator=None)
        found |= {
            f"generator_loss_step{step}": terms["adversarial"],
            f"adaptive_weight_step{step}": terms["adaptive_weight"],
        }
    for step in (0, 100):
        terms = model({"image": expected["image"]}, step=step, phase="autoencoder", generator=None)
        found |= {
            f"autoencoder_loss_step{step}": terms["total"].detach(),
            f"nll_loss_step{step}": terms["reconstruction"],
            "codebook_loss": terms["codebook"] + terms["commitment"],
        }
    for kind, step in (("hinge", 0), ("hinge", 100), ("vanilla", 100)):
        of, total = build(discriminator_loss=kind), torch.zeros(())
        if "discriminator" in of.phases_at(step):
            total = of({"image": expected["image"]}, step=step, phase="discriminator", generator=None)["total"].detach()
        found[f"discriminator_loss_{kind}_step{step}"] = total
    tensors = {"image", "pre_quant", "codes", "quantized", "reconstruction", "discriminator_logits_real"}
    assert set(expected) == set(found) | tensors
    for name, value in found.items():
        torch.testing.assert_close(value, expected[name], rtol=1e-5, atol=0, msg=lambda text, name=name: f"{name}: {text}")
