"""Settings of VQVAE and VQGAN: defaults, and what they refuse before anything is allocated."""

from __future__ import annotations

import subprocess
import sys

import pytest
import torch
from pydantic import ValidationError
from tamingplat_perceptual import plugin as perceptual_plugin
from tamingplat_perceptual.none import NoDistance
from tamingplat_vq import config as settings
from tamingplat_vq import plugin
from tamingplat_vq.config import VQConfig, VQGANConfig, VQVAEConfig
from tamingplat_vq.vqgan import VQGAN
from tamingplat_vq.vqvae import VQVAE

from tamingplat.interfaces import NoConfig, TamingplatError
from tamingplat.interfaces.models import INTERFACES


@pytest.mark.parametrize(
    ("downsampling", "multipliers"),
    [(0, (1,)), (1, (1, 2)), (2, (1, 2, 4)), (3, (1, 1, 2, 4)), (4, (1, 1, 2, 2, 4)), (5, (1, 1, 2, 2, 4, 4))],
)
def test_default_multipliers(downsampling, multipliers):
    config = VQGANConfig(downsampling=downsampling)
    assert config.multipliers == multipliers
    assert config.factor == 2**downsampling
    assert config.attended_levels((256, 256)) == (downsampling,)


def test_attention_sits_where_the_configured_resolution_says():
    config = VQConfig(downsampling=2, attention_resolutions=(16, 8), resolution=32)
    assert config.attended_levels((64, 64)) == (1, 2)
    free = VQConfig(downsampling=2, attention_resolutions=(16, 8))
    assert free.attended_levels((64, 64)) == (2,)
    assert free.attended_levels((64, 32)) == (1, 2)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"downsampling": 2, "channel_multipliers": (1, 2)}, "channel_multipliers has 2 numbers; downsampling 2 needs 3"),
        ({"channels": 48}, "a width of 48 channels is not divisible by norm_groups 32"),
        ({"attention_resolutions": (24,), "resolution": 256}, "attention resolution 24 never occurs; .* 256, 128, 64, 32, 16"),
        ({"resolution": 40}, "a side of 40 pixels is not divisible by 16"),
        ({"downsampling": 1, "channel_multipliers": (1, 0)}, "must be positive"),
        ({"codebok_size": 3}, "codebok_size"),
        ({"commitment_placement": "mine"}, "commitment_placement"),
    ],
)
def test_wrong_settings_are_refused(fields, message):
    with pytest.raises(ValidationError, match=message):
        VQGANConfig(**fields)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"quantizer": "gumbel", "commitment": 0.5}, 'commitment means nothing to quantizer = "gumbel"'),
        ({"quantizer": "gumbel", "codebook_update": "ema"}, 'codebook_update means nothing to quantizer = "gumbel"'),
        ({"quantizer": "gumbel", "revive_after": 5}, 'revive_after means nothing to quantizer = "gumbel"'),
        ({"quantizer": "gumbel", "quantizer_reduction": "sum"}, 'quantizer_reduction means nothing to quantizer = "gumbel"'),
        ({"gumbel_relaxation": "soft"}, 'gumbel_relaxation means nothing to quantizer = "nearest"'),
        ({"gumbel_kl_weight": 0.1}, 'gumbel_kl_weight means nothing to quantizer = "nearest"'),
        ({"codebook_decay": 0.9}, 'codebook_decay means nothing to codebook_update = "gradient"'),
        ({"quantizer": "gumbel", "gumbel_temperature_end": 1.0}, "gumbel_temperature_end is above gumbel_temperature_start"),
        ({"revive_after": 0}, "revive_after"),
        ({"codebook_update": "ema", "codebook_decay": 1.0}, "codebook_decay"),
        ({"quantizer": "gumbel", "gumbel_temperature_end": 0.0}, "gumbel_temperature_end"),
    ],
)
def test_settings_of_another_quantizer_are_refused(fields, message):
    with pytest.raises(ValidationError, match=message):
        VQGANConfig(**fields)


def test_moving_averages_have_no_codebook_term_to_weigh():
    with pytest.raises(ValidationError, match='commitment_placement = "reference" needs a codebook term'):
        VQVAEConfig(codebook_update="ema", commitment_placement="reference")
    # VQGAN's default is the reference's, and means nothing there.
    assert VQGANConfig(codebook_update="ema").commitment_placement == "reference"


@pytest.mark.parametrize("fields", [{}, {"codebook_update": "ema", "codebook_decay": 0.9}, {"quantizer": "gumbel"}])
@pytest.mark.parametrize("cls", [VQVAEConfig, VQGANConfig])
def test_all_settings_written_out_are_the_same_settings(cls, fields):
    config = cls(**fields)
    assert cls(**config.model_dump(mode="json")) == config


