"""The two-level VQGAN: codes on a coarse and a fine grid, in the layout of VQ-VAE-2, with the objective of VQGAN.

Esser, Rombach and Ommer, "Taming Transformers for High-Resolution Image Synthesis", CVPR 2021, Tab. 5 of the later version, the
row of 64×64 and 32×32 codes; Razavi, van den Oord and Vinyals, "Generating Diverse High-Fidelity Images with VQ-VAE-2", NeurIPS
2019, Sec. 3.1 and Algorithm 1 (whose "top" is coarse here, and "bottom" fine).

The first paper gives the row alone. From VQ-VAE-2 come: a coarse encoder that goes on from the fine encoder's features; coarse
latents quantized first; fine latents made from the fine encoding and the decoded coarse codes, quantized with a codebook of
their own; and an image decoder that sees the codes of both levels. Where neither says more, these are the choices made here:

* Both encoders and both decoders are the published encoder and decoder of VQGAN (``layers/encoder_decoder.py``). The coarse
  pair has ``coarse_downsampling`` halvings, and features of the fine encoder in the place of images. Each of the four has its
  own middle blocks, which attend.
* Widths and attention are stated for one descending list of resolutions, from the image to the coarse grid. The fine pair has
  its first downsampling + 1 entries, the coarse pair the rest and, again, the one at the fine grid's resolution.
* The coarse encoder takes the fine encoder's features before their last normalisation, with all their channels, not the fine
  encoding of ``latent_channels``.
* The decoded coarse codes have ``latent_channels`` channels. They are concatenated with the fine encoding and mapped to
  ``embedding_dim`` by a 1×1 convolution, as in VQGAN.
* For the image decoder, coarse codes are brought to the fine grid by as many of the published upsampling blocks (nearest
  neighbour, 3×3 convolution) as there are halvings between; Algorithm 1 does not say how. They are concatenated with the
  fine codes, in front of the 1×1 convolution that VQGAN has there.
* Both codebooks have ``codebook_size`` codes of ``embedding_dim`` numbers and the same settings. The objective has the sum of
  both levels' codebook terms.

The names of the image encoder, the image decoder and the discriminator are those of VQGAN; no checkpoint of the two-level model
was published.

Shape letters: B batch, C/H/W image, Z latent channels, D embedding, h/w fine grid, k/l coarse grid, N = k·l + h·w codes.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, ClassVar, NamedTuple

import torch
from torch import Tensor, nn

from tamingplat.interfaces import CodeSpace, Config, TamingplatError
from tamingplat_vq.adversarial import AdversarialTokenizer, Adversary, Autoencoded
from tamingplat_vq.layers.encoder_decoder import Architecture, Decoder, Encoder, Upsample
from tamingplat_vq.quantizer import code_statistics, make_quantizer
from tamingplat_vq.reconstruction import ReconstructionLoss
from tamingplat_vq.tiles import TiledNetwork
from tamingplat_vq.two_level_config import TwoLevelVQGANConfig


class Encoded(NamedTuple):
    """What both encoders make of images.

    Attributes:
        fine: (B, Z, h, w), the fine encoding, without what the coarse codes say.
        coarse: (B, D, k, l), coarse latents, to be quantized.
    """

    fine: Tensor
    coarse: Tensor


class TwoLevelVQGAN(AdversarialTokenizer):
    """A vector-quantized autoencoder with two levels of codes, and its discriminator, trained in turn.

    Raises:
        TamingplatError: Images of this size or with so many channels are impossible; nothing was allocated yet.
    """

    tiles: ClassVar[bool] = True

    config: TwoLevelVQGANConfig

    def __init__(self, config: Config, parts: Mapping[str, Any], *, image_size: tuple[int, int], channels: int) -> None:
        assert isinstance(config, TwoLevelVQGANConfig)
        reconstruction = ReconstructionLoss(config, parts, image_size=image_size, channels=channels)
        super().__init__(config, parts, image_size=image_size, channels=channels)
        self.config = config
        self.reconstruction = reconstruction
        boundary, Z, D = config.downsampling, config.z_channels, config.embedding_dim
        widths = tuple(config.channels * multiplier for multiplier in config.multipliers)
        attended = config.attended_levels(image_size)
        fine = Architecture(
            widths=widths[: boundary + 1],
            first_width=config.channels,
            residual_blocks=config.residual_blocks,
            attended=tuple(level for level in attended if level <= boundary),
            latent_channels=Z,
            image_channels=channels,
            norm_groups=config.norm_groups,
            dropout=config.dropout,
        )
        coarse = replace(
            fine,
            widths=widths[boundary:],
            first_width=widths[boundary],
            attended=tuple(level - boundary for level in attended if level >= boundary),
        )
        self.encoder = Encoder(fine)
        self.coarse_encoder = Encoder(replace(coarse, image_channels=widths[boundary]))
        self.coarse_quant_conv = nn.Conv2d(Z, D, 1)
        self.coarse_quantize = make_quantizer(config)
        self.coarse_post_quant_conv = nn.Conv2d(D, Z, 1)
        self.coarse_decoder = Decoder(replace(coarse, image_channels=Z))
        self.quant_conv = nn.Conv2d(2 * Z, D, 1)
        self.quantize = make_quantizer(config)
        self.upsample = nn.Sequential(*(Upsample(D) for _ in range(config.coarse_downsampling)))
        self.post_quant_conv = nn.Conv2d(2 * D, Z, 1)
        self.decoder = Decoder(fine)
        self.loss = Adversary(config, channels)

    @classmethod
    def refusal(cls, config: Config, *, image_size: tuple[int, int], channels: int) -> str | None:
        """Why this tokenizer cannot take such images, with the remedy; ``None`` where it can. Allocates nothing."""
        assert isinstance(config, TwoLevelVQGANConfig)
        return "; ".join(config.image_faults(image_size, channels)) or None

    def code_space(self, image_size: tuple[int, int]) -> CodeSpace:
        """Two grids, the coarse one first, of an image of height and width ``image_size``.

        Raises:
            TamingplatError: The image is not divisible by the factor of the coarse grid.
        """
        coarse, fine, (height, width) = self.config.factor, 1 << self.config.downsampling, image_size
        if height % coarse or width % coarse or not height or not width:
            raise TamingplatError(
                f"images of {height}×{width} pixels are not divisible by {coarse}, which is "
                "2^(downsampling + coarse_downsampling)"
            )
        grids = ((height // coarse, width // coarse), (height // fine, width // fine))
        return CodeSpace(grids, self.config.codebook_size)

    def _encoded(self, images: Tensor, generator: torch.Generator | None) -> Encoded:
        features = self.encoder.features(images, generator)
        coarse = self.coarse_quant_conv(self.coarse_encoder(features, generator))
        return Encoded(self.encoder.project(features), coarse)

    def _fine_latents(self, encoding: Tensor, coarse: Tensor, generator: torch.Generator | None) -> Tensor:
        """What is quantized on the fine grid, (B, D, h, w), from (B, Z, h, w) and coarse codebook vectors (B, D, k, l)."""
        decoded = self.coarse_decoder(self.coarse_post_quant_conv(coarse), generator)
        latents: Tensor = self.quant_conv(torch.cat([encoding, decoded], dim=1))
        return latents

    def _to_decode(self, coarse: Tensor, fine: Tensor) -> Tensor:
        """What the image decoder takes, (B, Z, h, w), from codebook vectors (B, D, k, l) and (B, D, h, w)."""
        both: Tensor = self.post_quant_conv(torch.cat([self.upsample(coarse), fine], dim=1))
        return both

    def encode(self, images: Tensor) -> Tensor:
        """float (B, C, H, W) in [-1, 1] to int64 (B, N): the coarse codes in raster order, then the fine ones.

        Raises:
            TamingplatError: The images are not divisible by the factor of the coarse grid.
        """
        size = (images.shape[2], images.shape[3])
        self.code_space(size)
        if (network := TiledNetwork.of(self, size, images.device)) is not None:
            return torch.cat([self._encode_in_tiles(image, network) for image in torch.split(images, 1)])
        encoded = self._encoded(images, None)
        coarse = self.coarse_quantize.codes(encoded.coarse)
        latents = self._fine_latents(encoded.fine, self.coarse_quantize.lookup(coarse), None)
        return torch.cat([coarse.flatten(1), self.quantize.codes(latents).flatten(1)], dim=1)

    def _encode_in_tiles(self, image: Tensor, network: TiledNetwork) -> Tensor:
        """As ``encode``, of one image (1, C, H, W)."""
        device, coarser = image.device, network.coarser(1 << self.config.downsampling)
        features = network.features(self.encoder, image)
        latents = self.coarse_quant_conv(coarser.encode(self.coarse_encoder, features.values).to(device))
        coarse = self.coarse_quantize.codes(latents)
        vectors = self.coarse_post_quant_conv(self.coarse_quantize.lookup(coarse))
        both = [network.project(self.encoder, features), coarser.decode(self.coarse_decoder, vectors)]
        fine = self.quantize.codes(self.quant_conv(torch.cat(both, dim=1).to(device)))
        return torch.cat([coarse.flatten(1), fine.flatten(1)], dim=1)

    def _decode_in_tiles(self, coarse: Tensor, fine: Tensor, network: TiledNetwork) -> Tensor:
        """As ``decode``, of one image's codebook vectors (1, D, k, l) and (1, D, h, w)."""
        upsampled = network.coarser(1 << self.config.downsampling).upsample(self.upsample, coarse).to(fine.device)
        return network.decode(self.decoder, self.post_quant_conv(torch.cat([upsampled, fine], dim=1)))

    def decode(self, codes: Tensor, image_size: tuple[int, int]) -> Tensor:
        """int64 (B, N), coarse codes first, to float (B, C, H, W), nominally in [-1, 1] and not clamped.

        Raises:
            TamingplatError: The images are not divisible by the factor of the coarse grid.
        """
        space = self.code_space(image_size)
        assert codes.shape[1] == space.length, f"{codes.shape[1]} codes for grids of {space.grids}"
        coarse, fine = torch.tensor_split(codes, [space.offsets[1]], dim=1)
        vectors = (
            self.coarse_quantize.lookup(coarse.reshape(-1, *space.grids[0])),
            self.quantize.lookup(fine.reshape(-1, *space.grids[1])),
        )
        if (network := TiledNetwork.of(self, image_size, codes.device)) is not None:
            of_images = zip(*(torch.split(of_level, 1) for of_level in vectors), strict=True)
            decoded = [self._decode_in_tiles(of_coarse, of_fine, network) for of_coarse, of_fine in of_images]
            return torch.cat(decoded).to(codes.device)
        images: Tensor = self.decoder(self._to_decode(*vectors))
        return images

    def autoencode(self, images: Tensor, *, step: int, generator: torch.Generator | None) -> Autoencoded:
        """See ``AdversarialTokenizer``; the terms of each level's quantizer and codes begin with ``coarse_`` and ``fine_``."""
        encoded = self._encoded(images, generator)
        coarse = self.coarse_quantize(encoded.coarse, step=step, generator=generator)
        latents = self._fine_latents(encoded.fine, coarse.latents, generator)
        fine = self.quantize(latents, step=step, generator=generator)
        features = self.decoder.features(self._to_decode(coarse.latents, fine.latents), generator)
        terms = {
            f"{level}_{name}": term
            for level, quantized in (("coarse", coarse), ("fine", fine))
            for name, term in {**quantized.terms, **code_statistics(quantized.codes, self.config.codebook_size)}.items()
        }
        return Autoencoded(features, coarse.loss + fine.loss, terms)

    def after_step(self, step: int, generator: torch.Generator) -> None:
        """What each level's quantizer does behind an optimizer step."""
        self.coarse_quantize.after_step(step, generator)
        self.quantize.after_step(step, generator)
