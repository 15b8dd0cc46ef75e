"""A part of an image that is given, as a rectangle: what of it is pixels, and what is codes.

Shape letters: N code positions.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, NamedTuple

import numpy as np
import numpy.typing as npt
from pydantic import Field

from tamingplat.interfaces.spaces import CodeSpace

Share = Annotated[float, Field(ge=0, le=1)]

# How far, in codes, a border may lie beside the grid: what a share such as 0.333 is short of 1/3.
_SLACK = 0.02


class Region(NamedTuple):
    """A rectangle of an image, in shares of its height and its width, so that it means the same at every size.

    Attributes:
        top: Where it begins, from above; 0 is the upper border.
        left: Where it begins, from the left.
        bottom: Where it ends, from above; 1 is the lower border.
        right: Where it ends, from the left.
    """

    top: Share
    left: Share
    bottom: Share
    right: Share

    def refusal(self, space: CodeSpace) -> str | None:
        """Why it is no part of such codes, with the remedy; ``None`` where it is one and leaves something to be drawn."""
        if any(len(grid) < 2 for grid in space.grids):
            return "a region is a rectangle, and these codes are a sequence without rows and columns; take a tokenizer of grids"
        if self.top >= self.bottom or self.left >= self.right:
            return f"the region {self} is empty; it is top, left, bottom and right, as shares of height and width"
        for grid in space.grids:
            beside = [value for value, side in self._sides(grid) if abs(value * side - round(value * side)) > _SLACK]
            if beside:
                aligned = ", ".join(f"{round(value * side) / side:g}" for value, side in self._sides(grid))
                return (
                    f"the region {self} does not lie on the grid of {grid[0]}×{grid[1]} codes at "
                    f"{', '.join(f'{value:g}' for value in beside)}; the nearest one that does is {aligned}"
                )
            if self._empty(grid):
                return f"the region {self} is narrower than a code of the grid of {grid[0]}×{grid[1]}; make it larger"
        if self.mask(space).all():
            return "the region is the whole image, and leaves nothing to be drawn; make it smaller"
        return None

    def mask(self, space: CodeSpace) -> npt.NDArray[np.bool_]:
        """The codes that lie in it, bool (N,) in canonical order, for a space that is not refused."""
        parts = []
        for grid in space.grids:
            inside = np.zeros(grid, dtype=np.bool_)
            top, left, bottom, right = self.cells(grid)
            inside[top:bottom, left:right] = True
            parts.append(inside.ravel())
        return np.concatenate(parts)

    def cells(self, grid: tuple[int, ...]) -> tuple[int, int, int, int]:
        """Top, left, bottom and right in codes of a grid."""
        top, left, bottom, right = (round(value * side) for value, side in self._sides(grid))
        return top, left, bottom, right

    def pixels(self, image_size: tuple[int, int], space: CodeSpace) -> tuple[int, int, int, int]:
        """Top, left, bottom and right in pixels of an image of that height and width, which is a multiple of the grid."""
        grid = space.grids[0]
        down, across = image_size[0] // grid[0], image_size[1] // grid[1]
        top, left, bottom, right = self.cells(grid)
        return top * down, left * across, bottom * down, right * across

    def _sides(self, grid: tuple[int, ...]) -> Iterator[tuple[float, int]]:
        """Each border with the number of codes along it."""
        yield from ((self.top, grid[0]), (self.left, grid[1]), (self.bottom, grid[0]), (self.right, grid[1]))

    def _empty(self, grid: tuple[int, ...]) -> bool:
        top, left, bottom, right = self.cells(grid)
        return top == bottom or left == right

    def __str__(self) -> str:
        return ", ".join(f"{value:g}" for value in self)
