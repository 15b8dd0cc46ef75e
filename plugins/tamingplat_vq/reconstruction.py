"""How far a reconstruction is from its image: the pixel loss and the perceptual distance.

Shape letters: B batch, C/H/W image.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from tamingplat.interfaces import TamingplatError
from tamingplat.interfaces.models import Perceptual
from tamingplat_vq.config import VQConfig, perceptual_faults
from tamingplat_vq.losses import pixel_loss


class ReconstructionLoss:
    """The terms that compare images with reconstructions. No module: the perceptual network is no part of any model's state.

    Args:
        config: Names and weighs the terms.
        parts: ``perceptual``, the network.
        image_size: Height and width of the images.
        channels: C.

    Raises:
        TamingplatError: The settings or the network cannot take such images; the message holds every reason.
    """

    def __init__(self, config: VQConfig, parts: Mapping[str, Any], *, image_size: tuple[int, int], channels: int) -> None:
        self.config = config
        self.perceptual: Perceptual = parts["perceptual"]
        given = config.perceptual_weight
        self.perceptual_weight = self.perceptual.default_weight if given is None else given
        faults = list(config.image_faults(image_size, channels))
        if self.perceptual_weight > 0:
            found = perceptual_faults(config.perceptual.use, self.perceptual.minimum_size, image_size, channels)
            faults += [fault for fault in found if fault not in faults]
        if faults:
            raise TamingplatError("; ".join(faults))

    def terms(self, images: Tensor, reconstructions: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
        """The pixel loss and the perceptual distance of float (B, C, H, W).

        Returns:
            Their weighted sum, and both of them unweighted and detached, as ``reconstruction`` and ``perceptual``.
        """
        pixels = pixel_loss(images, reconstructions, self.config.pixel_loss)
        total, perceptual = self.config.pixel_weight * pixels, torch.zeros_like(pixels)
        if self.perceptual_weight > 0:
            # Images of one channel, such as depth maps, are shown to the network as grey ones.
            seen = (one.expand(-1, 3, -1, -1) if one.shape[1] == 1 else one for one in (images, reconstructions))
            perceptual = self.perceptual.distance(*seen).mean()
            total = total + self.perceptual_weight * perceptual
        return total, {"reconstruction": pixels.detach(), "perceptual": perceptual.detach()}
