"""What the vector-quantized tokenizers with one grid of codes share: images to codes and back.

Shape letters: B batch, C/H/W image, D embedding, h/w code grid, N = h·w codes.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from tamingplat.interfaces import CodeSpace, Config, TamingplatError
from tamingplat.interfaces.models import Tokenizer
from tamingplat_vq.config import AutoencoderConfig
from tamingplat_vq.layers.encoder_decoder import Architecture, Decoder, Encoder
from tamingplat_vq.quantizer import make_quantizer
from tamingplat_vq.tiles import TiledNetwork


class VQTokenizer(Tokenizer):
    """An encoder, a codebook and a decoder; module names are those of the published checkpoints.

    Raises:
        TamingplatError: Images of this size or with so many channels are impossible; nothing was allocated yet.
    """

    tiles: ClassVar[bool] = True

    def __init__(self, config: Config, parts: Mapping[str, Any], *, image_size: tuple[int, int], channels: int) -> None:
        super().__init__(config, parts, image_size=image_size, channels=channels)
        assert isinstance(config, AutoencoderConfig)
        self.config = config
        faults = list(config.image_faults(image_size, channels))
        if faults:
            raise TamingplatError("; ".join(faults))
        architecture = Architecture(
            widths=tuple(config.channels * multiplier for multiplier in config.multipliers),
            first_width=config.channels,
            residual_blocks=config.residual_blocks,
            attended=config.attended_levels(image_size),
            latent_channels=config.z_channels,
            image_channels=channels,
            norm_groups=config.norm_groups,
            dropout=config.dropout,
        )
        self.encoder = Encoder(architecture)
        self.decoder = Decoder(architecture)
        self.quantize = make_quantizer(config)
        self.quant_conv = nn.Conv2d(config.z_channels, config.embedding_dim, 1)
        self.post_quant_conv = nn.Conv2d(config.embedding_dim, config.z_channels, 1)

    @classmethod
    def refusal(cls, config: Config, *, image_size: tuple[int, int], channels: int) -> str | None:
        """Why this tokenizer cannot take such images, with the remedy; ``None`` where it can. Allocates nothing."""
        assert isinstance(config, AutoencoderConfig)
        return "; ".join(config.image_faults(image_size, channels)) or None

    def after_step(self, step: int, generator: torch.Generator) -> None:
        """What the quantizer does behind an optimizer step."""
        self.quantize.after_step(step, generator)

    def code_space(self, image_size: tuple[int, int]) -> CodeSpace:
        """One grid, f times coarser than an image of height and width ``image_size``.

        Raises:
            TamingplatError: The image is not divisible by f.
        """
        factor, (height, width) = self.config.factor, image_size
        if height % factor or width % factor or not height or not width:
            raise TamingplatError(f"images of {height}×{width} pixels are not divisible by {factor}, which is 2^downsampling")
        return CodeSpace(((height // factor, width // factor),), self.config.codebook_size)

    def latents(self, images: Tensor, generator: torch.Generator | None = None) -> Tensor:
        """float (B, C, H, W) in [-1, 1] to what is quantized, (B, D, h, w); ``generator`` draws the dropout."""
        latents: Tensor = self.quant_conv(self.encoder(images, generator))
        return latents

    def encode(self, images: Tensor) -> Tensor:
        """float (B, C, H, W) in [-1, 1] to int64 (B, N) in raster order.

        Raises:
            TamingplatError: The images are not divisible by f.
        """
        size = (images.shape[2], images.shape[3])
        self.code_space(size)
        if (network := TiledNetwork.of(self, size, images.device)) is None:
            return self.quantize.codes(self.latents(images)).flatten(1)
        latents = [network.encode(self.encoder, image).to(images.device) for image in torch.split(images, 1)]
        return torch.cat([self.quantize.codes(self.quant_conv(image)).flatten(1) for image in latents])

    def decode(self, codes: Tensor, image_size: tuple[int, int]) -> Tensor:
        """int64 (B, N) in raster order to float (B, C, H, W), nominally in [-1, 1] and not clamped.

        Raises:
            TamingplatError: The images are not divisible by f.
        """
        space = self.code_space(image_size)
        assert codes.shape[1] == space.length, f"{codes.shape[1]} codes for a grid of {space.grids[0]}"
        vectors = self.post_quant_conv(self.quantize.lookup(codes.view(-1, *space.grids[0])))
        if (network := TiledNetwork.of(self, image_size, codes.device)) is None:
            images: Tensor = self.decoder(vectors)
            return images
        return torch.cat([network.decode(self.decoder, latents) for latents in torch.split(vectors, 1)]).to(codes.device)
