"""Keys and values of the tokens that were computed, for incremental decoding.

Shape letters: B batch, L layers, H heads, S slots for tokens, D numbers per head, n new tokens.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate

import torch
from torch import Tensor

from tamingplat.interfaces.models import PriorState


class KeyValueState(PriorState):
    """Keys and values of every layer; a token's slot is its place in the sequence.

    Attributes:
        filled: Tokens of the longest row.
        tokens: int64 (B,), tokens of each row, or ``None`` where all rows have ``filled``. What is in a row's later slots is
            finite and never counts.
    """

    def __init__(self, cache: Tensor | None, filled: int, tokens: Tensor | None) -> None:
        """State around a cache (L, 2, B, H, S, D), or around none, which the first tokens written make."""
        self._cache = cache
        self.filled = filled
        self.tokens = tokens

    @property
    def cache(self) -> Tensor:
        """float (L, 2, B, H, S, D)."""
        assert self._cache is not None, "nothing was written to the state"
        return self._cache

    def tokens_of_rows(self) -> Tensor:
        """int64 (B,): tokens of each row."""
        if self.tokens is not None:
            return self.tokens
        return torch.full((self.cache.shape[2],), self.filled, device=self.cache.device)

    def reserve(self, slots: int) -> None:
        """Make room for ``slots`` tokens where there is less, keeping what is there."""
        cache = self._cache
        if cache is None or cache.shape[4] >= slots:
            return
        # Zeros, because masked slots take part in products with a weight of zero, which must not meet a NaN.
        self._cache = cache.new_zeros(*cache.shape[:4], slots, cache.shape[5])
        self._cache[..., : self.filled, :] = cache[..., : self.filled, :]

    def write(self, layer: int, layers: int, keys: Tensor, values: Tensor, slots: slice | Tensor) -> None:
        """Store new keys and values, float (B, H, n, D), of one layer.

        Args:
            layer: Which one.
            layers: L, for the first write, which makes the cache as long as it has to be for these tokens.
            keys: Of the new tokens.
            values: Of the new tokens.
            slots: The same for all rows, or int64 (B, n).
        """
        if self._cache is None:
            batch, heads, count, size = keys.shape
            self._cache = keys.new_empty(layers, 2, batch, heads, count, size)
        mine = self._cache[layer]
        if isinstance(slots, slice):
            mine[0, :, :, slots] = keys
            mine[1, :, :, slots] = values
        else:
            rows = torch.arange(len(keys), device=keys.device)[:, None]
            mine[0][rows, :, slots] = keys.transpose(1, 2)
            mine[1][rows, :, slots] = values.transpose(1, 2)

    def read(self, layer: int, count: int) -> tuple[Tensor, Tensor]:
        """Keys and values of the first ``count`` slots of a layer, each float (B, H, count, D)."""
        mine = self.cache[layer, :, :, :, :count]
        return mine[0], mine[1]

    def select(self, rows: Tensor) -> KeyValueState:
        """The state of some rows, in the order of ``rows``."""
        tokens = None if self.tokens is None else self.tokens[rows]
        return KeyValueState(self.cache.index_select(2, rows), self.filled, tokens)

    def blank(self, rows: int) -> KeyValueState:
        """Rows without a token, not even those of the prefix."""
        layers, kinds, _, heads, _, size = self.cache.shape
        tokens = torch.zeros(rows, dtype=torch.int64, device=self.cache.device)
        return KeyValueState(self.cache.new_zeros(layers, kinds, rows, heads, 0, size), 0, tokens)

    @classmethod
    def cat(cls, states: Sequence[KeyValueState]) -> KeyValueState:
        """All rows of several states of one prior."""
        filled = max(state.filled for state in states)
        slots = max(state.cache.shape[4] for state in states)
        tokens = None
        if any(state.tokens is not None or state.filled != filled for state in states):
            tokens = torch.cat([state.tokens_of_rows() for state in states])
        first = states[0].cache
        rows = [state.cache.shape[2] for state in states]
        cache = first.new_zeros(first.shape[0], 2, sum(rows), first.shape[3], slots, first.shape[5])
        for stop, count, state in zip(accumulate(rows), rows, states, strict=True):
            cache[:, :, stop - count : stop, :, : state.filled] = state.cache[..., : state.filled, :]
        return KeyValueState(cache, filled, tokens)
