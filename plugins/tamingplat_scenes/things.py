"""What stands in a scene: balls, cones, blocks and trees."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Literal, NamedTuple

import numpy as np

from tamingplat_scenes.outlines import Box, Capsule, Outline, Place, Polygon
from tamingplat_scenes.settings import SEGMENTS, SHAPE_COLOURS, TRUNK, Colour

Shading = Literal["flat", "ball", "cone", "face", "blend"]


class Part(NamedTuple):
    """Something of one outline and colour.

    Attributes:
        outline: Where it is.
        colour: RGB before light and haze; nominally in [0, 1].
        shading: flat: the colour; ball and cone: of such a body, lit from above and the left; face: a little darker towards its
            foot; blend: from ``colour`` at the start of a capsule to ``other`` at its end.
        other: The second colour of ``blend``.
    """

    outline: Outline
    colour: Colour
    shading: Shading
    other: Colour | None = None


@dataclass(frozen=True)
class Thing:
    """Something that stands on the ground.

    Attributes:
        segment: The name of its class.
        near: Inverse distance, which is the depth of all its pixels.
        parts: What it is painted of, from back to front.
    """

    segment: str
    near: float
    parts: tuple[Part, ...]

    @property
    def number(self) -> int:
        """The number of its class."""
        return SEGMENTS.index(self.segment)

    @cached_property
    def boxes(self) -> list[Box]:
        """Of all parts."""
        return [part.outline.box for part in self.parts]

    @property
    def breadth(self) -> tuple[float, float]:
        """Leftmost and rightmost column."""
        return min([box[0] for box in self.boxes]), max([box[2] for box in self.boxes])


def make_thing(random: np.random.Generator, segment: str, foot: Place, near: float) -> Thing:
    """A ball, cone, block or tree of random size and colour that stands at ``foot``, its size as its distance says."""
    draws = random.random(8).tolist()
    number = SEGMENTS.index(segment)
    colour = _varied(SHAPE_COLOURS[number], draws[:4])
    size, (x, y) = near * (0.75 + 0.5 * draws[4]), foot
    if segment == "ball":
        radius = 0.15 * size
        place = (x, y - radius)
        return Thing(segment, near, (Part(Capsule(place, place, radius), colour, "ball"),))
    if segment == "cone":
        half, height = 0.15 * size, 0.48 * size
        outline = Polygon(((x, y - height), (x + half, y), (x - half, y)))
        return Thing(segment, near, (Part(outline, colour, "cone"),))
    if segment == "block":
        return Thing(segment, near, _block(x, y, 0.30 * size, (0.7 + 0.7 * draws[5]) * 0.30 * size, colour))
    assert segment == "tree", segment
    return Thing(segment, near, _tree(x, y, 0.85 * size, colour, draws[5:]))


def _varied(colour: Colour, draws: list[float]) -> Colour:
    """A colour near another one: brighter or darker by up to a fifth, every channel shifted by up to 0.07."""
    brightness = 0.8 + 0.4 * draws[0]
    red, green, blue = (
        min(1.0, max(0.0, channel * brightness + 0.14 * (draw - 0.5))) for channel, draw in zip(colour, draws[1:], strict=True)
    )
    return red, green, blue


def _block(x: float, y: float, width: float, height: float, colour: Colour) -> tuple[Part, ...]:
    """A cuboid from the front, a little from above and from the right."""
    left, right, deep, rise = x - width / 2, x + width * 0.3, 0.28 * width, 0.16 * width
    top = y - height
    front = Polygon(((left, top), (right, top), (right, y), (left, y)))
    flank = Polygon(((right, top), (right + deep, top - rise), (right + deep, y - rise), (right, y)))
    lid = Polygon(((left, top), (left + deep, top - rise), (right + deep, top - rise), (right, top)))
    return (
        Part(flank, _scaled(colour, 0.62), "face"),
        Part(lid, _scaled(colour, 1.35), "flat"),
        Part(front, colour, "face"),
    )


def _tree(x: float, y: float, height: float, colour: Colour, draws: list[float]) -> tuple[Part, ...]:
    """A trunk below three balls of leaves."""
    trunk, crown = 0.035 * height, 0.21 * height
    sway = 0.10 * height * (draws[0] - 0.5)
    base = y - 0.48 * height
    parts = [Part(Capsule((x, y - trunk), (x + sway / 2, base), trunk), TRUNK, "flat")]
    spread = 0.14 * height * (0.8 + 0.4 * draws[1])
    middle = x + sway
    for place, radius, light in (
        ((middle + spread, base - 0.02 * height), 0.85 * crown, 0.85),
        ((middle - spread, base - 0.04 * height), 0.9 * crown, 1.0),
        ((middle, base - 0.52 * height + crown), crown, 1.12),
    ):
        parts.append(Part(Capsule(place, place, radius), _scaled(colour, light), "ball"))
    return tuple(parts)


def _scaled(colour: Colour, factor: float) -> Colour:
    red, green, blue = (min(1.0, channel * factor) for channel in colour)
    return red, green, blue
