"""Visiting orders as pure definitions on one grid: the paper's six (Sec. 4.4, Fig. 29), and the mirror images of raster.

Every function takes a grid's height H and width W, both at least 1, and returns int64 (H·W,): the raster index visited at each
step. They are defined for every H and W; on square grids whose side is a power of two the six equal the authors' public code.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Order = npt.NDArray[np.int64]


def raster(height: int, width: int) -> Order:
    """Row by row from the top, each row from left to right."""
    return np.arange(height * width, dtype=np.int64)


def raster_mirrored(height: int, width: int) -> Order:
    """``raster`` seen in a mirror: row by row from the top, each row from right to left."""
    return raster(height, width).reshape(height, width)[:, ::-1].reshape(-1).copy()


def raster_flipped(height: int, width: int) -> Order:
    """``raster`` upside down: row by row from the bottom, each row from left to right."""
    return raster(height, width).reshape(height, width)[::-1].reshape(-1).copy()


def raster_rotated(height: int, width: int) -> Order:
    """``raster`` turned by half a circle, that is, backwards: row by row from the bottom, each row from right to left."""
    return raster(height, width)[::-1].copy()


def column_major(height: int, width: int) -> Order:
    """``raster`` mirrored at the diagonal: column by column from the left, each column from top to bottom."""
    return raster(height, width).reshape(height, width).T.reshape(-1).copy()


def alternate(height: int, width: int) -> Order:
    """Row by row from the top; odd rows run from right to left (boustrophedon)."""
    indices = raster(height, width).reshape(height, width)
    indices[1::2] = indices[1::2, ::-1].copy()
    return indices.reshape(-1)


def spiral_out(height: int, width: int) -> Order:
    """Outwards from the centre, clockwise: the square spiral that begins upwards.

    It starts at row ⌊H/2⌋, column ⌈W/2⌉ − 1 and runs up, right, down, left by 1, 1, 2, 2, 3, 3, … cells. Where the grid is not
    square the spiral leaves it, and cells outside are skipped.
    """
    row, column = height // 2, (width + 1) // 2 - 1
    visited = [row * width + column]
    run = 0
    while len(visited) < height * width:
        for turn, (down, right) in enumerate(((-1, 0), (0, 1), (1, 0), (0, -1))):
            run += 1 - turn % 2
            for _ in range(run):
                row, column = row + down, column + right
                if 0 <= row < height and 0 <= column < width:
                    visited.append(row * width + column)
    return np.array(visited, dtype=np.int64)


def spiral_in(height: int, width: int) -> Order:
    """Inwards to the centre: the reverse of ``spiral_out``."""
    return spiral_out(height, width)[::-1].copy()


def z_curve(height: int, width: int) -> Order:
    """Morton order: cells sorted by the interleaved bits of row and column, the column's bit lowest."""
    rows, columns = np.divmod(raster(height, width), width)
    code = np.zeros_like(rows)
    for bit in range(max(height, width).bit_length()):
        code |= ((columns >> bit) & 1) << (2 * bit)
        code |= ((rows >> bit) & 1) << (2 * bit + 1)
    return np.argsort(code, kind="stable").astype(np.int64)


def subsample(height: int, width: int) -> Order:
    """Coarse to fine: first all cells with even row and even column, then odd columns, then odd rows, then both odd.

    Each of the four parts is visited by the same rule in turn. Where a side is odd, its even half is one longer.
    """
    return np.array(_polyphase(raster(height, width).reshape(height, width)), dtype=np.int64)


def _polyphase(indices: Order) -> list[int]:
    if indices.size <= 1:
        return [int(index) for index in indices.reshape(-1)]
    phases = (indices[row::2, column::2] for row in (0, 1) for column in (0, 1))
    return [index for phase in phases for index in _polyphase(phase)]
