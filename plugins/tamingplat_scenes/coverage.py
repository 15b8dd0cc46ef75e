"""What outlines cover of a window's pixels.

Shape letters: h/w pixels around an outline.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from tamingplat_scenes.arrays import HALF, ZERO, Floats, between
from tamingplat_scenes.outlines import Capsule, Outline, measure_all
from tamingplat_scenes.window import Place, Window

FEWEST_TOGETHER = 8
"""Fewer capsules are measured one by one."""
LARGEST_TOGETHER = 24
"""Height and width in pixels up to which capsules are measured together, in arrays of the largest one's size: in small ones an
operation costs more than its numbers do."""


class Covered(NamedTuple):
    """What an outline covers.

    Attributes:
        place: Rows and columns of the window around it.
        inside: Whether a pixel's centre is inside, bool (h, w).
        share: How much of a pixel is inside, float32 (h, w), 0 to 1.
        along: How far along a capsule a pixel is, float32 (h, w), 0 to 1; ``None`` or 0 where the outline has no length.
    """

    place: Place
    inside: npt.NDArray[np.bool_]
    share: Floats
    along: Floats | None


def covered(outlines: Sequence[Outline], places: Sequence[Place | None], window: Window) -> list[Covered | None]:
    """What every outline covers of the pixels at its place in a window; ``None`` where it has none."""
    small = [
        (number, outline, place)
        for number, (outline, place) in enumerate(zip(outlines, places, strict=True))
        if place is not None and isinstance(outline, Capsule) and _longest(place) <= LARGEST_TOGETHER
    ]
    found: dict[int, Covered] = {}
    if len(small) >= FEWEST_TOGETHER:
        numbers, capsules, around = zip(*small, strict=True)
        found = dict(zip(numbers, _together(capsules, around, window), strict=True))
    for number, (outline, place) in enumerate(zip(outlines, places, strict=True)):
        if place is not None and number not in found:
            rows, columns = place
            distance, along = outline.measure(window.x[columns], window.y[rows])
            found[number] = Covered(place, distance < ZERO, share_inside(distance, window), along)
    return [found.get(number) for number in range(len(outlines))]


def share_inside(distance: Floats, window: Window) -> Floats:
    """How much of each pixel is inside of what is ``distance`` away, 0 to 1."""
    return between(HALF - distance * np.array(window.whole[0], np.float32))


def _longest(place: Place) -> int:
    longest: int = max(side.stop - side.start for side in place)
    return longest


def _together(capsules: Sequence[Capsule], places: Sequence[Place], window: Window) -> list[Covered]:
    """``covered`` of capsules, each in as many pixels as the largest of them needs."""
    tops, lefts = (np.array([place[axis].start for place in places])[:, None, None] for axis in (0, 1))
    pixels = np.arange(max(_longest(place) for place in places))
    x = window.x.take(lefts + pixels, mode="clip")
    y = window.y.take(tops + pixels[:, None], mode="clip")
    distance, along = measure_all(capsules, x, y)
    inside, share = distance < ZERO, share_inside(distance, window)
    own = [
        (number, slice(rows.stop - rows.start), slice(columns.stop - columns.start))
        for number, (rows, columns) in enumerate(places)
    ]
    return [Covered(place, inside[part], share[part], along[part]) for place, part in zip(places, own, strict=True)]
