"""VQGAN: a vector-quantized autoencoder trained against a perceptual network and a patch discriminator.

Esser, Rombach and Ommer, "Taming Transformers for High-Resolution Image Synthesis", CVPR 2021, Sec. 3.1.

Shape letters: B batch, C/H/W image.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, ClassVar

import torch
from torch import Tensor, nn
from torch.nn.grad import conv2d_weight

from tamingplat.interfaces import Config
from tamingplat.interfaces.models import ParameterGroup
from tamingplat_vq.config import VQGANConfig
from tamingplat_vq.discriminator import PatchDiscriminator
from tamingplat_vq.losses import adaptive_weight, discriminator_loss, with_gradient
from tamingplat_vq.quantizer import Quantized, code_statistics
from tamingplat_vq.tokenizer import VQTokenizer


class Adversary(nn.Module):
    """Holds the discriminator under the name that it has in published checkpoints."""

    def __init__(self, discriminator: PatchDiscriminator) -> None:
        super().__init__()
        self.discriminator = discriminator


class VQGAN(VQTokenizer):
    """A vector-quantized autoencoder and its discriminator, trained in turn."""

    phases: ClassVar[tuple[str, ...]] = ("autoencoder", "discriminator")

    config: VQGANConfig

    def __init__(self, config: Config, parts: Mapping[str, Any], *, image_size: tuple[int, int], channels: int) -> None:
        super().__init__(config, parts, image_size=image_size, channels=channels)
        assert isinstance(config, VQGANConfig)
        self.config = config
        self.loss = Adversary(
            PatchDiscriminator(channels, config.discriminator_channels, config.discriminator_layers, config.sync)
        )

    def phases_at(self, step: int) -> Sequence[str]:
        """Both phases from ``discriminator_start`` on, the autoencoder's alone before."""
        return self.phases if step >= self.config.discriminator_start else self.phases[:1]

    def phase_parameters(self, phase: str) -> Iterable[ParameterGroup]:
        """The discriminator's parameters in its phase, all others in the autoencoder's."""
        assert phase in self.phases, phase
        judged = phase == "discriminator"
        return (
            ParameterGroup(
                tuple(parameter for name, parameter in self.named_parameters() if name.startswith("loss.") == judged)
            ),
        )

    def forward(self, batch: Any, *, step: int, phase: str, generator: torch.Generator | None) -> dict[str, Tensor]:
        """Loss terms of ``{"image": float (B, C, H, W)}``.

        Autoencoder: ``total`` is the weighted sum of ``reconstruction`` (pixels), ``perceptual``, ``codebook`` and
        ``commitment`` (already weighed by β) and ``adversarial``, the last one times ``adaptive_weight``, which includes
        ``discriminator_weight``. ``codebook_usage`` and ``codebook_perplexity`` are those of the batch. The two adversarial
        terms are zero before ``discriminator_start``; ``adaptive_weight`` is zero too where gradients are off, in
        validation, because it is made of gradients.

        Discriminator: ``total``, and ``logits_real`` and ``logits_fake``, the means of its logits.
        """
        assert phase in self.phases_at(step), phase
        if phase == "discriminator":
            return self._discriminator_terms(batch["image"], generator)
        return self._autoencoder_terms(batch["image"], step, generator)

    def _decoder_features(self, images: Tensor, generator: torch.Generator | None) -> tuple[Quantized, Tensor]:
        quantized = self.quantize(self.latents(images, generator))
        return quantized, self.decoder.features(self.post_quant_conv(quantized.latents), generator)

    def _discriminator_terms(self, images: Tensor, generator: torch.Generator | None) -> dict[str, Tensor]:
        with torch.no_grad():
            reconstructions = self.decoder.conv_out(self._decoder_features(images, generator)[1])
        real, fake = self.loss.discriminator(images), self.loss.discriminator(reconstructions)
        total = discriminator_loss(real, fake, self.config.discriminator_loss)
        return {"total": total, "logits_real": real.detach().mean(), "logits_fake": fake.detach().mean()}

    def _autoencoder_terms(self, images: Tensor, step: int, generator: torch.Generator | None) -> dict[str, Tensor]:
        quantized, features = self._decoder_features(images, generator)
        reconstructions = self.decoder.conv_out(features)
        total, terms = self._image_terms(images, reconstructions, features.detach(), step)
        return {
            "total": total + self.config.codebook_weight * (quantized.codebook + quantized.commitment),
            **terms,
            "codebook": quantized.codebook.detach(),
            "commitment": quantized.commitment.detach(),
            **code_statistics(quantized.codes, self.config.codebook_size),
        }

    def _image_terms(
        self, images: Tensor, reconstructions: Tensor, features: Tensor, step: int
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """The terms that look at the reconstruction, differentiated down to it once.

        The adaptive weight needs the gradients of the reconstruction and of the adversarial term apart. They are taken with
        respect to the reconstruction; the last layer's follow by one convolution with its input, and the weighted sum goes
        on into the decoder. So the perceptual network and the discriminator are run backward once and not twice.
        """
        reconstructions = reconstructions.float()
        total, terms = self.reconstruction_terms(images, reconstructions)
        gradient = torch.autograd.grad(total, reconstructions)[0] if total.requires_grad else None
        adversarial = weight = torch.zeros_like(total, requires_grad=False)
        if step >= self.config.discriminator_start:
            logits = self.loss.discriminator(reconstructions)
            adversarial = -logits.mean()
            if gradient is not None:
                # Of the sum, then divided: of the mean it would be too small for half precision.
                pull = torch.autograd.grad(-logits.sum(), reconstructions)[0] / logits.numel()
                weight = self._adversarial_weight(features, gradient, pull)
                gradient = gradient + weight * pull
            elif not self.config.adaptive_weight:
                weight = weight + self.config.discriminator_weight
            total = total + weight * adversarial
        terms |= {"adversarial": adversarial.detach(), "adaptive_weight": weight}
        return (total if gradient is None else with_gradient(total, reconstructions, gradient)), terms

    def _adversarial_weight(self, features: Tensor, reconstruction: Tensor, adversarial: Tensor) -> Tensor:
        """What the adversarial term is multiplied with, given both gradients with respect to the reconstruction."""
        if not self.config.adaptive_weight:
            return reconstruction.new_tensor(self.config.discriminator_weight)
        last = self.decoder.conv_out
        with torch.no_grad(), torch.autocast(features.device.type, enabled=False):
            one, other = (
                conv2d_weight(features.float(), last.weight.shape, gradient, padding=1)  # type: ignore[no-untyped-call]
                for gradient in (reconstruction, adversarial)
            )
            return adaptive_weight(
                one,
                other,
                delta=self.config.adaptive_weight_delta,
                limit=self.config.adaptive_weight_limit,
                weight=self.config.discriminator_weight,
                sync=self.config.sync,
            )
