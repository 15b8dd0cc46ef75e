"""Which pixels of a scene are computed.

Shape letters: h/w window in pixels.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from tamingplat_scenes.arrays import Floats
from tamingplat_scenes.outlines import Box

Patch = tuple[slice, slice]
"""Rows and columns of a window."""


@dataclass(frozen=True)
class Window:
    """Which pixels of a whole scene are computed.

    Attributes:
        whole: Height and width of the whole scene in pixels.
        top: First row.
        left: First column.
        size: Height and width in pixels.
    """

    whole: tuple[int, int]
    top: int
    left: int
    size: tuple[int, int]

    @property
    def pixel(self) -> float:
        """Side of a pixel, in heights of the scene."""
        return 1 / self.whole[0]

    @cached_property
    def x(self) -> Floats:
        """Centre of every column, float32 (w,), in heights of the scene."""
        return ((self.left + np.arange(self.size[1]) + 0.5) / self.whole[0]).astype(np.float32)

    @cached_property
    def y(self) -> Floats:
        """Centre of every row, float32 (h, 1), in heights of the scene."""
        return ((self.top + np.arange(self.size[0]) + 0.5) / self.whole[0]).astype(np.float32)[:, None]

    def inside(self, box: Box) -> Patch | None:
        """Rows and columns of the window that a box of left, top, right and bottom touches; ``None`` where it touches none."""
        scale = self.whole[0]
        (height, width), (left, top, right, bottom) = self.size, box
        rows = slice(max(0, int(top * scale) - 1 - self.top), min(height, int(bottom * scale) + 2 - self.top))
        columns = slice(max(0, int(left * scale) - 1 - self.left), min(width, int(right * scale) + 2 - self.left))
        return (rows, columns) if rows.start < rows.stop and columns.start < columns.stop else None
