"""VQGAN: a vector-quantized autoencoder trained against a perceptual network and a patch discriminator.

Esser, Rombach and Ommer, "Taming Transformers for High-Resolution Image Synthesis", CVPR 2021, Sec. 3.1.

Shape letters: B batch, C/H/W image.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from tamingplat.interfaces import Config
from tamingplat_vq.adversarial import AdversarialTokenizer, Adversary, Autoencoded
from tamingplat_vq.config import VQGANConfig
from tamingplat_vq.quantizer import code_statistics
from tamingplat_vq.reconstruction import ReconstructionLoss
from tamingplat_vq.tokenizer import VQTokenizer


class VQGAN(AdversarialTokenizer, VQTokenizer):
    """A vector-quantized autoencoder and its discriminator, trained in turn."""

    config: VQGANConfig

    def __init__(self, config: Config, parts: Mapping[str, Any], *, image_size: tuple[int, int], channels: int) -> None:
        assert isinstance(config, VQGANConfig)
        # First of all, because it knows every reason to refuse.
        reconstruction = ReconstructionLoss(config, parts, image_size=image_size, channels=channels)
        super().__init__(config, parts, image_size=image_size, channels=channels)
        self.reconstruction = reconstruction
        self.loss = Adversary(config, channels)

    def autoencode(self, images: Tensor, *, step: int, generator: torch.Generator | None) -> Autoencoded:
        """See ``AdversarialTokenizer``; ``codebook_usage`` and ``codebook_perplexity`` are those of the batch."""
        quantized = self.quantize(self.latents(images, generator), step=step, generator=generator)
        features = self.decoder.features(self.post_quant_conv(quantized.latents), generator)
        usage = code_statistics(quantized.codes, self.quantize.size)
        return Autoencoded(features, quantized.loss, {**quantized.terms, **usage})
