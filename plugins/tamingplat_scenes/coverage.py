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
from tamingplat_scenes.window import Patch, Window

FEWEST_TOGETHER = 8
"""Fewer capsules are measured one by one."""
LARGEST_TOGETHER = 24
"""Height and width in pixels up to which capsules are measured together, in arrays of the largest one's size: in small ones an
operation costs more than its numbers do."""


class Covered(NamedTuple):
    """What an outline covers.

    Attributes:
        patch: Rows and columns of the window around it.
        inside: Whether a pixel's centre is inside, bool (h, w).
        share: How much of a pixel is inside, float32 (h, w), 0 to 1.
        along: How far along a capsule a pixel is, float32 (h, w), 0 to 1; ``None`` or 0 where the outline has no length.
    """

    patch: Patch
    inside: npt.NDArray[np.bool_]
    share: Floats
    along: Floats | None


def covered(outlines: Sequence[Outline], patches: Sequence[Patch | None], window: Window) -> list[Covered | None]:
    """What every outline covers of its patch of a window; ``None`` where it has none."""
    small = [
        (number, outline, patch)
        for number, (outline, patch) in enumerate(zip(outlines, patches, strict=True))
        if patch is not None and isinstance(outline, Capsule) and _small(*patch)
    ]
    found: dict[int, Covered] = {}
    if len(small) >= FEWEST_TOGETHER:
        numbers, capsules, around = zip(*small, strict=True)
        found = dict(zip(numbers, _together(capsules, around, window), strict=True))
    for number, (outline, patch) in enumerate(zip(outlines, patches, strict=True)):
        if patch is not None and number not in found:
            rows, columns = patch
            distance, along = outline.measure(window.x[columns], window.y[rows])
            found[number] = Covered(patch, distance < ZERO, share_inside(distance, window), along)
    return [found.get(number) for number in range(len(outlines))]


def share_inside(distance: Floats, window: Window) -> Floats:
    """How much of each pixel is inside of what is ``distance`` away, 0 to 1."""
    return between(HALF - distance * np.array(window.whole[0], np.float32))


def _small(rows: slice, columns: slice) -> bool:
    small: bool = rows.stop - rows.start <= LARGEST_TOGETHER and columns.stop - columns.start <= LARGEST_TOGETHER
    return small


def _together(capsules: Sequence[Capsule], patches: Sequence[Patch], window: Window) -> list[Covered]:
    """``covered`` of capsules, each in as many pixels as the largest of them needs."""
    bounds = np.array([(rows.start, rows.stop, columns.start, columns.stop) for rows, columns in patches])
    starts, sizes = bounds[:, ::2, None, None], bounds[:, 1::2] - bounds[:, ::2]
    height, width = sizes.max(0)
    x = window.x.take(starts[:, 1] + np.arange(width), mode="clip")
    y = window.y.take(starts[:, 0] + np.arange(height)[:, None], mode="clip")
    distance, along = measure_all(capsules, x, y)
    inside, share = distance < ZERO, share_inside(distance, window)
    return [
        Covered(patch, inside[number, :h, :w], share[number, :h, :w], along[number, :h, :w])
        for number, (patch, (h, w)) in enumerate(zip(patches, sizes.tolist(), strict=True))
    ]
