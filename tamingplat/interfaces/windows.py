"""A window over the codes of an image, and over the grids of its condition with them.

Shape letters: n codes or condition tokens of a window, k windows.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from tamingplat.interfaces.spaces import CodeSpace, ConditionLayout, ConditionPart


@dataclass(frozen=True)
class Crop:
    """Where the tokens of a window lie among those of the image: ``first + top · down + left · across``.

    Attributes:
        first: int64 (n,), their places for the window in the upper left corner.
        down: int64 (n,), how far each is from there for a window one code lower; 0 for a token that all windows have.
        across: int64 (n,), the same for a window one code to the right.
    """

    first: npt.NDArray[np.int64]
    down: npt.NDArray[np.int64]
    across: npt.NDArray[np.int64]

    def at(self, top: int, left: int) -> npt.NDArray[np.int64]:
        """int64 (n,): the places for one window, counted in codes from the upper left corner."""
        return self.first + top * self.down + left * self.across


@dataclass(frozen=True)
class Windows:
    """Windows of one size over the codes of an image.

    Attributes:
        space: The image's codes.
        layout: The parts of its condition. Grids are cropped with the window, and parts of one token belong to every window.
        size: Rows and columns of codes of a window.
    """

    space: CodeSpace
    layout: ConditionLayout
    size: tuple[int, int]

    def refusal(self) -> str | None:
        """Why there is no such window, with the remedy; ``None`` where there is. Ask this before anything else."""
        grids, (height, width) = self.space.grids, self.size
        if len(grids) != 1:
            sizes = " and ".join("×".join(map(str, grid)) for grid in grids)
            return (
                f"a window slides over one grid of codes, and these are {len(grids)}, {sizes}: no window over one says which "
                "part of the others belongs to it; choose a tokenizer with one grid"
            )
        grid = grids[0]
        if len(grid) != 2:
            return (
                f"a window slides over rows and columns, and the codes' grid {grid} has "
                f"{len(grid)} dimension{'s' * (len(grid) != 1)}; choose a tokenizer with a grid of two"
            )
        if height > grid[0] or width > grid[1]:
            return (
                f"the image has {grid[0]}×{grid[1]} codes, which is smaller than the window of {height}×{width}; take larger "
                "images or a smaller window"
            )
        for part in self.layout:
            if part.grid is None:
                continue
            if len(part.grid) != 2:
                return f"the grid {part.grid} of condition {part.name} has no rows and columns for a window to slide over"
            if part.grid[0] % grid[0] or part.grid[1] % grid[1]:
                return (
                    f"the condition {part.name} has a grid of {part.grid[0]}×{part.grid[1]}, which is no multiple of the "
                    f"{grid[0]}×{grid[1]} codes, so that it cannot follow a window that moves by one code; give "
                    "the condition a grid that is as large as that of the codes, or a multiple of it"
                )
        return None

    @property
    def moves(self) -> bool:
        """Whether there is more than one window."""
        return self.space.grids != (self.size,)

    @property
    def grid(self) -> tuple[int, int]:
        """Rows and columns of the image's codes."""
        height, width = self.space.grids[0]
        return height, width

    @property
    def window_space(self) -> CodeSpace:
        """The codes of a window."""
        return CodeSpace((self.size,), self.space.vocab_size)

    @cached_property
    def window_layout(self) -> ConditionLayout:
        """The condition of a window."""
        return tuple(ConditionPart(part.name, part.vocab_size, self._window_grid(part)) for part in self.layout)

    def _window_grid(self, part: ConditionPart) -> tuple[int, int] | None:
        if part.grid is None:
            return None
        down, across = self._scale(part.grid)
        return self.size[0] * down, self.size[1] * across

    def _scale(self, grid: tuple[int, ...]) -> tuple[int, int]:
        """How many rows and columns of a condition's grid belong to a code."""
        return grid[0] // self.grid[0], grid[1] // self.grid[1]

    @cached_property
    def codes(self) -> Crop:
        """The places of a window's codes, row by row."""
        return _grid_crop(0, self.grid, self.size, (1, 1))

    @cached_property
    def condition(self) -> Crop:
        """The places of a window's condition tokens, in layout order."""
        crops, start = [], 0
        for part in self.layout:
            window = self._window_grid(part)
            if window is None or part.grid is None:
                zero = np.zeros(1, dtype=np.int64)
                crops.append(Crop(zero + start, zero, zero))
            else:
                crops.append(_grid_crop(start, part.grid, window, self._scale(part.grid)))
            start += part.length
        empty = np.zeros(0, dtype=np.int64)
        return Crop(
            np.concatenate([empty, *(crop.first for crop in crops)]),
            np.concatenate([empty, *(crop.down for crop in crops)]),
            np.concatenate([empty, *(crop.across for crop in crops)]),
        )

    def tiles(self) -> tuple[tuple[int, int], ...]:
        """Top and left of the windows that cover the image, row by row.

        They do not overlap where the window's sides divide the grid's, and as little as possible where not: the last ones then
        end with the image.
        """
        tops, lefts = (
            [min(number * window, side - window) for number in range(math.ceil(side / window))]
            for side, window in zip(self.grid, self.size, strict=True)
        )
        return tuple((top, left) for top in tops for left in lefts)

    def places(self) -> tuple[int, int]:
        """How many tops and how many lefts a window can have."""
        return self.grid[0] - self.size[0] + 1, self.grid[1] - self.size[1] + 1


def _grid_crop(start: int, grid: tuple[int, ...], window: tuple[int, int], scale: tuple[int, int]) -> Crop:
    """A window of a grid whose first token lies at ``start``, where ``scale`` rows and columns belong to a code."""
    row_length = grid[1]
    first = start + np.arange(window[0])[:, None] * row_length + np.arange(window[1])
    down = np.full(first.shape, scale[0] * row_length)
    across = np.full(first.shape, scale[1])
    return Crop(*(array.ravel().astype(np.int64) for array in (first, down, across)))
