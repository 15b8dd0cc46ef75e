"""The terms of VQGAN's objective.

Shape letters: B batch, C channels, H/W image.
"""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor
from torch.nn.functional import l1_loss, mse_loss, relu, softplus

from tamingplat.interfaces.models import mean_over_processes


def pixel_loss(images: Tensor, reconstructions: Tensor, kind: Literal["l1", "l2"]) -> Tensor:
    """Mean absolute (``l1``) or squared (``l2``) difference of two float (B, C, H, W), computed in float32."""
    images, reconstructions = images.float(), reconstructions.float()
    return l1_loss(reconstructions, images) if kind == "l1" else mse_loss(reconstructions, images)


def discriminator_loss(real: Tensor, fake: Tensor, kind: Literal["hinge", "vanilla"]) -> Tensor:
    """What the discriminator minimises, half the sum over real and reconstructed images.

    Args:
        real: Logits of images.
        fake: Logits of reconstructions.
        kind: ``hinge`` asks for margins of one; ``vanilla`` is the negative log-likelihood of telling them apart.
    """
    if kind == "hinge":
        return (relu(1 - real).mean() + relu(1 + fake).mean()) / 2
    return (softplus(-real).mean() + softplus(fake).mean()) / 2


def adaptive_weight(
    reconstruction: Tensor, adversarial: Tensor, *, delta: float, limit: float, weight: float, sync: bool
) -> Tensor:
    """λ of Eq. 7, times ``weight``: how strongly the adversarial term counts beside the reconstruction terms.

    λ = ‖∇rec‖ / (‖∇adv‖ + δ), clamped to [0, limit], of the gradients with respect to the decoder's last layer.

    Args:
        reconstruction: Gradient of the reconstruction terms, this process's.
        adversarial: Gradient of the adversarial term, this process's, of the same shape.
        delta: δ.
        limit: Largest λ.
        weight: Factor behind the clamp.
        sync: Whether the gradients are first averaged over all processes, so that several weigh as one with the whole batch.

    Returns:
        float32 scalar without gradient.
    """
    gradients = torch.stack([reconstruction, adversarial]).detach().float()
    if sync:
        gradients = mean_over_processes(gradients)
    norms = torch.linalg.vector_norm(gradients.flatten(1), dim=1)
    balance: Tensor = norms[0] / (norms[1] + delta)
    return balance.clamp(0, limit) * weight


def with_gradient(value: Tensor, of: Tensor, gradient: Tensor) -> Tensor:
    """A scalar that equals ``value`` and whose gradient with respect to ``of`` is ``gradient``.

    Where a loss was already differentiated down to ``of``, this spares doing it again.
    """
    carrier = (of * gradient.detach()).sum()
    return value.detach() + (carrier - carrier.detach())
