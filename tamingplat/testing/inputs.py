"""Random inputs for checks.

Shape letters: B batch, N code positions, P condition positions.
"""

from __future__ import annotations

import torch
from torch import Tensor

from tamingplat.interfaces import CodeSpace, ConditionLayout


def random_codes(space: CodeSpace, batch: int, *, seed: int = 0) -> Tensor:
    """Uniform codes, int64 (B, N)."""
    return torch.randint(space.vocab_size, (batch, space.length), generator=torch.Generator().manual_seed(seed))


def random_condition(layout: ConditionLayout, batch: int, *, seed: int = 0) -> Tensor:
    """Uniform condition tokens in layout order, int64 (B, P)."""
    generator = torch.Generator().manual_seed(seed)
    parts = [torch.randint(part.vocab_size, (batch, part.length), generator=generator) for part in layout]
    return torch.cat([torch.zeros(batch, 0, dtype=torch.int64), *parts], dim=1)


def other_codes(codes: Tensor, vocab_size: int, *, seed: int) -> Tensor:
    """Codes that differ from the given ones everywhere, of the same shape; needs a vocabulary of two or more."""
    generator = torch.Generator().manual_seed(seed)
    shift = torch.randint(1, vocab_size, codes.shape, generator=generator).to(codes.device)
    return (codes + shift) % vocab_size
