"""Value noise that is the same at any resolution.

A lattice of random numbers is interpolated smoothly; several octaves of it are added up. Octaves finer than two pixels fade
out, so that a picture of few pixels is what a picture of many would be if it were made smaller. Every value depends on its
place alone and not on which others are computed with it, so that a window equals that part of the whole.

Shape letters: h/w window in pixels, K side of a lattice.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float32]

LATTICE = 64
"""K, a power of two: places repeat after so many steps."""


def make_lattice(random: np.random.Generator) -> Floats:
    """Random numbers in [-1, 1), float32 (K, K)."""
    return random.random((LATTICE, LATTICE), dtype=np.float32) * 2 - 1


def _steps(places: Floats) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64], Floats]:
    """The lattice points before and behind each place, and its smooth distance from the first, in [0, 1)."""
    floors = np.floor(places)
    share = places - floors
    before = floors.astype(np.int64) & (LATTICE - 1)
    return before, (before + 1) & (LATTICE - 1), share * share * (3 - 2 * share)


def line(lattice: Floats, places: Floats, octaves: int = 3) -> Floats:
    """Noise along a line, float32 of the shape of ``places``, about in [-1, 1]."""
    total = np.zeros_like(places)
    for octave in range(octaves):
        before, behind, share = _steps(places * np.float32(2.1**octave))
        row = lattice[7 * octave]
        total += (row[before] * (1 - share) + row[behind] * share) * np.float32(0.5**octave)
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
    for octave in range(octaves):
        scale = 2.0**octave
        strength = _visible(np.float32(scale * max(frequency) * pixel)) * np.float32(0.55**octave)
        if not strength:
            break
        up, down, share = _steps(y * np.float32(frequency[1] * scale) + np.float32(11 * octave))
        rows = lattice[up] * (1 - share)[:, None] + lattice[down] * share[:, None]
        left, right, share = _steps(x * np.float32(frequency[0] * scale) + np.float32(5 * octave))
        first, second = rows.take(left, axis=1), rows.take(right, axis=1)
        total += (first + (second - first) * share) * strength
    return total


def floor(lattice: Floats, x: Floats, distance: Floats, steepness: Floats, frequency: float, octaves: int = 3) -> Floats:
    """Noise on a floor that recedes to the horizon, float32 (h, w), about in [-1, 1].

    Args:
        lattice: float32 (K, K).
        x: Sideways place of every column at a distance of 1, (w,).
        distance: Of every row, (h,).
        steepness: How much a row's distance differs from the next one's, (h,).
        frequency: Lattice points for a step of 1.
        octaves: How many are added up.
    """
    total = np.zeros((len(distance), len(x)), np.float32)
    for octave in range(octaves):
        scale = np.float32(frequency * 2.7**octave)
        strength = _visible(steepness * scale) * np.float32(0.6**octave)
        if not strength.any():
            break
        up, down, share = _steps(distance * scale)
        rows = lattice[up] * (1 - share)[:, None] + lattice[down] * share[:, None]
        left, right, share = _steps(distance[:, None] * x * scale)
        start = np.arange(0, rows.size, LATTICE)[:, None]
        first, second = rows.ravel().take(left + start), rows.ravel().take(right + start)
        total += (first + (second - first) * share) * strength[:, None]
    return total


def _visible(step: Floats | np.float32) -> Floats:
    """How much is seen of noise of which a pixel covers ``step`` lattice points: all below a quarter, nothing above a half."""
    return np.minimum(np.maximum(2 - 4 * step, np.float32(0)), np.float32(1))
