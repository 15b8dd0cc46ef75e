"""The segmentation tokenizer: label maps to codes and back, trained with a cross-entropy and no discriminator.

Esser, Rombach and Ommer, "Taming Transformers for High-Resolution Image Synthesis", CVPR 2021, Sec. 4.1: the tokenizer of
semantic layouts that image synthesis is conditioned on. Encoder, decoder and codebook are VQGAN's, with one input and one
output channel per class; names of parameters are those of published checkpoints.

Shape letters: B batch, C classes, H/W label map, N codes.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

import torch
from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits
from torch.nn.functional import cross_entropy as categorical_cross_entropy

from tamingplat.interfaces import Config, TamingplatError
from tamingplat_vq.quantizer import code_statistics
from tamingplat_vq.segmentation_config import SegmentationConfig
from tamingplat_vq.tokenizer import VQTokenizer


def cross_entropy(logits: Tensor, labels: Tensor, kind: Literal["categorical", "binary"]) -> Tensor:
    """Mean cross-entropy in nats, computed in float32.

    Args:
        logits: float (B, C, H, W).
        labels: One-hot float (B, C, H, W).
        kind: ``categorical`` takes a softmax over classes and averages over pixels; ``binary`` takes a sigmoid for each class
            and averages over pixels and classes.
    """
    logits, labels = logits.float(), labels.float()
    if kind == "categorical":
        return categorical_cross_entropy(logits, labels)
    return binary_cross_entropy_with_logits(logits, labels)


class VQSegmentation(VQTokenizer):
    """A vector-quantized autoencoder of label maps, one-hot float (B, C, H, W) in {0, 1}.

    Wherever images are asked for, these label maps are meant. The first ones that an object is given are looked at, and refused
    where they are not one-hot; later ones are not, because that would wait for the device.
    """

    config: SegmentationConfig

    def __init__(self, config: Config, parts: Mapping[str, Any], *, image_size: tuple[int, int], channels: int) -> None:
        assert isinstance(config, SegmentationConfig)
        super().__init__(config, parts, image_size=image_size, channels=channels)
        self._checked = False

    def forward(self, batch: Any, *, step: int, phase: str, generator: torch.Generator | None) -> dict[str, Tensor]:
        """Loss terms of ``{"image": one-hot float (B, C, H, W)}``.

        ``total`` is ``cross_entropy``, in nats, plus the quantizer's terms times ``codebook_weight``; those are logged already
        weighed by β. ``pixel_accuracy`` is the share of pixels whose most likely class is the right one; ``codebook_usage`` and
        ``codebook_perplexity`` are those of the batch.

        Raises:
            TamingplatError: The first label maps are not one-hot.
        """
        assert phase in self.phases, phase
        labels = batch["image"]
        self._require_one_hot(labels)
        quantized = self.quantize(self.latents(labels, generator), step=step, generator=generator)
        logits = self.decoder(self.post_quant_conv(quantized.latents), generator)
        entropy = cross_entropy(logits, labels, self.config.cross_entropy)
        return {
            "total": entropy + self.config.codebook_weight * quantized.loss,
            "cross_entropy": entropy.detach(),
            "pixel_accuracy": (logits.argmax(dim=1) == labels.argmax(dim=1)).float().mean(),
            **quantized.terms,
            **code_statistics(quantized.codes, self.quantize.size),
        }

    def encode(self, images: Tensor) -> Tensor:
        """One-hot float (B, C, H, W) to int64 (B, N) in raster order.

        Raises:
            TamingplatError: The label maps are not divisible by f, or the first ones are not one-hot.
        """
        self._require_one_hot(images)
        return super().encode(images)

    def logits(self, codes: Tensor, image_size: tuple[int, int]) -> Tensor:
        """int64 (B, N) in raster order to float (B, C, H, W): unnormalised log-probabilities of the classes, or the log-odds of
        each where ``cross_entropy`` is ``binary``.

        Raises:
            TamingplatError: The label map is not divisible by f.
        """
        return super().decode(codes, image_size)

    def decode(self, codes: Tensor, image_size: tuple[int, int]) -> Tensor:
        """int64 (B, N) in raster order to the most likely class of every pixel, one-hot float (B, C, H, W).

        Raises:
            TamingplatError: The label map is not divisible by f.
        """
        logits = self.logits(codes, image_size)
        return torch.zeros_like(logits).scatter_(1, logits.argmax(dim=1, keepdim=True), 1.0)

    def _require_one_hot(self, labels: Tensor) -> None:
        if self._checked or labels.is_meta:
            return
        one_hot = ((labels == 0) | (labels == 1)).all() & (labels.sum(dim=1) == 1).all()
        if not one_hot:
            raise TamingplatError(
                "a segmentation tokenizer takes one-hot label maps, at every pixel 1 in the channel of its class and 0 in all "
                f"others; in these {labels.shape[1]} channels, with values from {float(labels.min()):g} to "
                f"{float(labels.max()):g}, some pixels are not so. Give it label maps, or use a tokenizer of images"
            )
        self._checked = True
