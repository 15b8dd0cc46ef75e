"""The adversarial objective of VQGAN, for every tokenizer that is trained against a patch discriminator.

Esser, Rombach and Ommer, "Taming Transformers for High-Resolution Image Synthesis", CVPR 2021, Sec. 3.1, Eq. 5 to 7.

The reference implementation can also show the discriminator a condition beside the image (``disc_conditional``), weigh both of
its losses once more (``disc_factor``) and normalise it without batch statistics (``use_actnorm``). Its published configurations
leave all three alone, and they are not offered here.

Shape letters: B batch, C/H/W image, F channels of the decoder's last features.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterable, Sequence
from typing import Any, ClassVar, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.grad import conv2d_weight

from tamingplat.interfaces.models import ParameterGroup, Tokenizer, without_autocast
from tamingplat_vq.config import VQGANConfig
from tamingplat_vq.discriminator import PatchDiscriminator
from tamingplat_vq.layers.encoder_decoder import Decoder
from tamingplat_vq.losses import adaptive_weight, discriminator_loss, with_gradient
from tamingplat_vq.reconstruction import ReconstructionLoss


class Autoencoded(NamedTuple):
    """What an autoencoder makes of images, down to the decoder's last layer.

    Attributes:
        features: float (B, F, H, W), what the decoder's last layer takes.
        codebook_loss: Scalar, what the quantizers add to the objective, before ``codebook_weight``.
        terms: Scalars without gradient that are logged.
    """

    features: Tensor
    codebook_loss: Tensor
    terms: dict[str, Tensor]


class Adversary(nn.Module):
    """Holds the discriminator under the name that it has in published checkpoints."""

    def __init__(self, config: VQGANConfig, channels: int) -> None:
        super().__init__()
        self.discriminator = PatchDiscriminator(
            channels, config.discriminator_channels, config.discriminator_layers, config.sync
        )


class AdversarialTokenizer(Tokenizer):
    """An autoencoder and its discriminator, trained in turn.

    Attributes:
        config: Settings of the objective, and of what derives from this.
        decoder: Its last layer is where gradients are compared (G_L of Eq. 7).
        loss: The discriminator.
        reconstruction: The terms that compare images with reconstructions.
    """

    phases: ClassVar[tuple[str, ...]] = ("autoencoder", "discriminator")

    config: VQGANConfig
    decoder: Decoder
    loss: Adversary
    reconstruction: ReconstructionLoss

    @abstractmethod
    def autoencode(self, images: Tensor, *, step: int, generator: torch.Generator | None) -> Autoencoded:
        """Encode, quantize and decode float (B, C, H, W) in [-1, 1], all but the decoder's last layer.

        Args:
            images: What is encoded.
            step: Optimizer steps taken so far.
            generator: Randomness of this step; ``None`` draws nothing.
        """

    def phases_at(self, step: int) -> Sequence[str]:
        """Both phases from ``discriminator_start`` on, the autoencoder's alone before."""
        return self.phases if step >= self.config.discriminator_start else self.phases[:1]

    def phase_parameters(self, phase: str) -> Iterable[ParameterGroup]:
        """The discriminator's parameters in its phase, all others in the autoencoder's, as far as gradients train them."""
        assert phase in self.phases, phase
        judged = phase == "discriminator"
        named = ((name, parameter) for name, parameter in self.named_parameters() if parameter.requires_grad)
        return (ParameterGroup(tuple(parameter for name, parameter in named if name.startswith("loss.") == judged)),)

    def forward(self, batch: Any, *, step: int, phase: str, generator: torch.Generator | None) -> dict[str, Tensor]:
        """Loss terms of ``{"image": float (B, C, H, W)}``.

        Autoencoder: ``total`` is the weighted sum of ``reconstruction`` (pixels), ``perceptual``, the quantizers' terms and
        ``adversarial``, the last one times ``adaptive_weight``, which includes ``discriminator_weight``. The two adversarial
        terms are zero before ``discriminator_start``; ``adaptive_weight`` is zero too where gradients are off, in validation,
        because it is made of gradients. The autoencoder adds terms of its own, the quantizers' among them.

        Discriminator: ``total``, and ``logits_real`` and ``logits_fake``, the means of its logits.
        """
        assert phase in self.phases_at(step), phase
        images = batch["image"]
        if phase == "discriminator":
            return self._discriminator_terms(images, step, generator)
        return self._autoencoder_terms(images, step, generator)

    def _discriminator_terms(self, images: Tensor, step: int, generator: torch.Generator | None) -> dict[str, Tensor]:
        with torch.no_grad():
            features = self.autoencode(images, step=step, generator=generator).features
            reconstructions = self.decoder.conv_out(features)
        real, fake = self.loss.discriminator(images), self.loss.discriminator(reconstructions)
        total = discriminator_loss(real, fake, self.config.discriminator_loss)
        return {"total": total, "logits_real": real.detach().mean(), "logits_fake": fake.detach().mean()}

    def _autoencoder_terms(self, images: Tensor, step: int, generator: torch.Generator | None) -> dict[str, Tensor]:
        made = self.autoencode(images, step=step, generator=generator)
        reconstructions = self.decoder.conv_out(made.features)
        total, terms = self._image_terms(images, reconstructions, made.features.detach(), step)
        return {"total": total + self.config.codebook_weight * made.codebook_loss, **terms, **made.terms}

    def _image_terms(
        self, images: Tensor, reconstructions: Tensor, features: Tensor, step: int
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """The terms that look at the reconstruction, differentiated down to it once.

        The adaptive weight needs the gradients of the reconstruction and of the adversarial term apart. They are taken with
        respect to the reconstruction; the last layer's follow by one convolution with its input, and the weighted sum goes
        on into the decoder. So the perceptual network and the discriminator are run backward once and not twice.
        """
        reconstructions = reconstructions.float()
        total, terms = self.reconstruction.terms(images, reconstructions)
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
        with torch.no_grad(), without_autocast(features.device):
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
