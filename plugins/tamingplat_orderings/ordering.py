"""The visiting orders as components: the same order for every image, one position at a step.

Shape letters: N code positions.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor

from tamingplat.interfaces import CodeSpace, Config
from tamingplat.interfaces.models import Ordering, VisitPlan
from tamingplat_orderings import orders


class FixedOrdering(Ordering):
    """An order that is the same for every image: one order within each grid, the grids one after the other."""

    def __init__(self, config: Config, parts: Mapping[str, Any]) -> None:
        super().__init__(config, parts)
        self._orders: dict[tuple[tuple[int, ...], ...], Tensor] = {}

    @abstractmethod
    def visit(self, grid: tuple[int, ...]) -> orders.Order:
        """int64 (cells,): the flat raster index visited at each step of one grid."""

    def plan(self, space: CodeSpace, batch: int, *, generator: torch.Generator | None = None) -> VisitPlan:
        """The plan of a batch; the order of a space is made once and kept."""
        order = self._orders.get(space.grids)
        if order is None:
            steps = [start + self.visit(grid) for start, grid in zip(space.offsets, space.grids, strict=True)]
            order = self._orders[space.grids] = torch.from_numpy(np.concatenate(steps))
        return VisitPlan.repeat(order, batch)


class PlaneOrdering(FixedOrdering):
    """An order of a plane, so of grids with rows and columns alone."""

    def refusal(self, space: CodeSpace) -> str | None:
        """Other grids than two-dimensional ones are refused; a single row, (1, W), is two-dimensional."""
        others = [grid for grid in space.grids if len(grid) != 2]
        if not others:
            return None
        shapes = ", ".join("×".join(map(str, grid)) for grid in others)
        return (
            f"it is an order of rows and columns, and the tokenizer's grid {shapes} is not two-dimensional; "
            "use the ordering raster, which visits grids of any rank"
        )


class Raster(FixedOrdering):
    """Row by row; on a grid of another rank the last coordinate runs fastest."""

    def visit(self, grid: tuple[int, ...]) -> orders.Order:
        """The flat indices as they come."""
        return orders.raster(1, int(np.prod(grid)))


class RasterMirrored(PlaneOrdering):
    """Row by row, each row from right to left."""

    def visit(self, grid: tuple[int, ...]) -> orders.Order:
        """See ``orders.raster_mirrored``."""
        height, width = grid
        return orders.raster_mirrored(height, width)


class RasterFlipped(PlaneOrdering):
    """Row by row from the bottom."""

    def visit(self, grid: tuple[int, ...]) -> orders.Order:
        """See ``orders.raster_flipped``."""
        height, width = grid
        return orders.raster_flipped(height, width)


class RasterRotated(PlaneOrdering):
    """Row by row from the bottom, each row from right to left."""

    def visit(self, grid: tuple[int, ...]) -> orders.Order:
        """See ``orders.raster_rotated``."""
        height, width = grid
        return orders.raster_rotated(height, width)


class ColumnMajor(PlaneOrdering):
    """Column by column."""

    def visit(self, grid: tuple[int, ...]) -> orders.Order:
        """See ``orders.column_major``."""
        height, width = grid
        return orders.column_major(height, width)


class Alternate(PlaneOrdering):
    """Row by row, odd rows from right to left."""

    def visit(self, grid: tuple[int, ...]) -> orders.Order:
        """See ``orders.alternate``."""
        height, width = grid
        return orders.alternate(height, width)


class SpiralOut(PlaneOrdering):
    """Outwards from the centre, clockwise."""

    def visit(self, grid: tuple[int, ...]) -> orders.Order:
        """See ``orders.spiral_out``."""
        height, width = grid
        return orders.spiral_out(height, width)


class SpiralIn(PlaneOrdering):
    """Inwards to the centre."""

    def visit(self, grid: tuple[int, ...]) -> orders.Order:
        """See ``orders.spiral_in``."""
        height, width = grid
        return orders.spiral_in(height, width)


class ZCurve(PlaneOrdering):
    """Morton order."""

    def visit(self, grid: tuple[int, ...]) -> orders.Order:
        """See ``orders.z_curve``."""
        height, width = grid
        return orders.z_curve(height, width)


class Subsample(PlaneOrdering):
    """Coarse to fine by recursive subsampling."""

    def visit(self, grid: tuple[int, ...]) -> orders.Order:
        """See ``orders.subsample``."""
        height, width = grid
        return orders.subsample(height, width)
