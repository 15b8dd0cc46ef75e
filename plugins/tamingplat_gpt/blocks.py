"""Transformer blocks: layer normalisation before attention and before the MLP, GELU, a causal or given mask.

Shape letters: B batch, n tokens, a of them asked for, m tokens attended to, C width, H heads, D = C / H.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from tamingplat_gpt.state import KeyValueState


@dataclass(frozen=True)
class Memory:
    """Where the keys and values of new tokens go, and which are there already.

    Attributes:
        state: Takes the new tokens.
        slots: Slots of the new tokens: the same for all rows, or int64 (B, n).
        count: m, how many of the state's slots are attended to.
    """

    state: KeyValueState
    slots: slice | Tensor
    count: int


@dataclass(frozen=True)
class Attending:
    """Which tokens each new token attends to.

    Attributes:
        causal: Whether new tokens are the whole sequence and attend to what is not after them; no mask is needed then.
        mask: bool (B or 1, 1, a, m), true where a token is attended to; ``None`` for all m.
        memory: Earlier tokens and where new ones are kept; ``None`` keeps none.
        dropout: Share of the attention weights and of both residual branches that is dropped, in training.
        asked: The tokens that something comes of, the same for all rows or int64 (B, a); others are attended to alone. ``None``
            for all n.
    """

    causal: bool
    mask: Tensor | None = None
    memory: Memory | None = None
    dropout: float = 0.0
    asked: slice | Tensor | None = None

    def only(self, x: Tensor) -> Tensor:
        """The tokens that are asked for, (B, a, C), of (B, n, C)."""
        if self.asked is None:
            return x
        if isinstance(self.asked, slice):
            return x[:, self.asked]
        return x.gather(1, self.asked[:, :, None].expand(-1, -1, x.shape[2]))


def dropped(x: Tensor, share: float) -> Tensor:
    """``x`` after dropout, whose draws are PyTorch's default generator's; ``x`` itself, and nothing drawn, where share is 0."""
    return F.dropout(x, share) if share else x


class SelfAttention(nn.Module):
    """Multi-head attention with biased query, key, value and output projections."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.key = nn.Linear(width, width)
        self.query = nn.Linear(width, width)
        self.value = nn.Linear(width, width)
        self.proj = nn.Linear(width, width)
        self._heads = heads

    def forward(self, x: Tensor, layer: int, attending: Attending) -> Tensor:
        """float (B, n, C) to float (B, a, C)."""
        queries, keys, values = (
            projection(tokens).unflatten(-1, (self._heads, -1)).transpose(1, 2)
            for projection, tokens in ((self.query, attending.only(x)), (self.key, x), (self.value, x))
        )
        memory = attending.memory
        if memory is not None:
            memory.state.write(layer, keys, values, memory.slots)
            if not attending.causal:
                keys, values = memory.state.read(layer, memory.count)
        mixed = F.scaled_dot_product_attention(
            queries, keys, values, attn_mask=attending.mask, dropout_p=attending.dropout, is_causal=attending.causal
        )
        projected: Tensor = self.proj(mixed.transpose(1, 2).flatten(2))
        return projected


class Block(nn.Module):
    """x + attention(norm(x)), then x + MLP(norm(x))."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.ln1 = nn.LayerNorm(width, eps=1e-5)
        self.ln2 = nn.LayerNorm(width, eps=1e-5)
        self.attn = SelfAttention(width, heads)
        self.mlp = nn.Sequential(nn.Linear(width, 4 * width), nn.GELU(), nn.Linear(4 * width, width))

    def forward(self, x: Tensor, layer: int, attending: Attending) -> Tensor:
        """float (B, n, C) to float (B, a, C)."""
        attended: Tensor = self.attn(self.ln1(x), layer, attending)
        x = attending.only(x) + dropped(attended, attending.dropout)
        return x + dropped(self.mlp(self.ln2(x)), attending.dropout)


def visible(index: Tensor, count: int, prefix: int) -> Tensor:
    """Which of ``count`` tokens each token attends to: those not after it, and within a prefix all of the prefix.

    Args:
        index: int64 (B or 1, n), place of each token in its sequence.
        count: m.
        prefix: How many tokens at the beginning attend to each other both ways.

    Returns:
        bool (B or 1, 1, n, m).
    """
    slot = torch.arange(count, device=index.device)
    seen = slot <= index[..., None]
    if prefix > 1:
        seen = seen | ((slot < prefix) & (index[..., None] < prefix))
    return seen[:, None]