def test_all_faults_are_told_at_once():
    with pytest.raises(ValidationError, match=r"has 1 numbers.*48 channels.*never occurs"):
        VQGANConfig(channel_multipliers=(1,), channels=48, attention_resolutions=(7,), resolution=256)


@pytest.mark.parametrize(
    ("fields", "image_size", "channels", "message"),
    [
        ({"downsampling": 4}, (40, 64), 3, "40×64 pixels are not divisible by 16"),
        ({"attention_resolutions": (9,)}, (64, 64), 3, "attention resolution 9 never occurs"),
        ({"perceptual": "st-alex"}, (16, 64), 3, "st-alex needs images of at least 24 pixels, not 16×64"),
        ({"perceptual": "lpips-alex", "downsampling": 2}, (24, 24), 3, "lpips-alex needs images of at least 31 pixels"),
        ({"perceptual": "lpips-vgg"}, (64, 64), 2, 'takes images of 1 or 3 channels, not 2; set perceptual = "none"'),
        ({"perceptual": "none", "downsampling": 1}, (16, 16), 3, "discriminator with 3 layers needs images of at least 24"),
    ],
)
def test_impossible_images_are_refused(fields, image_size, channels, message):
    reason = VQGAN.refusal(VQGANConfig(**fields), image_size=image_size, channels=channels)
    assert reason is not None and message in reason


def test_every_reason_is_told_at_once():
    reason = VQGAN.refusal(VQGANConfig(perceptual="st-vgg"), image_size=(20, 20), channels=4)
    assert reason is not None
    for part in ("not divisible by 16", "3 channels, not 4", "at least 24 pixels", "discriminator with 3 layers"):
        assert part in reason


@pytest.mark.parametrize(
    ("cls", "config", "image_size", "channels"),
    [
        (VQGAN, VQGANConfig(), (256, 256), 3),
        (VQGAN, VQGANConfig(downsampling=2, perceptual="st-alex"), (24, 24), 3),
        (VQGAN, VQGANConfig(perceptual="st-alex", perceptual_weight=0), (64, 64), 2),
        (VQGAN, VQGANConfig(perceptual="st-alex"), (64, 64), 1),
        (VQVAE, VQVAEConfig(downsampling=1), (2, 6), 4),
    ],
)
def test_possible_images_are_not_refused(cls, config, image_size, channels):
    assert cls.refusal(config, image_size=image_size, channels=channels) is None


class NamedDifferently(NoDistance):
    """A perceptual network that no list knows."""

    @property
    def default_weight(self):
        return 1.0

    @property
    def minimum_size(self):
        return 40


def test_the_built_network_has_the_last_word():
    config = VQVAEConfig(downsampling=2, channels=32, perceptual="mine")
    assert VQVAE.refusal(config, image_size=(32, 32), channels=2) is None
    with (
        torch.device("meta"),
        pytest.raises(TamingplatError, match=r"mine takes images of 1 or 3 channels, not 2;.*mine needs images of at least 40"),
    ):
        VQVAE(config, {"perceptual": NamedDifferently(NoConfig(), {})}, image_size=(32, 32), channels=2)


def test_the_listed_sizes_of_perceptual_networks_are_theirs():
    import importlib

    found = {}
    for component in perceptual_plugin.tamingplat_components():
        module, _, name = component.factory.partition(":")
        cls = getattr(importlib.import_module(module), name)
        assert issubclass(cls, INTERFACES[component.kind])
        built = cls(component.config(), {})
        if component.kind == "perceptual" and component.name != "none":
            found[component.name] = built.minimum_size
            assert built.default_weight > 0 and built.name == component.name
            assert component.family == ("stlpips" if component.name.startswith("st-") else "lpips")
    assert found == settings._SMALLEST


def test_plugins_are_listed_without_torch():
    program = (
        "import sys, tamingplat_vq.plugin as a, tamingplat_perceptual.plugin as b\n"
        "print(len(a.tamingplat_components()), len(b.tamingplat_components()), 'torch' in sys.modules)"
    )
    result = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert result.stdout.split() == ["4", "7", "False"]


def test_training_defaults_are_the_published_ones():
    for component in plugin.tamingplat_components():
        training = component.training
        assert training is not None
        assert (training.optimizer, training.betas, training.weight_decay) == ("adam", (0.5, 0.9), 0)
        assert training.learning_rate == pytest.approx(4.5e-6 * training.batch_size)


def test_the_two_objectives_differ_in_what_is_named():
    vqvae, vqgan = VQVAEConfig(), VQGANConfig()
    assert (vqvae.pixel_loss, vqvae.perceptual.use, vqvae.commitment_placement) == ("l2", "none", "paper")
    assert (vqgan.pixel_loss, vqgan.perceptual.use, vqgan.commitment_placement) == ("l1", "lpips-vgg", "reference")
