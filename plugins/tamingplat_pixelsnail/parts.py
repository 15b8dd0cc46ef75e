"""The memory of one grid in parts that are put together when decoding goes on from them, and not before.

A window that slides on is computed anew, and what was remembered of it is never asked for: all rows of a wavefront but a few
are of that kind. Of a pass over a grid no more is therefore kept than will be read, and no memory is made of it before it is
needed.

Shape letters: B batch, N positions of the grid, M of them that a pass was over, F of these whose columns will be read,
K targets, C width.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol, Self

import torch
from torch import Tensor

from tamingplat_pixelsnail.lane import Lane


class EmptyLanes(Protocol):
    """What makes memories in which nothing was visited: a grid's stack."""

    def empty(self, rows: int, condition: Tensor | None) -> Lane:
        """An empty memory for so many images with conditions (B, N or 1, C)."""


@dataclass(frozen=True)
class Recorded:
    """A pass over a grid, from which the memory of any of its rows can be made; never changed.

    Attributes:
        lanes: The stack that computed it.
        condition: (B, N or 1, C), or ``None`` without conditions.
        ready: bool (B,), rows whose condition was known.
        visited: bool (B, M), or (1, M) where it is the same for all.
        in_order: Whether each row has visited a beginning of the M positions.
        frontier: int64 (B or 1, F), visited positions whose columns will be read, N for none.
        columns: Each (B, F + K, channels), what every convolution read there and at the targets, in order.
        features: For each attention layer (B, K, C), those of the targets.
        memory: For each attention layer keys (B, heads, M, key_width) and values (B, heads, M, value_width).
    """

    lanes: EmptyLanes
    condition: Tensor | None
    ready: Tensor
    visited: Tensor
    in_order: bool
    frontier: Tensor
    columns: tuple[Tensor, ...]
    features: tuple[Tensor, ...]
    memory: tuple[tuple[Tensor, Tensor], ...]

    def lane(self, rows: Sequence[int]) -> Lane:
        """The memory of some rows."""
        index = torch.tensor(rows, device=self.ready.device)
        whole = list(rows) == list(range(len(self.ready)))

        def of_rows(tensor: Tensor) -> Tensor:
            return tensor if whole else tensor[index]

        def expanded(tensor: Tensor) -> Tensor:
            return of_rows(tensor) if len(tensor) == len(self.ready) else tensor.expand(len(rows), -1)

        visited = expanded(self.visited)
        lane = self.lanes.empty(len(rows), None if self.condition is None else of_rows(self.condition))
        lane.ready = of_rows(self.ready)
        lane.filled = visited.sum(1)
        # Visited positions come first, in any order; what follows them is not read.
        first = None if self.in_order else (~visited).to(torch.uint8).argsort(dim=1, stable=True)[:, None, :, None]
        for kept, kept_values, memory in zip(lane.keys, lane.values, self.memory, strict=True):
            keys, values = (of_rows(part) for part in memory)
            if first is not None:
                keys, values = (part.gather(2, first.expand_as(part)) for part in (keys, values))
            kept[..., : keys.shape[2]] = keys.transpose(2, 3)
            kept_values[:, :, : values.shape[2]] = values
        columns = torch.cat([of_rows(column) for column in self.columns], dim=-1).to(lane.columns.dtype)
        known = self.frontier.shape[1]
        lane.keep(expanded(self.frontier), columns[:, :known])
        # The first of the columns is the code, which was not known yet.
        lane.pending_columns = columns[:, known:, lane.channels[0] :]
        lane.pending_features = [of_rows(features).to(lane.columns.dtype) for features in self.features]
        return lane.measured()


Source = Lane | Recorded | None
"""Where rows come from; ``None`` for rows of which nothing is known."""

Part = tuple[Source, Sequence[int]]
"""Rows of a batch: where they come from, and which ones of it they are."""


@dataclass(frozen=True)
class Parts:
    """Rows of one batch, from one or several memories.

    Attributes:
        parts: For each part where its rows come from, and which ones of it they are.
    """

    parts: tuple[Part, ...]

    @classmethod
    def of(cls, source: Lane | Recorded) -> Self:
        """All rows of a memory."""
        return cls(((source, range(len(source.ready))),))

    @classmethod
    def blank(cls, rows: int) -> Self:
        """So many rows of which nothing is known."""
        return cls(((None, range(rows)),))

    @classmethod
    def cat(cls, several: Sequence[Self]) -> Self:
        """The rows of all, which are used no more by themselves."""
        return cls(_grouped(part for parts in several for part in parts.parts))

    @property
    def known(self) -> bool:
        """Whether something is known of some row."""
        return any(source is not None for source, _ in self.parts)

    def select(self, rows: Sequence[int]) -> Self:
        """Some rows, which stay as they are when the memories that they come from go on."""
        return type(self)(
            tuple(
                (source.select(torch.tensor(of_source, device=source.ready.device)), range(len(of_source)))
                if isinstance(source, Lane)
                else (source, of_source)
                for source, of_source in self.take(rows).parts
            )
        )

    def take(self, rows: Sequence[int]) -> Self:
        """Some rows, where these parts are used no more: what is taken whole is not copied."""
        places: list[Part] = [(source, [row]) for source, of_source in self.parts for row in of_source]
        return type(self)(_grouped(places[row] for row in rows))

    def lane(self, targets: int) -> Lane:
        """Put together, with K = ``targets`` pending positions. These parts are used no more."""
        built: list[Lane | int] = []
        for source, rows in self.parts:
            if isinstance(source, Recorded):
                built.append(source.lane(rows))
            elif source is None:
                built.append(len(rows))
            elif list(rows) == list(range(len(source.ready))):
                built.append(source)
            else:
                built.append(source.select(torch.tensor(rows, device=source.ready.device)))
        model = next(lane for lane in built if isinstance(lane, Lane))
        lanes = [model.blank(lane) if isinstance(lane, int) else lane for lane in built]
        return lanes[0] if len(lanes) == 1 and lanes[0].pending_columns.shape[1] == targets else Lane.cat(lanes, targets)


def _grouped(parts: Iterable[Part]) -> tuple[Part, ...]:
    """The same rows in the same order, where neighbours that come from one memory are one part."""
    found: list[tuple[Source, list[int]]] = []
    for source, rows in parts:
        if found and found[-1][0] is source:
            found[-1][1].extend(rows)
        else:
            found.append((source, list(rows)))
    return tuple(found)
