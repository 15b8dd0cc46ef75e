"""Gumbel noise by address: a counter-based generator, so that a sample's noise depends on no batch, device or process.

Philox 4×32 with 10 rounds, Salmon et al., "Parallel Random Numbers: As Easy as 1, 2, 3", SC 2011. All words are held in
int64, whose products wrap modulo 2⁶⁴ alike on every device.
"""

from __future__ import annotations

import torch
from torch import Tensor

_MASK = 0xFFFFFFFF
_MULTIPLIERS = (0xD2511F53, 0xCD9E8D57)
_WEYL = (0x9E3779B9, 0xBB67AE85)

Words = tuple[Tensor, Tensor, Tensor, Tensor]


def philox(counter: Words, key: tuple[int, int]) -> Words:
    """Four random 32-bit words for every counter.

    Args:
        counter: Four int64 tensors with values in [0, 2³²), whose shapes are broadcast together.
        key: Two integers in [0, 2³²).

    Returns:
        Four int64 tensors with values in [0, 2³²).
    """
    c0, c1, c2, c3 = counter
    k0, k1 = key
    for _ in range(10):
        product0, product1 = c0 * _MULTIPLIERS[0], c2 * _MULTIPLIERS[1]
        c0, c1, c2, c3 = (
            ((product1 >> 32) & _MASK) ^ c1 ^ k0,
            product1 & _MASK,
            ((product0 >> 32) & _MASK) ^ c3 ^ k1,
            product0 & _MASK,
        )
        k0, k1 = (k0 + _WEYL[0]) & _MASK, (k1 + _WEYL[1]) & _MASK
    return c0, c1, c2, c3


def uniform_noise(seed: int, indices: Tensor, positions: Tensor, count: int, *, stream: int = 0) -> Tensor:
    """Uniform numbers in (0, 1) addressed by (seed, sample, position, number).

    Args:
        seed: Non-negative, below 2⁶³.
        indices: int64 (B,), the number of each sample, in [0, 2³²).
        positions: int64 (B, K), canonical code positions, in [0, 2³²).
        count: How many numbers each address gives.
        stream: Which of several independent noises, in [0, 2³²): 0 is the sampler's own.

    Returns:
        float64 (B, K, count).
    """
    # Not expanded: the first rounds then work on few numbers.
    counter = (
        torch.arange((count + 1) // 2, device=indices.device),
        positions[..., None],
        indices[:, None, None],
        torch.full((), stream, dtype=torch.int64, device=indices.device),
    )
    words = philox(counter, (seed & _MASK, (seed >> 32) & _MASK))
    # 52 random bits, then half a unit up, which float64 holds exactly: neither 0 nor 1 can occur.
    bits = torch.stack([(words[0] << 20) | (words[1] >> 12), (words[2] << 20) | (words[3] >> 12)], dim=-1)
    return ((bits.double() + 0.5) * 2.0**-52).flatten(-2)[..., :count]


def gumbel_noise(seed: int, indices: Tensor, positions: Tensor, vocab_size: int) -> Tensor:
    """Standard Gumbel noise, float64 (B, K, V): the maximum of logits plus this noise is a sample of their softmax.

    Arguments as ``uniform_noise``; V = ``vocab_size``.
    """
    return -torch.log(-torch.log(uniform_noise(seed, indices, positions, vocab_size)))
