"""Which table row each token of the sequence is: prefix tokens, then codes in visiting order.

The sequence is the condition, or one start token where there is none, and then the visited codes. Token i ≥ P₀ − 1 predicts
what is visited at time i − P₀ + 1, where P₀ = max(P, 1) is the length of the prefix.

Shape letters: B batch, N code positions, T visited, P condition positions, P₀ prefix, n tokens.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from tamingplat.interfaces import CodeSpace, ConditionLayout, layout_length


@dataclass(frozen=True)
class Vocabulary:
    """Rows of the embedding table.

    Attributes:
        rows: How many there are.
        offsets: What is added to the token at each condition position, P numbers.
        start: The start token's row, used where P = 0.
    """

    rows: int
    offsets: tuple[int, ...]
    start: int

    @classmethod
    def shared(cls, space: CodeSpace, layout: ConditionLayout) -> Vocabulary:
        """One table for codes and condition tokens without offset; the start token is 0, which is also a code."""
        return cls(max([space.vocab_size, *(part.vocab_size for part in layout)]), (0,) * layout_length(layout), 0)

    @classmethod
    def separate(cls, space: CodeSpace, layout: ConditionLayout) -> Vocabulary:
        """The codes' rows, then those of each condition part; without a condition one row for the start token."""
        rows, offsets = space.vocab_size, []
        for part in layout:
            offsets += [rows] * part.length
            rows += part.vocab_size
        return cls(rows, tuple(offsets), rows) if layout else cls(rows + 1, (), rows)


@dataclass(frozen=True)
class Tokens:
    """Tokens of a sequence, each (B, n).

    Attributes:
        rows: int64, row of the embedding table.
        places: int64, place in canonical order (positions P₀ and after) or in the prefix (below P₀).
        times: int64, place in the sequence.
        predicts: int64, canonical position that the token predicts; of no meaning where ``times`` < P₀ − 1.
    """

    rows: Tensor
    places: Tensor
    times: Tensor
    predicts: Tensor


def tokens_at(index: Tensor, prefix: Tensor, codes: Tensor, visited: Tensor, lengths: Tensor | None, targets: Tensor) -> Tokens:
    """The tokens at some places of the sequence.

    Codes that are not visited are never read: the token at a place beyond a row's length is code 0 at position 0.

    Args:
        index: int64 (B or 1, n), places in the sequence.
        prefix: int64 (B, P₀), table rows of the prefix.
        codes: int64 (B, N) in canonical order.
        visited: int64 (B, T).
        lengths: int64 (B,), or ``None`` where all of ``visited`` counts.
        targets: int64 (B, 1), what is visited after that.
    """
    batch, before = prefix.shape
    index = index.expand(batch, -1)
    total = visited.shape[1]
    in_prefix = prefix.gather(1, index.clamp(max=before - 1))
    if total == 0:
        return Tokens(in_prefix, index, index, targets.expand(-1, index.shape[1]))
    time = index - before
    limit = total if lengths is None else lengths[:, None]
    is_prefix = time < 0
    counts = ~is_prefix & (time < limit)
    place = torch.where(counts, visited.gather(1, time.clamp(0, total - 1)), 0)
    code = torch.where(counts, codes.gather(1, place), 0)
    upcoming = visited.gather(1, (time + 1).clamp(0, total - 1))
    return Tokens(
        rows=torch.where(is_prefix, in_prefix, code),
        places=torch.where(is_prefix, index, place + before),
        times=index,
        predicts=torch.where(time + 1 < limit, upcoming, targets),
    )
