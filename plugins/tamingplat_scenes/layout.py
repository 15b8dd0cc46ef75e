"""What is in a scene and where, drawn from a seed: the same at any resolution.

The unit of places is the height of the whole scene: rows go from 0 to 1, columns from 0 to width / height. Distances are told
by their inverse, ``near``: 1 at the lower border, ``FAR`` where the ground meets the hills, 0 for the sky.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from tamingplat_scenes.arrays import Floats
from tamingplat_scenes.figure import Figure, make_figure
from tamingplat_scenes.noise import make_lattice
from tamingplat_scenes.outlines import Place
from tamingplat_scenes.settings import SETTINGS, Setting
from tamingplat_scenes.things import Thing, make_thing

FAR = 0.03
"""Inverse distance of the hills, at whose foot the ground ends."""

_KINDS = ("ball", "cone", "block", "tree")


@dataclass(frozen=True)
class Layout:
    """A scene.

    Attributes:
        label: The number of its setting.
        aspect: Width by height.
        horizon: Row of the horizon.
        ranges: Height of each range of hills and the column at which its noise begins, from the farthest to the nearest.
        cloudiness: How much of the sky is cloudy, −1 to 1.
        orb: Place and radius of sun or moon.
        lattice: Of all noise.
        things: What stands on the ground, the figure included, from the farthest to the nearest.
        figure: The figure, its place among the things and its joints.
    """

    label: int
    aspect: float
    horizon: float
    ranges: tuple[tuple[float, float], ...]
    cloudiness: float
    orb: tuple[Place, float]
    lattice: Floats
    things: tuple[Thing, ...]
    figure: Figure

    @property
    def setting(self) -> Setting:
        """Where it plays."""
        return tuple(SETTINGS.values())[self.label]

    def foot(self, near: float) -> float:
        """The row at which something at an inverse distance stands on the ground."""
        return _foot(self.horizon, near)


def _foot(horizon: float, near: float) -> float:
    return horizon + (1 - horizon) * (near - FAR) / (1 - FAR)


def make_layout(random: np.random.Generator, aspect: float, shapes: tuple[int, int]) -> Layout:
    """Draw a scene.

    Args:
        random: Where all draws come from.
        aspect: Width by height.
        shapes: Least and largest number of shapes beside the figure.
    """
    label = int(random.integers(len(SETTINGS)))
    draws = random.random(8).tolist()
    horizon = 0.36 + 0.2 * draws[0]
    ranges = ((0.10 + 0.12 * draws[1], 64 * draws[2]), (0.03 + 0.09 * draws[3], 64 * draws[4]))
    orb = ((aspect * (0.1 + 0.8 * draws[5]), horizon * (0.15 + 0.45 * draws[6])), 0.045)
    lattice = make_lattice(random)
    things = []
    for _ in range(int(random.integers(shapes[0], shapes[1] + 1))):
        kind = _KINDS[int(random.integers(len(_KINDS)))]
        across, depth = random.random(2).tolist()
        near = 0.18 + 0.72 * depth
        things.append(make_thing(random, kind, (aspect * (0.04 + 0.92 * across), _foot(horizon, near)), near))
    across, depth, tallness = random.random(3).tolist()
    near = 0.66 + 0.26 * depth
    height = near * (0.78 + 0.2 * tallness)
    figure = make_figure(random, (aspect * (0.18 + 0.64 * across), _foot(horizon, near)), height, near)
    things.append(figure.thing)
    things.sort(key=lambda thing: thing.near)
    cloudiness = 2 * draws[7] - 1
    return Layout(label, aspect, horizon, ranges, cloudiness, orb, lattice, tuple(things), figure)
