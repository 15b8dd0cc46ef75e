"""A window of a scene that is painted from back to front.

Shape letters: h/w window in pixels.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from tamingplat_scenes.arrays import ONE, ZERO, Floats, scalars
from tamingplat_scenes.coverage import covered, share_inside
from tamingplat_scenes.outlines import Box, Outline
from tamingplat_scenes.settings import Colour
from tamingplat_scenes.things import Part, Thing
from tamingplat_scenes.window import Window

_LIGHT = scalars(-0.48, -0.60, 0.64)
"""From where the light comes: right, down, towards us."""

_BALL = scalars(0.45, 0.65, 0.25)
"""Of a ball's brightness: what all of it has, what grows with the light, and the highlight."""
_CONE = scalars(0.5, 0.75)
"""Of a cone's: what all of it has, and what grows with the light."""
_CONE_ACROSS = 1.2 * _LIGHT[0]
"""Light from the left on a cone."""
_THINNEST = np.array(1e-6, np.float32)
"""Half the breadth of a cone's tip, in heights of the scene."""
_FACE = np.array(0.22, np.float32)
"""How much darker a face is at its foot."""


class Canvas:
    """A window while it is painted.

    Attributes:
        window: Which pixels.
        image: RGB, float32 (3, h, w), nominally in [0, 1]; ``None`` where no colours are wanted.
        segmentation: Classes behind all things, uint8 (h, w).
        depth: Inverse distance behind all things, float32 (h, w).
    """

    def __init__(self, window: Window, *, colours: bool) -> None:
        self.window = window
        self.image: Floats | None = np.zeros((3, *window.size), np.float32) if colours else None
        self.segmentation: npt.NDArray[np.uint8] = np.zeros(window.size, np.uint8)
        self.depth: Floats = np.zeros(window.size, np.float32)
        self._things: list[Thing] = []
        self._foremost: npt.NDArray[np.intp] = np.full(window.size, -1)

    def rows_above(self, row: float) -> int:
        """How many rows of pixels have their centre above a place."""
        return int(np.searchsorted(self.window.y[:, 0], np.float32(row)))

    def paint(self, thing: Thing, light: Colour, haze: Colour, thickness: float) -> None:
        """Paint a thing over what is there.

        Args:
            thing: What is painted.
            light: Factors on its colours.
            haze: Colour of what is far away.
            thickness: How much of it covers the thing, 0 to 1.
        """
        kept = np.array(light, np.float32) * np.float32(1 - thickness)
        colours = np.array([(part.colour, part.other or part.colour) for part in thing.parts], np.float32) * kept
        added = planes(haze) * np.float32(thickness)
        number = np.array(len(self._things))
        self._things.append(thing)
        found = covered([part.outline for part in thing.parts], [self.window.inside(box) for box in thing.boxes], self.window)
        for part, box, pixels, (colour, other) in zip(thing.parts, thing.boxes, found, colours[..., None, None], strict=True):
            if pixels is None:
                continue
            rows, columns = pixels.patch
            self._foremost[rows, columns][pixels.inside] = number
            if self.image is not None:
                shaded = _shaded(part, box, self.window.x[columns], self.window.y[rows], pixels.along, colour, other) + added
                cover(self.image[:, rows, columns], shaded, pixels.share)

    def maps(self) -> tuple[npt.NDArray[np.uint8], Floats]:
        """Classes, uint8 (h, w), and inverse distance, float32 (h, w), of what has been painted."""
        background = self._foremost < 0
        numbers = np.array([thing.number for thing in self._things], np.uint8)
        nears = np.array([thing.near for thing in self._things], np.float32)
        return (
            np.where(background, self.segmentation, numbers.take(self._foremost)),
            np.where(background, self.depth, nears.take(self._foremost)),
        )

    def disc(self, outline: Outline, colour: Colour, strength: float = 1.0) -> None:
        """Paint something that is in no map: sun, moon and stars."""
        touched = self.window.inside(outline.box)
        if touched is not None and self.image is not None:
            rows, columns = touched
            share = share_inside(outline.distance(self.window.x[columns], self.window.y[rows]), self.window)
            cover(self.image[:, rows, columns], planes(colour), share * np.float32(strength))


def planes(colour: Colour) -> Floats:
    """A colour that is broadcast over pixels, float32 (3, 1, 1)."""
    return np.array(colour, np.float32).reshape(3, 1, 1)


def cover(under: Floats, colour: Floats, share: Floats) -> None:
    """Blend colours over ``under`` (3, h, w), in place, as much as ``share`` (h, w) says."""
    change = colour - under
    change *= share
    under += change


def _shaded(part: Part, box: Box, x: Floats, y: Floats, along: Floats | None, colour: Floats, other: Floats) -> Floats:
    """The colours of a part in the light, float32 (3, h, w) or what broadcasts to it, from its own two, (3, 1, 1)."""
    left, top, right, bottom = box
    brightness: Floats
    match part.shading:
        case "ball":
            radius, column, row = scalars((right - left) / 2, (left + right) / 2, (top + bottom) / 2)
            across, down = (x - column) / radius, (y - row) / radius
            towards = ONE - across * across - down * down
            np.sqrt(np.maximum(towards, ZERO, out=towards), out=towards)
            lit = across * _LIGHT[0] + down * _LIGHT[1] + towards * _LIGHT[2]
            np.maximum(lit, ZERO, out=lit)
            bright = lit * lit * lit
            bright *= bright
            brightness = _BALL[0] + _BALL[1] * lit + _BALL[2] * bright * bright
        case "cone":
            height, widening, middle = scalars(top, (right - left) / 2 / (bottom - top), (left + right) / 2)
            across = (x - middle) / np.maximum((y - height) * widening, _THINNEST)
            np.minimum(np.maximum(across, -ONE, out=across), ONE, out=across)
            lit = across * _CONE_ACROSS + np.sqrt(ONE - across * across) * _LIGHT[2]
            np.maximum(lit, ZERO, out=lit)
            brightness = _CONE[0] + _CONE[1] * lit
        case "face":
            height, tallness = scalars(top, bottom - top)
            brightness = ONE - np.divide(_FACE * (y - height), tallness)
        case "blend":
            assert along is not None and part.other is not None, part
            return colour + (other - colour) * along
        case _:
            return colour
    return colour * brightness
