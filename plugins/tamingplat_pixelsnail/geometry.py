"""What a visiting order lets every position of a grid see.

Shape letters: B batch, N positions of one grid, R rows of distinct orders (1 where all images share one, else B), E pairs of a
position and a neighbour that is visited at an earlier step.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import torch
from torch import Tensor

OFFSETS = tuple((row, column) for row in (-1, 0, 1) for column in (-1, 0, 1) if (row, column) != (0, 0))
"""The eight neighbours of a position, in the order of a 3×3 kernel's taps without the centre."""

CENTRE = 4
"""Index of the centre among the nine taps of a 3×3 kernel."""


def neighbour_table(height: int, width: int, device: torch.device) -> Tensor:
    """int64 (N + 1, 8): the neighbours of every position, N for those off the grid; the row N belongs to "no position"."""
    rows = torch.arange(height, device=device).repeat_interleave(width)
    columns = torch.arange(width, device=device).repeat(height)
    table = torch.full((height * width + 1, len(OFFSETS)), height * width, device=device)
    for tap, (down, right) in enumerate(OFFSETS):
        inside = (rows + down >= 0) & (rows + down < height) & (columns + right >= 0) & (columns + right < width)
        table[:-1, tap] = torch.where(inside, (rows + down) * width + columns + right, height * width)
    return table


@lru_cache(maxsize=16)
def tap_table(height: int, width: int, device: torch.device) -> Tensor:
    """int64 (N + 1, 9): the table of neighbours with a tap for the centre, N too: what is there is not known yet."""
    table = neighbour_table(height, width, device)
    return torch.cat([table[:, :CENTRE], torch.full_like(table[:, :1], height * width), table[:, CENTRE:]], dim=1)


def background(height: int, width: int, like: Tensor) -> Tensor:
    """(N, 2), in the dtype and on the device of ``like``: row and column of every position, from −1/2 up to below 1/2."""
    rows = torch.arange(height, device=like.device, dtype=like.dtype) / height - 0.5
    columns = torch.arange(width, device=like.device, dtype=like.dtype) / width - 0.5
    return torch.stack([rows.repeat_interleave(width), columns.repeat(height)], dim=1)


@lru_cache(maxsize=16)
def coordinates(height: int, width: int, dtype: torch.dtype, device: torch.device) -> Tensor:
    """``background``, kept for decoding, which asks for it often; not to be trained with."""
    return background(height, width, torch.empty(0, dtype=dtype, device=device))


def earlier_neighbours(steps: Tensor, height: int, width: int) -> Tensor:
    """bool (R, N, 8): whether each neighbour of each position is visited at an earlier step, given steps int64 (R, N)."""
    never = torch.full_like(steps[:, :1], torch.iinfo(steps.dtype).max)
    near = torch.cat([steps, never], dim=1)[:, neighbour_table(height, width, steps.device)[:-1]]
    return near < steps[:, :, None]


@dataclass(frozen=True)
class Geometry:
    """The masks of one visiting order on one grid.

    Attributes:
        height: Rows of the grid.
        width: Columns of the grid.
        raster: The order is row by row for every image, and so convolutions are sliced instead of masked.
        destinations: int64 (E,), positions counted over the whole batch, b·N + p, sorted by tap; ``None`` where ``raster``.
        sources: int64 (E,), the neighbour that each destination reads, counted likewise; ``None`` where ``raster``.
        counts: How many of the E pairs belong to each of the eight taps.
        attendable: bool (R, 1, N, N), whether a query (third) may look at a key (fourth): the key is visited at an earlier
            step. A query with nothing before it is given itself, so that its softmax is defined; ``reached`` then erases it.
        reached: bool (R, N, 1), whether anything is visited before a position.
        background: float (N, 2), coordinates.
    """

    height: int
    width: int
    raster: bool
    destinations: Tensor | None
    sources: Tensor | None
    counts: tuple[int, ...]
    attendable: Tensor
    reached: Tensor
    background: Tensor

    @classmethod
    def of(cls, steps: Tensor, height: int, width: int, *, batch: int, like: Tensor, sliced: bool = True) -> Geometry:
        """The geometry of visiting steps, computed where these are and moved to the device of ``like``.

        Args:
            steps: int64 (R, N), the step at which each position is visited.
            height: Rows of the grid.
            width: Columns of the grid.
            batch: B.
            like: A parameter, for dtype and device.
            sliced: Whether row-by-row orders may be recognised; the masks are used for every order where not.
        """
        N = height * width
        in_order = torch.arange(N, device=steps.device) + steps[:, :1]
        raster = sliced and torch.equal(steps, in_order.expand_as(steps))
        destinations = sources = None
        counts: tuple[int, ...] = ()
        if not raster:
            active = earlier_neighbours(steps, height, width).expand(batch, -1, -1)
            tap, row, position = active.permute(2, 0, 1).nonzero().unbind(1)
            destinations = row * N + position
            sources = row * N + neighbour_table(height, width, steps.device)[position, tap]
            counts = tuple(active.sum((0, 1)).tolist())
        earlier = steps[:, None, :] < steps[:, :, None]
        reached = earlier.any(2, keepdim=True)
        own = torch.eye(N, dtype=torch.bool, device=steps.device)
        attendable = earlier | (own & ~reached)
        return cls(
            height,
            width,
            raster,
            None if destinations is None else destinations.to(like.device),
            None if sources is None else sources.to(like.device),
            counts,
            attendable[:, None].to(like.device),
            reached.to(like.device),
            background(height, width, like),
        )


def row_by_row(count: int, height: int, width: int, like: Tensor) -> Geometry:
    """The geometry of the first ``count`` positions of a grid in row-by-row order, and of no others.

    Args:
        count: At least 1; its ``height`` is that of the rows that these lie in.
        height: Rows of the whole grid, which coordinates are relative to.
        width: Columns of the grid.
        like: A parameter, for dtype and device.
    """
    places = torch.arange(count, device=like.device)
    attendable = (places < places[:, None]) | ((places == 0) & (places[:, None] == 0))
    return Geometry(
        height=-(-count // width),
        width=width,
        raster=True,
        destinations=None,
        sources=None,
        counts=(),
        attendable=attendable[None, None],
        reached=(places > 0)[None, :, None],
        background=background(height, width, like)[:count],
    )


class GeometryCache:
    """The geometries of the last shared order, so that training under one order computes its masks once.

    An order is recognised by its steps, not by the identity of a plan, which is made anew for every batch.
    """

    def __init__(self) -> None:
        self.steps: Tensor | None = None
        self.held: dict[tuple[object, ...], tuple[Geometry, ...]] = {}

    def get(self, steps: Tensor, key: tuple[object, ...]) -> tuple[Geometry, ...] | None:
        """What was kept for these steps and settings; forgets everything of another order."""
        if self.steps is None or self.steps.device != steps.device or not torch.equal(self.steps, steps):
            self.steps = steps.clone()
            self.held.clear()
        return self.held.get(key)

    def put(self, key: tuple[object, ...], geometries: tuple[Geometry, ...]) -> None:
        """Keep the geometries of the steps that ``get`` was last asked for."""
        self.held[key] = geometries
