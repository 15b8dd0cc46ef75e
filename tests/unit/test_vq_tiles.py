"""Encoding and decoding in tiles: nothing but rounding may change."""

from __future__ import annotations

import pytest
import torch
from tamingplat_vq.config import VQVAEConfig
from tamingplat_vq.layers.encoder_decoder import Architecture, Decoder, Encoder
from tamingplat_vq.segmentation import VQSegmentation
from tamingplat_vq.segmentation_config import SegmentationConfig
from tamingplat_vq.tiles import TiledNetwork
from tamingplat_vq.two_level import TwoLevelVQGAN
from tamingplat_vq.two_level_config import TwoLevelVQGANConfig
from tamingplat_vq.vqvae import VQVAE

from tamingplat.interfaces.models import Tokenizer
from tamingplat.testing.standins import StandInDistance

NETWORK = {
    "codebook_size": 12,
    "embedding_dim": 4,
    "downsampling": 2,
    "channels": 8,
    "channel_multipliers": [1, 2, 2],
    "residual_blocks": 1,
    "norm_groups": 4,
}
ARCHITECTURE = Architecture((8, 16, 16), 8, 2, (1, 2), 3, 3, norm_groups=4)


def vqvae() -> VQVAE:
    torch.manual_seed(0)
    return VQVAE(VQVAEConfig.model_validate(NETWORK), {"perceptual": StandInDistance()}, image_size=(16, 16), channels=3).eval()


def images(height: int, width: int, count: int = 1) -> torch.Tensor:
    return torch.rand(count, 3, height, width, generator=torch.Generator().manual_seed(1)) * 2 - 1


@pytest.mark.parametrize("tile", [16, 24, 1000])
@pytest.mark.parametrize("size", [(40, 56), (72, 36)])
def test_networks_agree_with_whole_images_attention_included(tile: int, size: tuple[int, int]) -> None:
    torch.manual_seed(0)
    encoder, decoder = Encoder(ARCHITECTURE).eval(), Decoder(ARCHITECTURE).eval()
    tiled = TiledNetwork(tile, torch.device("cpu"))
    with torch.inference_mode():
        image = images(*size) * 3 + 0.5
        latents = encoder(image)
        assert torch.allclose(tiled.encode(encoder, image), latents, atol=2e-5)
        assert torch.allclose(tiled.decode(decoder, latents), decoder(latents), atol=1e-4)


def test_statistics_are_those_of_the_whole_image() -> None:
    # Half of it is black: tiles of their own statistics would give both halves one spread.
    torch.manual_seed(0)
    encoder = Encoder(ARCHITECTURE).eval()
    image = images(16, 64)
    image[..., 32:] = -1
    with torch.inference_mode():
        whole = encoder(image)
        alone = torch.cat([encoder(image[..., :32]), encoder(image[..., 32:])], dim=3)
        tiled = TiledNetwork(16, torch.device("cpu")).encode(encoder, image)
    assert (tiled - whole).abs().max() < 1e-5 < 0.05 < (alone - whole).abs().max()


def test_a_tokenizer_heeds_its_tile_for_larger_images_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    tokenizer = vqvae()
    encode, made = TiledNetwork.encode, []

    def counted(network: TiledNetwork, encoder: Encoder, image: torch.Tensor) -> torch.Tensor:
        made.append(image.shape)
        return encode(network, encoder, image)

    image = images(32, 48, count=2)
    with torch.inference_mode():
        codes = tokenizer.encode(image)
        whole = tokenizer.decode(codes, (32, 48))
        tokenizer.tile = 16
        monkeypatch.setattr(TiledNetwork, "encode", counted)
        assert torch.equal(tokenizer.encode(image), codes) and len(made) == 2
        assert torch.allclose(tokenizer.decode(codes, (32, 48)), whole, atol=1e-4)
        tokenizer.encode(images(16, 16))
    assert len(made) == 2


def test_label_maps_come_back_as_the_same_classes() -> None:
    torch.manual_seed(0)
    config = SegmentationConfig.model_validate({**NETWORK, "classes": 3})
    tokenizer = VQSegmentation(config, {}, image_size=(16, 16), channels=3).eval()
    labels = torch.nn.functional.one_hot(torch.randint(3, (1, 40, 24)), 3).permute(0, 3, 1, 2).float()
    with torch.inference_mode():
        codes = tokenizer.encode(labels)
        whole = tokenizer.decode(codes, (40, 24))
        tokenizer.tile = 16
        assert torch.equal(tokenizer.encode(labels), codes)
        assert (tokenizer.decode(codes, (40, 24)) == whole).float().mean() > 0.999


def two_level() -> TwoLevelVQGAN:
    """The fine grid is 2 times coarser than the image, the coarse one 8 times; both levels attend."""
    torch.manual_seed(0)
    fields = {
        **NETWORK,
        "downsampling": 1,
        "coarse_downsampling": 2,
        "channel_multipliers": [1, 2, 2, 2],
        "attention_resolutions": [8, 4],
        "perceptual": "none",
        "discriminator_channels": 4,
        "discriminator_layers": 1,
    }
    config = TwoLevelVQGANConfig.model_validate(fields)
    tokenizer = TwoLevelVQGAN(config, {"perceptual": StandInDistance()}, image_size=(16, 16), channels=3).eval()
    with torch.no_grad():
        # Larger than they begin, so that codes differ.
        for quantizer in (tokenizer.coarse_quantize, tokenizer.quantize):
            quantizer.embedding.weight.normal_(generator=torch.Generator().manual_seed(1))
    return tokenizer


@pytest.mark.parametrize("tile", [16, 24])
def test_both_levels_of_codes_agree_with_whole_images(tile: int, monkeypatch: pytest.MonkeyPatch) -> None:
    tokenizer, image, size = two_level(), images(48, 40, count=2), (48, 40)
    with torch.inference_mode():
        codes = tokenizer.encode(image)
        assert len(torch.unique(codes[:, :30])) > 2 and len(torch.unique(codes[:, 30:])) > 2
        whole = tokenizer.decode(codes, size)
        tokenizer.tile = tile
        for part in (tokenizer.encoder, tokenizer.coarse_encoder, tokenizer.coarse_decoder, tokenizer.decoder):
            monkeypatch.setattr(part, "forward", None)
        monkeypatch.setattr(tokenizer.upsample, "forward", None)
        assert torch.equal(tokenizer.encode(image), codes)
        assert torch.allclose(tokenizer.decode(codes, size), whole, atol=1e-4)


def test_both_levels_have_the_statistics_of_the_whole_image() -> None:
    # Half of it is black: tiles of their own statistics would give both halves one spread.
    tokenizer, image = two_level(), images(16, 64)
    image[..., 32:] = -1
    with torch.inference_mode():
        whole = tokenizer.encode(image)
        alone = [tokenizer.encode(half) for half in image.split(32, dim=3)]
        tokenizer.tile = 16
        tiled = tokenizer.encode(image)
    fine = torch.cat([half[:, 8:].view(8, 16) for half in alone], dim=1).flatten()
    assert torch.equal(tiled, whole) and not torch.equal(fine, whole[0, 16:])


def test_which_tokenizers_know_tiles() -> None:
    assert VQVAE.tiles and VQSegmentation.tiles and TwoLevelVQGAN.tiles and not Tokenizer.tiles
