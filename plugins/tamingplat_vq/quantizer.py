"""Vector quantization by the nearest codebook vector.

van den Oord, Vinyals and Kavukcuoglu, "Neural Discrete Representation Learning", NeurIPS 2017, Eq. 2 and 3.

Shape letters: B batch, D embedding, K codes, h/w code grid, M = B·h·w vectors.
"""

from __future__ import annotations

from typing import Literal, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.functional import embedding

from tamingplat.interfaces.models import sum_over_processes

# Distances that are held at once, as a number of float32: 16 MiB. Larger blocks are no faster.
_BLOCK = 2**22


class Quantized(NamedTuple):
    """What quantization gives.

    Attributes:
        latents: float32 (B, D, h, w), codebook vectors; the gradient passes through to what was quantized.
        codes: int64 (B, h, w).
        codebook: Codebook term, already weighed; pulls codebook vectors to latents.
        commitment: Commitment term, already weighed; pulls latents to codebook vectors.
    """

    latents: Tensor
    codes: Tensor
    codebook: Tensor
    commitment: Tensor


def nearest(vectors: Tensor, codebook: Tensor) -> Tensor:
    """Index of the nearest codebook vector, the lowest among equals; the M×K distances are never held in whole.

    Args:
        vectors: float32 (M, D).
        codebook: float32 (K, D).

    Returns:
        int64 (M,).
    """
    # |v − e|² without |v|², which is the same for all codes.
    squares, transposed = codebook.square().sum(dim=1), codebook.t()
    rows = max(1, _BLOCK // len(codebook))
    return torch.cat([torch.addmm(squares, block, transposed, alpha=-2).argmin(dim=1) for block in torch.split(vectors, rows)])


class VectorQuantizer(nn.Module):
    """A codebook, trained by gradients.

    Args:
        codes: K.
        dimensions: D.
        commitment: β.
        placement: Which term β weighs: ``paper`` the commitment term, ``reference`` the codebook term.
    """

    def __init__(self, codes: int, dimensions: int, commitment: float, placement: Literal["paper", "reference"]) -> None:
        super().__init__()
        self.embedding = nn.Embedding(codes, dimensions)
        nn.init.uniform_(self.embedding.weight, -1 / codes, 1 / codes)
        self.codebook_weight, self.commitment_weight = (1.0, commitment) if placement == "paper" else (commitment, 1.0)

    def codes(self, latents: Tensor) -> Tensor:
        """float (B, D, h, w) to the nearest code at every place, int64 (B, h, w), computed in float32."""
        batch, dimensions, height, width = latents.shape
        with torch.no_grad(), torch.autocast(latents.device.type, enabled=False):
            vectors = latents.float().permute(0, 2, 3, 1).reshape(-1, dimensions)
            return nearest(vectors, self.embedding.weight.float()).view(batch, height, width)

    def lookup(self, codes: Tensor) -> Tensor:
        """int64 (B, h, w) to codebook vectors, float32 (B, D, h, w)."""
        return embedding(codes, self.embedding.weight).permute(0, 3, 1, 2).float()

    def forward(self, latents: Tensor) -> Quantized:
        """Quantize float (B, D, h, w), in float32 whatever the precision around it."""
        codes = self.codes(latents)
        with torch.autocast(latents.device.type, enabled=False):
            latents, vectors = latents.float(), self.lookup(codes)
            codebook = self.codebook_weight * (vectors - latents.detach()).square().mean()
            commitment = self.commitment_weight * (vectors.detach() - latents).square().mean()
            # Values of the codebook, gradients of the identity.
            straight_through = latents + (vectors - latents).detach()
        return Quantized(straight_through, codes, codebook, commitment)


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
