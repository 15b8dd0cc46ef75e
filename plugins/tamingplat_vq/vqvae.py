"""VQVAE: the encoder and decoder of VQGAN, trained with a squared error and the codebook terms.

van den Oord, Vinyals and Kavukcuoglu, "Neural Discrete Representation Learning", NeurIPS 2017; Eq. 4 of Esser et al. 2021.

Shape letters: B batch, C/H/W image.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from tamingplat.interfaces import Config
from tamingplat_vq.config import VQConfig
from tamingplat_vq.quantizer import code_statistics
from tamingplat_vq.reconstruction import ReconstructionLoss
from tamingplat_vq.tokenizer import VQTokenizer


class VQVAE(VQTokenizer):
    """A vector-quantized autoencoder without a discriminator."""

    def __init__(self, config: Config, parts: Mapping[str, Any], *, image_size: tuple[int, int], channels: int) -> None:
        assert isinstance(config, VQConfig)
        # First of all, because it knows every reason to refuse.
        reconstruction = ReconstructionLoss(config, parts, image_size=image_size, channels=channels)
        super().__init__(config, parts, image_size=image_size, channels=channels)
        self.reconstruction = reconstruction

    def forward(self, batch: Any, *, step: int, phase: str, generator: torch.Generator | None) -> dict[str, Tensor]:
        """Loss terms of ``{"image": float (B, C, H, W)}``.

        ``total`` is the weighted sum of ``reconstruction``, ``perceptual`` and the quantizer's terms, ``codebook`` and
        ``commitment`` (already weighed by β) or ``kl`` (in nats, beside the ``temperature``); ``codebook_usage`` and
        ``codebook_perplexity`` are those of the batch.
        """
        assert phase in self.phases, phase
        images = batch["image"]
        quantized = self.quantize(self.latents(images, generator), step=step, generator=generator)
        reconstructions = self.decoder(self.post_quant_conv(quantized.latents), generator)
        total, terms = self.reconstruction.terms(images, reconstructions)
        return {
            "total": total + self.config.codebook_weight * quantized.loss,
            **terms,
            **quantized.terms,
            **code_statistics(quantized.codes, self.quantize.size),
        }
