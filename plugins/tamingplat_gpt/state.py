"""Keys and values of the tokens that were computed, for incremental decoding.

A window that slides on is computed anew, and what was kept of it is never asked for: all rows of a wavefront but a few are of
that kind. Rows are therefore chosen and joined by naming where they lie, and no keys or values are copied until decoding goes
on from them.

Shape letters: B batch, H heads, S slots for tokens, D numbers per head, n new tokens.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from tamingplat.interfaces.models import PriorState


@dataclass
class Cache:
    """Keys and values of a batch; a token's slot is its place in the sequence.

    Attributes:
        layers: Keys and values of each layer, each float (B, H, S, D); of rows without a token there are none.
        finite: How many slots hold numbers in every row, if not always numbers that count; later ones hold anything.
        kept: Whether something will go on from them. What is not kept is there for as long as its layer is computed.
    """

    layers: list[tuple[Tensor, Tensor]] = field(default_factory=list)
    finite: int = 0
    kept: bool = True


Part = tuple[Cache, Sequence[int]]
"""Rows of a batch: the cache that they lie in, and which rows of it they are."""


class KeyValueState(PriorState):
    """Keys and values of every layer for rows that may lie in several caches.

    Attributes:
        filled: Tokens of the longest row.
        tokens: int64 (B,), tokens of each row, or ``None`` where all rows have ``filled``.
    """

    def __init__(self, parts: Iterable[Part], filled: int, tokens: Tensor | None) -> None:
        self._parts = _grouped(parts)
        self.filled = filled
        self.tokens = tokens

    @classmethod
    def beginning(cls, rows: int, filled: int, tokens: Tensor | None, *, kept: bool) -> KeyValueState:
        """The state of rows whose tokens are about to be computed, all of them."""
        return cls([(Cache(kept=kept), range(rows))], filled, tokens)

    @property
    def begun(self) -> bool:
        """Whether some row has a token."""
        return any(cache.layers for cache, _ in self._parts)

    @property
    def kept(self) -> bool:
        """Whether something will go on from some row."""
        return any(cache.kept for cache, _ in self._parts)

    @property
    def _cache(self) -> Cache:
        """The cache that all rows lie in, in its order."""
        ((cache, _),) = self._parts
        return cache

    @property
    def dtype(self) -> torch.dtype:
        """That of keys and values."""
        return _some(self._parts).layers[0][0].dtype

    def tokens_of_rows(self) -> Tensor:
        """int64 (B,): tokens of each row."""
        if self.tokens is not None:
            return self.tokens
        rows = sum(len(rows) for _, rows in self._parts)
        return torch.full((rows,), self.filled, device=_some(self._parts).layers[0][0].device)

    def reserve(self, slots: int, finite: int = 0) -> None:
        """Put all rows into one cache with room for ``slots`` tokens, keeping what is there.

        Args:
            slots: S at least.
            finite: How many slots are going to be read in every row, whatever its number of tokens. A slot that is masked takes
                part in products with a weight of zero, which must not meet a NaN.
        """
        cache, rows = self._parts[0]
        whole = len(self._parts) == 1 and list(rows) == list(range(len(cache.layers[0][0])))
        if not whole or cache.layers[0][0].shape[2] < slots:
            cache = _joined(self._parts, slots)
            self._parts = ((cache, range(len(cache.layers[0][0]))),)
        if cache.finite < finite:
            for keys, values in cache.layers:
                keys[:, :, cache.finite : finite] = 0
                values[:, :, cache.finite : finite] = 0
            cache.finite = finite

    def write(self, layer: int, keys: Tensor, values: Tensor, slots: slice | Tensor) -> None:
        """Store new keys and values, float (B, H, n, D), of one layer.

        Args:
            layer: Which one. The first tokens of all come layer by layer, and are kept as they are.
            keys: Of the new tokens.
            values: Of the new tokens.
            slots: The same for all rows, or int64 (B, n).
        """
        cache = self._cache
        if not cache.kept:
            cache.layers = [(keys, values)]
            return
        if layer == len(cache.layers):
            cache.layers.append((keys, values))
            cache.finite = keys.shape[2]
            return
        for kept, new in zip(cache.layers[layer], (keys, values), strict=True):
            if isinstance(slots, slice):
                kept[:, :, slots] = new
                cache.finite = max(cache.finite, slots.stop)
            else:
                kept[torch.arange(len(new), device=new.device)[:, None], :, slots] = new.transpose(1, 2)

    def read(self, layer: int, count: int) -> tuple[Tensor, Tensor]:
        """Keys and values of the first ``count`` slots of a layer, each float (B, H, count, D)."""
        cache = self._cache
        keys, values = cache.layers[layer if cache.kept else 0]
        return keys[:, :, :count], values[:, :, :count]

    def remaining(self) -> KeyValueState:
        """What remains once all layers are computed: everything, or rows without a token where they are not kept."""
        if self.kept:
            return self
        keys, _ = self._cache.layers[0]
        return self._blank(len(keys), keys.device, kept=False)

    def select(self, rows: Tensor) -> KeyValueState:
        """See ``PriorState``."""
        chosen = self.take(rows)
        if chosen.begun:
            copied = _joined(chosen._parts, _finite(chosen._parts))
            chosen._parts = ((copied, range(len(rows))),)
        return chosen

    def take(self, rows: Tensor) -> KeyValueState:
        """See ``PriorState``: names the rows, and copies none."""
        return self.of(rows.tolist())

    def of(self, rows: Sequence[int]) -> KeyValueState:
        """As ``take``, of rows that are known on the host: all of them are the state itself."""
        if rows == range(sum(len(of_cache) for _, of_cache in self._parts)):
            return self
        places: list[Part] = [(cache, [row]) for cache, of_cache in self._parts for row in of_cache]
        tokens = None if self.tokens is None else self.tokens[list(rows)]
        return KeyValueState([places[row] for row in rows], self.filled, tokens)

    def blank(self, rows: int) -> KeyValueState:
        """Rows without a token, not even those of the prefix."""
        return self._blank(rows, self.tokens_of_rows().device, kept=True)

    def blank_once(self, rows: int) -> KeyValueState:
        """See ``PriorState``."""
        return self._blank(rows, self.tokens_of_rows().device, kept=False)

    @classmethod
    def _blank(cls, rows: int, device: torch.device, *, kept: bool) -> KeyValueState:
        return cls([(Cache(kept=kept), range(rows))], 0, torch.zeros(rows, dtype=torch.int64, device=device))

    @classmethod
    def cat(cls, states: Sequence[KeyValueState]) -> KeyValueState:
        """See ``PriorState``: names the rows, and copies none."""
        filled = max(state.filled for state in states)
        tokens = None
        if any(state.tokens is not None or state.filled != filled for state in states):
            tokens = torch.cat([state.tokens_of_rows() for state in states])
        return cls([part for state in states for part in state._parts], filled, tokens)


def _grouped(parts: Iterable[Part]) -> tuple[Part, ...]:
    """The same rows in the same order, where neighbours that lie in one cache are one part."""
    found: list[tuple[Cache, list[int]]] = []
    for cache, rows in parts:
        if found and found[-1][0] is cache:
            found[-1][1].extend(rows)
        else:
            found.append((cache, list(rows)))
    return tuple(found)


def _some(parts: Iterable[Part]) -> Cache:
    """A cache with tokens of those that rows lie in; there is one."""
    return next(cache for cache, _ in parts if cache.layers)


def _finite(parts: Iterable[Part]) -> int:
    """How many slots hold numbers in every row, once rows that have fewer are filled up."""
    return max(cache.finite for cache, _ in parts)


def _joined(parts: Sequence[Part], slots: int) -> Cache:
    """A cache of S = ``slots`` with a copy of all rows, of which one has a token at least."""
    total, finite = sum(len(rows) for _, rows in parts), _finite(parts)
    joined = Cache(finite=finite)
    for layer, pair in enumerate(_some(parts).layers):
        made = tuple(like.new_empty(total, like.shape[1], slots, like.shape[3]) for like in pair)
        start = 0
        for cache, rows in parts:
            for kind, whole in enumerate(made):
                mine = whole[start : start + len(rows)]
                if cache.layers:
                    mine[:, :, : cache.finite] = _rows(cache.layers[layer][kind][:, :, : cache.finite], rows)
                mine[:, :, cache.finite : finite] = 0
            start += len(rows)
        joined.layers.append((made[0], made[1]))
    return joined


def _rows(tensor: Tensor, rows: Sequence[int]) -> Tensor:
    """Some rows, without a copy where they follow each other."""
    start, stop = rows[0], rows[-1] + 1
    if list(rows) == list(range(start, stop)):
        return tensor[start:stop]
    return tensor[torch.tensor(rows, device=tensor.device)]
