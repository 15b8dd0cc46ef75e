"""Outlines: how far places are from the border of something, negative inside.

Computed from sums, products and roots alone, which every machine rounds alike: what a pixel belongs to is the same everywhere.

Shape letters: h/w window in pixels.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from tamingplat_scenes.arrays import Floats, between, scalars

Place = tuple[float, float]
"""Column and row, in heights of the scene."""
Box = tuple[float, float, float, float]
"""Left, top, right and bottom, in heights of the scene."""


class Capsule(NamedTuple):
    """All places at most ``radius`` from the line between two points; a disc where they are the same."""

    start: Place
    end: Place
    radius: float

    @property
    def box(self) -> Box:
        """Left, top, right and bottom of all that is inside."""
        (x, y), (u, v), r = self.start, self.end, self.radius
        return min(x, u) - r, min(y, v) - r, max(x, u) + r, max(y, v) + r

    def distance(self, x: Floats, y: Floats) -> Floats:
        """From the border, float32 (h, w) of columns (w,) and rows (h, 1)."""
        return self.measure(x, y)[0]

    def measure(self, x: Floats, y: Floats) -> tuple[Floats, Floats | None]:
        """Distances, and how far along the line its nearest point is: 0 to 1, (h, w); ``None`` for a disc."""
        if self.start == self.end:
            left, top, radius = scalars(*self.start, self.radius)
            return _distance(x - left, y - top, radius), None
        return _measured(x, y, scalars(*self.numbers()))

    def numbers(self) -> tuple[float, ...]:
        """What ``measure`` computes with: start, factors of how far along the line a place is, the line, and the radius."""
        right, below = self.end[0] - self.start[0], self.end[1] - self.start[1]
        squared = right * right + below * below or 1.0
        return *self.start, right / squared, below / squared, right, below, self.radius


def measure_all(capsules: Sequence[Capsule], x: Floats, y: Floats) -> tuple[Floats, Floats]:
    """``Capsule.measure`` of n capsules at once, each at places of its own.

    Args:
        capsules: All n of them.
        x: Columns, (n, 1, w).
        y: Rows, (n, h, 1).

    Returns:
        Distances (n, h, w) and how far along the line, (n, h, w); 0 for a disc. They are the same to the last bit.
    """
    numbers = np.array([capsule.numbers() for capsule in capsules], np.float32).T
    return _measured(x, y, list(numbers[..., None, None]))


def _measured(x: Floats, y: Floats, numbers: Sequence[Floats]) -> tuple[Floats, Floats]:
    """See ``Capsule.measure``."""
    left, top, by_column, by_row, right, below, radius = numbers
    across, down = x - left, y - top
    share = between(across * by_column + down * by_row)
    return _distance(across - share * right, down - share * below, radius), share


def _distance(across: Floats, down: Floats, radius: Floats) -> Floats:
    """From a circle's border, where its middle is so far away; overwrites what it is given."""
    across *= across
    down *= down
    distance = across + down
    np.sqrt(distance, out=distance)
    distance -= radius
    return distance


class Polygon(NamedTuple):
    """A convex polygon, its corners clockwise as they are seen."""

    corners: tuple[Place, ...]

    @property
    def box(self) -> Box:
        """Left, top, right and bottom of all that is inside."""
        x, y = zip(*self.corners, strict=True)
        return min(x), min(y), max(x), max(y)

    def distance(self, x: Floats, y: Floats) -> Floats:
        """From the nearest side's line, float32 (h, w) of columns (w,) and rows (h, 1)."""
        sides = []
        for (x0, y0), (x1, y1) in zip(self.corners, self.corners[1:] + self.corners[:1], strict=True):
            across, down = x1 - x0, y1 - y0
            length = math.sqrt(across * across + down * down)
            sides.append((x0, y0, down / length, across / length))
        dimensions = (1,) * max(x.ndim, y.ndim)
        left, top, by_column, by_row = np.array(sides, np.float32).T.reshape(4, -1, *dimensions)
        outward = (x - left) * by_column - (y - top) * by_row
        distance: Floats = outward.max(0)
        return distance

    def measure(self, x: Floats, y: Floats) -> tuple[Floats, None]:
        """Distances alone; a polygon has no line along which something could be."""
        return self.distance(x, y), None


Outline = Capsule | Polygon
