"""Transformer blocks: layer normalisation before attention and before the MLP, GELU, a causal or given mask.

Rows that are computed together may have different numbers of tokens: what is done to each token by itself is done to all tokens
of all rows at once, and attention to rows of one number of tokens.

Shape letters: B rows, n tokens of each, a of them asked for, m tokens attended to, C width, H heads, D = C / H; of all rows
together S = Σ B · n tokens and A = Σ B · a asked for.
"""

from __future__ import annotations

from collections.abc import Sequence
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


@dataclass(frozen=True)
class Group:
    """Rows of one number of tokens.

    Attributes:
        rows: B.
        tokens: n.
        attending: What they attend to.
    """

    rows: int
    tokens: int
    attending: Attending

    @property
    def asked(self) -> int:
        """a, tokens of a row that are asked for."""
        asked = self.attending.asked
        if asked is None:
            return self.tokens
        return len(range(self.tokens)[asked]) if isinstance(asked, slice) else asked.shape[1]

    def only(self, x: Tensor) -> Tensor:
        """The tokens that are asked for, (B · a, C), of (B · n, C)."""
        asked = self.attending.asked
        if asked is None:
            return x
        of_rows = x.view(self.rows, self.tokens, -1)
        if isinstance(asked, slice):
            return of_rows[:, asked].flatten(0, 1)
        return of_rows.gather(1, asked[:, :, None].expand(-1, -1, x.shape[1])).flatten(0, 1)


def joined(parts: Sequence[Tensor]) -> Tensor:
    """All tokens of several groups; those of one are not copied."""
    return parts[0] if len(parts) == 1 else torch.cat(list(parts))


def only(x: Tensor, groups: Sequence[Group]) -> Tensor:
    """The tokens that are asked for, (A, C), of (S, C)."""
    if all(group.attending.asked is None for group in groups):
        return x
    parts = _parted(x, [group.rows * group.tokens for group in groups])
    return joined([group.only(of_group) for group, of_group in zip(groups, parts, strict=True)])


def _parted(x: Tensor, sizes: Sequence[int]) -> Sequence[Tensor]:
    """The tokens of each of several groups that have so many."""
    parts: Sequence[Tensor] = (x,) if len(sizes) == 1 else torch.split(x, list(sizes))
    return parts


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

    def forward(self, x: Tensor, layer: int, groups: Sequence[Group]) -> Tensor:
        """float (S, C) to float (A, C)."""
        sizes, asked = [group.rows * group.tokens for group in groups], [group.rows * group.asked for group in groups]
        queries = _parted(self.query(only(x, groups)), asked)
        keys, values = _parted(self.key(x), sizes), _parted(self.value(x), sizes)
        mixed = [self._attend(group, layer, *of_group) for group, *of_group in zip(groups, queries, keys, values, strict=True)]
        projected: Tensor = self.proj(joined(mixed))
        return projected

    def _attend(self, group: Group, layer: int, queries: Tensor, keys: Tensor, values: Tensor) -> Tensor:
        """float (B · a, C), (B · n, C) and (B · n, C) to float (B · a, C)."""
        queries, keys, values = (
            tokens.view(group.rows, -1, self._heads, tokens.shape[1] // self._heads).transpose(1, 2)
            for tokens in (queries, keys, values)
        )
        attending, memory = group.attending, group.attending.memory
        if memory is not None:
            memory.state.write(layer, keys, values, memory.slots)
            if not attending.causal:
                keys, values = memory.state.read(layer, memory.count)
        mixed = F.scaled_dot_product_attention(
            queries, keys, values, attn_mask=attending.mask, dropout_p=attending.dropout, is_causal=attending.causal
        )
        return mixed.transpose(1, 2).reshape(len(queries) * queries.shape[2], -1)


class Block(nn.Module):
    """x + attention(norm(x)), then x + MLP(norm(x))."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.ln1 = nn.LayerNorm(width, eps=1e-5)
        self.ln2 = nn.LayerNorm(width, eps=1e-5)
        self.attn = SelfAttention(width, heads)
        self.mlp = nn.Sequential(nn.Linear(width, 4 * width), nn.GELU(), nn.Linear(4 * width, width))

    def forward(self, x: Tensor, layer: int, groups: Sequence[Group]) -> Tensor:
        """float (S, C) to float (A, C)."""
        dropout = groups[0].attending.dropout
        attended: Tensor = self.attn(self.ln1(x), layer, groups)
        x = only(x, groups) + dropped(attended, dropout)
        return x + dropped(self.mlp(self.ln2(x)), dropout)


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
