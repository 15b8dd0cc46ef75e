"""The classes of scenes: where they play. Every colour is RGB in [0, 1]."""

from __future__ import annotations

from dataclasses import dataclass

Colour = tuple[float, float, float]

SEGMENTS = ("sky", "hills", "ground", "ball", "cone", "block", "tree", "figure")
"""The classes of pixels, in the order of their numbers."""
SKY, HILLS, GROUND, BALL, CONE, BLOCK, TREE, FIGURE = range(len(SEGMENTS))


@dataclass(frozen=True)
class Setting:
    """Colours and weather of one class of scenes.

    Attributes:
        zenith: The sky far up.
        horizon: The sky at the horizon, which is also the colour of what is far away.
        hills: The hills before haze.
        ground: The two colours between which the ground varies.
        clouds: Colour of the clouds.
        light: Factors on the colours of things.
        haze: How much of its own colour the farthest thing loses, 0 to 1.
        orb: Colour of sun or moon.
    """

    zenith: Colour
    horizon: Colour
    hills: Colour
    ground: tuple[Colour, Colour]
    clouds: Colour
    light: Colour
    haze: float
    orb: Colour


SETTINGS: dict[str, Setting] = {
    "meadow": Setting(
        zenith=(0.25, 0.52, 0.92),
        horizon=(0.74, 0.88, 0.98),
        hills=(0.32, 0.50, 0.45),
        ground=((0.24, 0.50, 0.16), (0.48, 0.70, 0.28)),
        clouds=(1.0, 1.0, 1.0),
        light=(1.0, 1.0, 0.98),
        haze=0.55,
        orb=(1.0, 0.97, 0.80),
    ),
    "desert": Setting(
        zenith=(0.36, 0.66, 0.80),
        horizon=(0.98, 0.90, 0.72),
        hills=(0.72, 0.47, 0.32),
        ground=((0.80, 0.62, 0.36), (0.95, 0.82, 0.56)),
        clouds=(1.0, 0.96, 0.86),
        light=(1.06, 1.0, 0.90),
        haze=0.65,
        orb=(1.0, 1.0, 0.92),
    ),
    "snow": Setting(
        zenith=(0.56, 0.66, 0.78),
        horizon=(0.86, 0.89, 0.94),
        hills=(0.48, 0.56, 0.68),
        ground=((0.80, 0.86, 0.95), (0.98, 0.99, 1.0)),
        clouds=(0.74, 0.79, 0.86),
        light=(0.93, 0.97, 1.06),
        haze=0.7,
        orb=(0.98, 0.98, 0.94),
    ),
    "dusk": Setting(
        zenith=(0.24, 0.16, 0.44),
        horizon=(1.0, 0.55, 0.30),
        hills=(0.36, 0.18, 0.38),
        ground=((0.26, 0.16, 0.30), (0.44, 0.27, 0.38)),
        clouds=(0.98, 0.46, 0.46),
        light=(0.95, 0.74, 0.70),
        haze=0.6,
        orb=(1.0, 0.80, 0.42),
    ),
    "night": Setting(
        zenith=(0.02, 0.03, 0.12),
        horizon=(0.12, 0.20, 0.38),
        hills=(0.06, 0.09, 0.18),
        ground=((0.05, 0.12, 0.14), (0.12, 0.22, 0.22)),
        clouds=(0.20, 0.25, 0.40),
        light=(0.52, 0.58, 0.78),
        haze=0.6,
        orb=(0.95, 0.95, 0.85),
    ),
    "canyon": Setting(
        zenith=(0.55, 0.78, 0.78),
        horizon=(0.95, 0.80, 0.70),
        hills=(0.62, 0.24, 0.16),
        ground=((0.58, 0.22, 0.12), (0.80, 0.40, 0.24)),
        clouds=(0.97, 0.93, 0.86),
        light=(1.05, 0.94, 0.88),
        haze=0.5,
        orb=(1.0, 0.98, 0.88),
    ),
}
"""The settings by name, in the order of the classes."""

SHAPE_COLOURS: dict[int, Colour] = {
    BALL: (0.86, 0.16, 0.20),
    CONE: (0.97, 0.78, 0.12),
    BLOCK: (0.16, 0.34, 0.86),
    TREE: (0.06, 0.36, 0.20),
}
"""Mean colour of each class of shapes before light and haze."""

TRUNK: Colour = (0.36, 0.22, 0.12)
