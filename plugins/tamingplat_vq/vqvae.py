"""VQVAE: the encoder and decoder of VQGAN, trained with a squared error and the codebook terms.

van den Oord, Vinyals and Kavukcuoglu, "Neural Discrete Representation Learning", NeurIPS 2017; Eq. 4 of Esser et al. 2021.

Shape letters: B batch, C/H/W image.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from tamingplat_vq.quantizer import code_statistics
from tamingplat_vq.tokenizer import VQTokenizer


class VQVAE(VQTokenizer):
    """A vector-quantized autoencoder without a discriminator."""

    def forward(self, batch: Any, *, step: int, phase: str, generator: torch.Generator | None) -> dict[str, Tensor]:
        """Loss terms of ``{"image": float (B, C, H, W)}``.

        ``total`` is the weighted sum of ``reconstruction``, ``perceptual``, ``codebook`` and ``commitment``, the two last
        ones already weighed by β; ``codebook_usage`` and ``codebook_perplexity`` are those of the batch.
        """
        assert phase in self.phases, phase
        images = batch["image"]
        quantized = self.quantize(self.latents(images, generator))
        reconstructions = self.decoder(self.post_quant_conv(quantized.latents), generator)
        total, terms = self.reconstruction_terms(images, reconstructions)
        return {
            "total": total + self.config.codebook_weight * (quantized.codebook + quantized.commitment),
            **terms,
            "codebook": quantized.codebook.detach(),
            "commitment": quantized.commitment.detach(),
            **code_statistics(quantized.codes, self.config.codebook_size),
        }
