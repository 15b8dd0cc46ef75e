"""A window of a scene that is painted from back to front.

Shape letters: h/w window in pixels.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from tamingplat_scenes.noise import Floats
from tamingplat_scenes.outlines import Outline
from tamingplat_scenes.settings import Colour
from tamingplat_scenes.things import Part, Thing

_LIGHT = np.array([-0.48, -0.60, 0.64], np.float32)
"""From where the light comes: right, down, towards us."""


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

    @property
    def x(self) -> Floats:
        """Centre of every column, float32 (w,), in heights of the scene."""
        return ((self.left + np.arange(self.size[1]) + 0.5) / self.whole[0]).astype(np.float32)

    @property
    def y(self) -> Floats:
        """Centre of every row, float32 (h,), in heights of the scene."""
        return ((self.top + np.arange(self.size[0]) + 0.5) / self.whole[0]).astype(np.float32)

    def inside(self, box: tuple[float, float, float, float]) -> tuple[slice, slice] | None:
        """Rows and columns of the window that a box of left, top, right and bottom touches; ``None`` where it touches none."""
        scale = self.whole[0]
        (height, width), (left, top, right, bottom) = self.size, box
        rows = slice(max(0, int(top * scale) - 1 - self.top), min(height, int(bottom * scale) + 2 - self.top))
        columns = slice(max(0, int(left * scale) - 1 - self.left), min(width, int(right * scale) + 2 - self.left))
        return (rows, columns) if rows.start < rows.stop and columns.start < columns.stop else None


class Canvas:
    """A window while it is painted.

    Attributes:
        window: Which pixels.
        x: Columns, float32 (w,).
        y: Rows, float32 (h, 1).
        image: RGB, float32 (h, w, 3), nominally in [0, 1]; ``None`` where no colours are wanted.
        segmentation: Classes, uint8 (h, w).
        depth: Inverse distance, float32 (h, w).
    """

    def __init__(self, window: Window, *, colours: bool) -> None:
        self.window = window
        self.x, self.y = window.x, window.y[:, None]
        self.image: Floats | None = np.zeros((*window.size, 3), np.float32) if colours else None
        self.segmentation: npt.NDArray[np.uint8] = np.zeros(window.size, np.uint8)
        self.depth: Floats = np.zeros(window.size, np.float32)

    def paint(self, thing: Thing, light: Colour, haze: Colour, thickness: float) -> None:
        """Paint a thing over what is there.

        Args:
            thing: What is painted.
            light: Factors on its colours.
            haze: Colour of what is far away.
            thickness: How much of it covers the thing, 0 to 1.
        """
        kept = np.array(light, np.float32) * np.float32(1 - thickness)
        added = np.array(haze, np.float32) * np.float32(thickness)
        for part in thing.parts:
            touched = self.window.inside(part.outline.box)
            if touched is None:
                continue
            rows, columns = touched
            x, y = self.x[columns], self.y[rows]
            distance, share = part.outline.measure(x, y)
            inside = distance < 0
            np.putmask(self.segmentation[touched], inside, thing.number)
            np.putmask(self.depth[touched], inside, np.float32(thing.near))
            if self.image is not None:
                _cover(self.image[touched], _shaded(part, x, y, share, kept) + added, _coverage(distance, self.window))

    def disc(self, outline: Outline, colour: Colour, strength: float = 1.0) -> None:
        """Paint something that is in no map: sun, moon and stars."""
        touched = self.window.inside(outline.box)
        if touched is not None and self.image is not None:
            distance = outline.distance(self.x[touched[1]], self.y[touched[0]])
            cover = _coverage(distance, self.window) * np.float32(strength)
            _cover(self.image[touched], np.array(colour, np.float32), cover)


def _coverage(distance: Floats, window: Window) -> Floats:
    """How much of each pixel is inside of what is ``distance`` away, 0 to 1."""
    covered: Floats = np.minimum(np.maximum(0.5 - distance * np.float32(window.whole[0]), 0), 1)
    return covered


def _cover(under: Floats, colour: Floats, cover: Floats) -> None:
    """Blend colours (h, w, 3) over ``under``, in place, as much as ``cover`` (h, w) says."""
    under += cover[..., None] * (colour - under)


def _shaded(part: Part, x: Floats, y: Floats, share: Floats | None, light: Floats) -> Floats:
    """The colour of a part under a light of three factors, float32 (h, w, 3) or what broadcasts to it."""
    colour = np.array(part.colour, np.float32) * light
    shaded: npt.NDArray[Any]
    left, top, right, bottom = part.outline.box
    match part.shading:
        case "ball":
            radius, middle = np.float32((right - left) / 2), ((left + right) / 2, (top + bottom) / 2)
            across, down = (x - np.float32(middle[0])) / radius, (y - np.float32(middle[1])) / radius
            towards = np.sqrt(np.maximum(0, 1 - across * across - down * down))
            lit = np.maximum(0, across * _LIGHT[0] + down * _LIGHT[1] + towards * _LIGHT[2])
            bright = lit * lit * lit
            bright *= bright
            shaded = colour * (0.45 + 0.65 * lit + 0.25 * bright * bright)[..., None]
        case "cone":
            half = np.maximum((y - np.float32(top)) * np.float32((right - left) / 2 / (bottom - top)), np.float32(1e-6))
            across = np.minimum(np.maximum((x - np.float32((left + right) / 2)) / half, -1), 1)
            lit = np.maximum(0, across * (1.2 * _LIGHT[0]) + np.sqrt(1 - across * across) * _LIGHT[2])
            shaded = colour * (0.5 + 0.75 * lit)[..., None]
        case "face":
            shaded = colour * (1 - 0.22 * (y - np.float32(top)) / np.float32(bottom - top))[..., None]
        case "blend":
            assert share is not None and part.other is not None, part
            other = np.array(part.other, np.float32) * light
            shaded = colour + (other - colour) * share[..., None]
        case _:
            shaded = colour
    return np.asarray(shaded, dtype=np.float32)
