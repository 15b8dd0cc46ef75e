"""Value noise that is the same at any resolution.

A lattice of random numbers is interpolated smoothly; several octaves of it are added up. Octaves finer than two pixels fade
out, so that a picture of few pixels is what a picture of many would be if it were made smaller. Every value depends on its
place alone and not on which others are computed with it, so that a window equals that part of the whole.

Shape letters: h/w window in pixels, K side of a lattice.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import numpy.typing as npt

from tamingplat_scenes.arrays import ONE, THREE, TWO, Floats, between, scalars

LATTICE = 64
"""K, a power of two: places repeat after so many steps."""

_NEXT, _LAST = np.array(1, np.int64), np.array(LATTICE - 1, np.int64)
_FOUR = np.array(4, np.float32)


def make_lattice(random: np.random.Generator) -> Floats:
    """Random numbers in [-1, 1), float32 (K, K)."""
    return random.random((LATTICE, LATTICE), dtype=np.float32) * TWO - ONE


def line(lattice: Floats, places: Floats, octaves: int = 3) -> Floats:
    """Noise along a line, float32 of the shape of ``places`` (w,), about in [-1, 1]."""
    before, behind, share = _steps(_column(2.1**octave for octave in range(octaves)) * places)
    # Every octave has a row of the lattice for itself.
    rows = np.arange(0, 7 * LATTICE * octaves, 7 * LATTICE)[:, None]
    values = _weighted(lattice.take(before + rows), lattice.take(behind + rows), share)
    values *= _column(0.5**octave for octave in range(octaves))
    total: Floats = values[0]
    for value in values[1:]:
        total += value
    return total


def plane(lattice: Floats, x: Floats, y: Floats, frequency: tuple[float, float], pixel: float, octaves: int = 3) -> Floats:
    """Noise in a plane, float32 (h, w), about in [-1, 1].

    Args:
        lattice: float32 (K, K).
        x: Place of every column, (w,).
        y: Place of every row, (h,).
        frequency: Lattice points for a step of 1 in x and in y.
        pixel: Distance of neighbouring columns and rows.
        octaves: How many are added up.
    """
    total = np.zeros((len(y), len(x)), np.float32)
    scales = [2.0**octave for octave in range(octaves)]
    strengths = _visible(_column(scale * max(frequency) * pixel for scale in scales))
    strengths *= _column(0.55**octave for octave in range(octaves))
    up, down, lower = _steps(y * _column(frequency[1] * scale for scale in scales) + _column(range(0, 11 * octaves, 11)))
    left, right, sideways = _steps(x * _column(frequency[0] * scale for scale in scales) + _column(range(0, 5 * octaves, 5)))
    for octave in range(np.count_nonzero(strengths)):
        rows = _weighted(lattice[up[octave]], lattice[down[octave]], lower[octave, :, None])
        values = _moved(rows.take(left[octave], axis=1), rows.take(right[octave], axis=1), sideways[octave])
        total += values * strengths[octave]
    return total


def floor(lattice: Floats, x: Floats, distance: Floats, steepness: Floats, frequency: float, octaves: int = 3) -> Floats:
    """Noise on a floor that recedes to the horizon, float32 (h, w), about in [-1, 1].

    Args:
        lattice: float32 (K, K).
        x: Sideways place of every column at a distance of 1, (w,).
        distance: Of every row, (h, 1).
        steepness: How much a row's distance differs from the next one's, (h, 1).
        frequency: Lattice points for a step of 1.
        octaves: How many are added up.
    """
    total = np.zeros((len(distance), len(x)), np.float32)
    sideways = distance * x
    for octave, scale in enumerate(scalars(*(frequency * 2.7**octave for octave in range(octaves)))):
        strength = _visible(steepness * scale)
        strength *= np.array(0.6**octave, np.float32)
        if not strength.any():
            break
        up, down, share = _steps(distance[:, 0] * scale)
        rows = _weighted(lattice[up], lattice[down], share[:, None])
        left, right, share = _steps(sideways * scale)
        start = np.arange(0, rows.size, LATTICE)[:, None]
        left += start
        right += start
        total += _moved(rows.take(left), rows.take(right), share) * strength
    return total


def _column(values: Iterable[float]) -> Floats:
    """One value a row, float32 (n, 1)."""
    return np.array([*values], np.float32)[:, None]


def _steps(places: Floats) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64], Floats]:
    """The lattice points before and behind each place, and its smooth distance from the first, in [0, 1)."""
    floors = np.floor(places)
    share = places - floors
    before = floors.astype(np.int64)
    before &= _LAST
    behind = before + _NEXT
    behind &= _LAST
    steeper = THREE - TWO * share
    share *= share
    share *= steeper
    return before, behind, share


def _weighted(before: Floats, behind: Floats, share: Floats) -> Floats:
    """What is a share of the way from one value to the other, as a weighted sum of both."""
    weighted = before * (ONE - share)
    weighted += behind * share
    return weighted


def _moved(before: Floats, behind: Floats, share: Floats) -> Floats:
    """The same as a share of the difference, which is rounded otherwise; overwrites ``behind``."""
    behind -= before
    behind *= share
    behind += before
    return behind


def _visible(step: Floats) -> Floats:
    """How much is seen of noise of which a pixel covers ``step`` lattice points: all below a quarter, nothing above a half."""
    return between(TWO - _FOUR * step)
