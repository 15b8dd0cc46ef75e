"""VQVAE and VQGAN as tokenizers: sizes, names, shapes, determinism, round trips."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import load_file, save_file
from tamingplat_perceptual.none import NoDistance
from tamingplat_vq.config import VQGANConfig, VQVAEConfig
from tamingplat_vq.vqgan import VQGAN
from tamingplat_vq.vqvae import VQVAE

from tamingplat.interfaces import CodeSpace, NoConfig, TamingplatError

PARTS = {"perceptual": NoDistance(NoConfig(), {})}
TINY = {
    "codebook_size": 11,
    "embedding_dim": 5,
    "latent_channels": 6,
    "channels": 4,
    "norm_groups": 2,
    "residual_blocks": 1,
    "perceptual": "none",
}


def tiny(cls=VQVAE, *, image_size=(16, 16), channels=3, seed=0, **fields):
    settings_of = VQGANConfig if cls is VQGAN else VQVAEConfig
    small = {"discriminator_channels": 4, "discriminator_layers": 1} if cls is VQGAN else {}
    torch.manual_seed(seed)
    return cls(settings_of(**{**TINY, **small, **fields}), PARTS, image_size=image_size, channels=channels)


def parameters(module):
    return sum(parameter.numel() for parameter in module.parameters())


def test_the_default_sizes_are_the_published_ones():
    with torch.device("meta"):
        model = VQGAN(VQGANConfig(perceptual="none"), PARTS, image_size=(256, 256), channels=3)
    assert parameters(model.encoder) == 29_298_176
    assert parameters(model.decoder) == 42_449_795
    assert parameters(model.loss.discriminator) == 2_765_633
    assert parameters(model.quantize) == 1024 * 256
    assert parameters(model.quant_conv) == parameters(model.post_quant_conv) == 256 * 256 + 256
    # One attention block after each residual block of the lowest resolution, and one in the middle.
    attention = [name for name in model.state_dict() if name.endswith("proj_out.weight")]
    assert sum(name.startswith("encoder.") for name in attention) == 3
    assert sum(name.startswith("decoder.") for name in attention) == 4


def test_both_objectives_have_the_same_autoencoder():
    vqvae, vqgan = tiny(VQVAE, downsampling=1), tiny(VQGAN, downsampling=1)
    names = set(vqvae.state_dict())
    assert names == {name for name in vqgan.state_dict() if not name.startswith("loss.discriminator.")}
    assert names < set(vqgan.state_dict())
    assert {name.split(".")[0] for name in names} == {"encoder", "decoder", "quantize", "quant_conv", "post_quant_conv"}


@settings(max_examples=25, deadline=None)
@given(
    downsampling=st.integers(0, 3),
    rows=st.integers(1, 5),
    columns=st.integers(1, 5),
    batch=st.integers(1, 3),
    channels=st.integers(1, 4),
    blocks=st.integers(1, 2),
    attends=st.booleans(),
)
def test_shapes_of_codes_and_images(downsampling, rows, columns, batch, channels, blocks, attends):
    factor = 2**downsampling
    size = (rows * factor, columns * factor)
    model = tiny(
        image_size=(2 * factor, 2 * factor),
        channels=channels,
        downsampling=downsampling,
        residual_blocks=blocks,
        attention_resolutions=(2, 2 * factor) if attends else (),
    ).eval()
    space = model.code_space(size)
    assert space == CodeSpace(((rows, columns),), 11)
    with torch.no_grad():
        codes = model.encode(torch.rand(batch, channels, *size) * 2 - 1)
        images = model.decode(codes, size)
    assert codes.dtype == torch.int64 and codes.shape == (batch, space.length)
    assert codes.min() >= 0 and codes.max() < 11
    assert images.shape == (batch, channels, *size) and images.dtype == torch.float32 and images.isfinite().all()


def test_encode_is_deterministic_and_independent_of_the_batch():
    model = tiny(downsampling=2, dropout=0.5).eval()
    images = torch.rand(4, 3, 16, 16, generator=torch.Generator().manual_seed(0)) * 2 - 1
    with torch.no_grad():
        codes = model.encode(images)
        assert torch.equal(model.encode(images), codes)
        assert torch.equal(torch.cat([model.encode(image[None]) for image in images]), codes)
    assert len(codes.unique()) > 1


def test_codes_are_in_raster_order():
    model = tiny(downsampling=1).eval()
    with torch.no_grad():
        codes = torch.randint(11, (1, 64), generator=torch.Generator().manual_seed(0))
        vectors = model.quantize.lookup(codes.view(1, 8, 8))
        assert torch.equal(vectors[0, :, 2, 5], model.quantize.embedding.weight[codes[0, 2 * 8 + 5]])
        wanted = model.decoder(model.post_quant_conv(vectors))
        assert torch.equal(model.decode(codes, (16, 16)), wanted)


@pytest.mark.parametrize("cls", [VQVAE, VQGAN])
def test_state_round_trips_through_a_file(cls, tmp_path):
    model, other = tiny(cls, downsampling=2).eval(), tiny(cls, downsampling=2, seed=1).eval()
    images = torch.rand(2, 3, 16, 16, generator=torch.Generator().manual_seed(0)) * 2 - 1
    save_file(model.state_dict(), tmp_path / "model.safetensors")
    other.load_state_dict(load_file(tmp_path / "model.safetensors"))
    with torch.no_grad():
        codes = model.encode(images)
        assert torch.equal(other.encode(images), codes)
        assert torch.equal(other.decode(codes, (16, 16)), model.decode(codes, (16, 16)))


@pytest.mark.parametrize("size", [(18, 16), (16, 0)])
def test_indivisible_images_are_refused(size):
    model = tiny(downsampling=2)
    with pytest.raises(TamingplatError, match="not divisible by 4"):
        model.code_space(size)
    if 0 not in size:
        with pytest.raises(TamingplatError, match="not divisible by 4"):
            model.encode(torch.zeros(1, 3, *size))


def test_the_perceptual_network_is_no_part_of_the_state():
    model = tiny()
    assert model.reconstruction.perceptual is PARTS["perceptual"]
    assert not any("perceptual" in name for name in model.state_dict())
