"""Pictures of the visiting orders in text, for ``tamingplat plugins show``. Nothing here imports torch."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise

from tamingplat_orderings import orders

_SIDE = 8
# Columns and lines from one cell to the next on the canvas.
_ACROSS, _DOWN = 5, 2


def raster() -> str:
    """The row-major order on an 8×8 grid."""
    return draw(orders.raster)


def raster_mirrored() -> str:
    """The mirrored row-major order on an 8×8 grid."""
    return draw(orders.raster_mirrored)


def raster_flipped() -> str:
    """The row-major order upside down on an 8×8 grid."""
    return draw(orders.raster_flipped)


def raster_rotated() -> str:
    """The row-major order backwards on an 8×8 grid."""
    return draw(orders.raster_rotated)


def column_major() -> str:
    """The column-major order on an 8×8 grid."""
    return draw(orders.column_major)


def alternate() -> str:
    """The alternate order on an 8×8 grid."""
    return draw(orders.alternate)


def spiral_out() -> str:
    """The outward spiral on an 8×8 grid."""
    return draw(orders.spiral_out)


def spiral_in() -> str:
    """The inward spiral on an 8×8 grid."""
    return draw(orders.spiral_in)


def z_curve() -> str:
    """The z-curve on an 8×8 grid."""
    return draw(orders.z_curve)


def subsample() -> str:
    """The subsample order on an 8×8 grid."""
    return draw(orders.subsample)


def draw(order: Callable[[int, int], orders.Order], height: int = _SIDE, width: int = _SIDE) -> str:
    """A grid with the step at which each cell is visited; lines join cells that touch and are visited one after the other.

    Args:
        order: One of the definitions in ``orders``.
        height: Rows of the grid.
        width: Columns of the grid.
    """
    digits = len(str(height * width - 1))
    canvas = [[" "] * ((width - 1) * _ACROSS + digits) for _ in range((height - 1) * _DOWN + 1)]
    cells = [divmod(int(index), width) for index in order(height, width)]
    for step, (row, column) in enumerate(cells):
        left = column * _ACROSS
        canvas[row * _DOWN][left : left + digits] = f"{step:>{digits}}"
    for (row, column), (next_row, next_column) in pairwise(cells):
        down, right = next_row - row, next_column - column
        if max(abs(down), abs(right)) > 1:
            continue
        line, left = row * _DOWN + down, min(column, next_column) * _ACROSS + digits
        if down == 0:
            canvas[line][left : left + _ACROSS - digits] = "─" * (_ACROSS - digits)
        elif right == 0:
            canvas[line][column * _ACROSS + digits - 1] = "│"
        else:
            canvas[line][left + (_ACROSS - digits) // 2] = "╲" if down == right else "╱"
    return "\n".join("".join(line).rstrip() for line in canvas)
