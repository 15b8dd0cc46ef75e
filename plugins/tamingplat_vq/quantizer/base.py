"""What every quantizer does: latents to codes, codes to vectors, and the terms by which it is trained.

Shape letters: B batch, D embedding, K codes, h/w code grid.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import NamedTuple

import torch
from torch import Tensor, nn

from tamingplat.interfaces.models import sum_over_processes


class Quantized(NamedTuple):
    """What quantization gives.

    Attributes:
        latents: float32 (B, D, h, w), what the decoder goes on with; the gradient passes through to what was quantized.
        codes: int64 (B, h, w), the codes that ``latents`` were made of.
        loss: float32 scalar, the quantizer's terms, weighed among each other and summed.
        terms: The same one by one, detached, and what else is worth logging of this step; scalars.
    """

    latents: Tensor
    codes: Tensor
    loss: Tensor
    terms: dict[str, Tensor]


class Quantizer(nn.Module, ABC):
    """Turns latents into codes. All arithmetic is in float32, whatever the precision around it."""

    @property
    @abstractmethod
    def size(self) -> int:
        """K, the number of codes."""

    @abstractmethod
    def forward(self, latents: Tensor, *, step: int, generator: torch.Generator | None) -> Quantized:
        """Quantize float (B, D, h, w).

        Args:
            latents: What an encoder put out.
            step: Optimizer steps taken so far.
            generator: Draws noise, where the quantizer trains with any; ``None`` draws nothing.
        """

    @abstractmethod
    def codes(self, latents: Tensor) -> Tensor:
        """float (B, D, h, w) to the code at every place, int64 (B, h, w); no noise, no gradient."""

    @abstractmethod
    def lookup(self, codes: Tensor) -> Tensor:
        """int64 (B, h, w) to codebook vectors, float32 (B, D, h, w)."""

    def after_step(self, step: int, generator: torch.Generator) -> None:
        """Change the codebook where no gradient does, once behind every training step; as ``Trainable.after_step``."""


@torch.no_grad()
def code_statistics(codes: Tensor, vocab_size: int) -> dict[str, Tensor]:
    """How a batch over all processes uses the codebook.

    Args:
        codes: int64 of any shape, this process's codes.
        vocab_size: K.

    Returns:
        ``codebook_usage``, the share of the K codes that occur; ``codebook_perplexity``, the exponential of the entropy of
        their frequencies, between 1 and K. Scalars, float32.
    """
    flat = codes.flatten()
    ones = torch.ones(len(flat), device=codes.device)
    counts = sum_over_processes(torch.zeros(vocab_size, device=codes.device).index_add_(0, flat, ones))
    shares = counts / counts.sum()
    entropy = -torch.special.xlogy(shares, shares).sum()
    return {"codebook_usage": (counts > 0).float().mean(), "codebook_perplexity": entropy.exp()}
