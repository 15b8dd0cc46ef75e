"""Outlines: how far places are from the border of something, negative inside.

Computed from sums, products and roots alone, which every machine rounds alike: what a pixel belongs to is the same everywhere.

Shape letters: h/w window in pixels.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float32]
Place = tuple[float, float]
"""Column and row, in heights of the scene."""


@dataclass(frozen=True)
class Capsule:
    """All places at most ``radius`` from the line between two points; a disc where they are the same."""

    start: Place
    end: Place
    radius: float

    @cached_property
    def box(self) -> tuple[float, float, float, float]:
        """Left, top, right and bottom of all that is inside."""
        (x, y), (u, v), r = self.start, self.end, self.radius
        return min(x, u) - r, min(y, v) - r, max(x, u) + r, max(y, v) + r

    def distance(self, x: Floats, y: Floats) -> Floats:
        """From the border, float32 (h, w) of columns (w,) and rows (h, 1)."""
        return self.measure(x, y)[0]

    def measure(self, x: Floats, y: Floats) -> tuple[Floats, Floats | None]:
        """Distances, and how far along the line its nearest point is: 0 to 1, (h, w); ``None`` for a disc."""
        across, down = x - np.float32(self.start[0]), y - np.float32(self.start[1])
        share = None
        if self.start != self.end:
            right, below = self.end[0] - self.start[0], self.end[1] - self.start[1]
            length = right * right + below * below
            share = across * np.float32(right / length) + down * np.float32(below / length)
            share = np.minimum(np.maximum(share, 0, out=share), 1, out=share)
            across, down = across - share * np.float32(right), down - share * np.float32(below)
        squares = across * across + down * down
        return np.sqrt(squares, out=squares) - np.float32(self.radius), share


@dataclass(frozen=True)
class Polygon:
    """A convex polygon, its corners clockwise as they are seen."""

    corners: tuple[Place, ...]

    @cached_property
    def box(self) -> tuple[float, float, float, float]:
        """Left, top, right and bottom of all that is inside."""
        x, y = zip(*self.corners, strict=True)
        return min(x), min(y), max(x), max(y)

    def distance(self, x: Floats, y: Floats) -> Floats:
        """From the nearest side's line, float32 (h, w) of columns (w,) and rows (h, 1)."""
        worst: Floats | None = None
        for (x0, y0), (x1, y1) in zip(self.corners, self.corners[1:] + self.corners[:1], strict=True):
            across, down = x1 - x0, y1 - y0
            length = float(np.sqrt(across * across + down * down))
            outward = (x - np.float32(x0)) * np.float32(down / length) - (y - np.float32(y0)) * np.float32(across / length)
            worst = outward if worst is None else np.maximum(worst, outward)
        assert worst is not None, "a polygon has corners"
        return worst

    def measure(self, x: Floats, y: Floats) -> tuple[Floats, None]:
        """Distances alone; a polygon has no line along which something could be."""
        return self.distance(x, y), None


Outline = Capsule | Polygon
