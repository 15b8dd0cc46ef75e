"""The perceptual distance of those who want none.

Shape letters: B batch, H/W image.
"""

from __future__ import annotations

import torch
from torch import Tensor

from tamingplat.interfaces.models import Perceptual


class NoDistance(Perceptual):
    """Zero for every pair of images, with weight zero; takes images of any size and any number of channels."""

    def missing(self) -> str | None:
        """Nothing can be missing."""
        return None

    @property
    def default_weight(self) -> float:
        """Zero, so that a loss leaves the term out."""
        return 0.0

    def distance(self, images: Tensor, others: Tensor) -> Tensor:
        """Two batches of images to float32 (B,) zeros."""
        return torch.zeros(len(images), device=images.device)
