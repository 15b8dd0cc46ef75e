"""Nearest vectors, and the cluster means that a codebook can begin with.

Arthur and Vassilvitskii, "k-means++: The Advantages of Careful Seeding", SODA 2007; Lloyd, "Least squares quantization in PCM",
IEEE Transactions on Information Theory 28, 1982.

Shape letters: D embedding, K codes or clusters, M vectors.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import pad

# Distances that are held at once, as a number of float32: 16 MiB. Larger blocks are no faster.
_BLOCK = 2**22

# A code to which no vector belongs is put beside one, at this share of the vectors' standard deviation.
_JITTER = 0.01


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


def kmeans(vectors: Tensor, clusters: int, generator: torch.Generator, *, iterations: int = 10) -> tuple[Tensor, Tensor]:
    """Cluster means of some vectors.

    Seeds are drawn by k-means++ and moved by Lloyd's iterations. Where there are fewer distinct vectors than clusters, every
    cluster that is left without vectors lies beside a vector drawn at random, so that no two clusters are the same.

    Args:
        vectors: float32 (M, D), at least one.
        clusters: K.
        generator: All randomness, on the vectors' device.
        iterations: Of Lloyd.

    Returns:
        Centres, float32 (K, D), and how many vectors belong to each, float32 (K,).
    """
    centres = _seeds(vectors, min(clusters, len(vectors)), generator)
    for _ in range(iterations):
        sums, counts = _cluster_sums(vectors, centres)
        centres = torch.where(counts[:, None] > 0, sums / counts.clamp_min(1)[:, None], centres)
    counts = _cluster_sums(vectors, centres)[1]
    missing = clusters - len(centres)
    centres, counts = pad(centres, (0, 0, 0, missing)), pad(counts, (0, missing))
    drawn = torch.randint(len(vectors), (clusters,), generator=generator, device=vectors.device)
    noise = torch.empty_like(centres).normal_(generator=generator)
    beside = vectors[drawn] + _JITTER * vectors.std(dim=0, correction=0) * noise
    return torch.where(counts[:, None] > 0, centres, beside), counts


def _seeds(vectors: Tensor, count: int, generator: torch.Generator) -> Tensor:
    """k-means++: each seed is a vector drawn with a probability that grows with its squared distance from the seeds so far."""
    draws = torch.rand(count, generator=generator, device=vectors.device)
    seeds = vectors.new_empty(count, vectors.shape[1])
    distances = torch.ones_like(vectors[:, 0])
    for number in range(count):
        cumulated = distances.cumsum(0)
        chosen = torch.searchsorted(cumulated, draws[number : number + 1] * cumulated[-1:]).clamp_max(len(vectors) - 1)
        seeds[number] = vectors.index_select(0, chosen)[0]
        squares = (vectors - seeds[number]).square().sum(dim=1)
        distances = squares if number == 0 else torch.minimum(distances, squares)
    return seeds


def _cluster_sums(vectors: Tensor, centres: Tensor) -> tuple[Tensor, Tensor]:
    """Sums (K, D) and counts (K,) of the vectors that are nearest to each centre."""
    codes = nearest(vectors, centres)
    sums = torch.zeros_like(centres).index_add_(0, codes, vectors)
    counts = torch.zeros_like(centres[:, 0]).index_add_(0, codes, torch.ones_like(vectors[:, 0]))
    return sums, counts
