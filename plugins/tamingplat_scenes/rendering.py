"""From a scene's layout to the picture and the maps of one window of it.

Shape letters: h/w window in pixels, J joints.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from tamingplat_scenes import noise
from tamingplat_scenes.arrays import HALF, ONE, TWO, ZERO, Floats, between, scalars
from tamingplat_scenes.canvas import Canvas, cover, planes
from tamingplat_scenes.layout import FAR, Layout
from tamingplat_scenes.outlines import Capsule
from tamingplat_scenes.settings import FIGURE, GROUND, HILLS, Colour
from tamingplat_scenes.window import Window

_SHADOW = np.array(0.42, np.float32)
_STARS = 12
_LEVELS = np.array(255, np.float32)


@dataclass(frozen=True)
class Picture:
    """A rendered window.

    Attributes:
        image: uint8 (3, h, w), or ``None`` where only maps were wanted.
        segmentation: uint8 (h, w).
        depth: Inverse distance, float32 (1, h, w) in [0, 1].
    """

    image: npt.NDArray[np.uint8] | None
    segmentation: npt.NDArray[np.uint8]
    depth: npt.NDArray[np.float32]


def render(layout: Layout, window: Window, *, colours: bool = True) -> Picture:
    """Paint a window of a scene from back to front; what pixels belong to is decided at their centres."""
    canvas = Canvas(window, colours=colours)
    setting = layout.setting
    _sky(canvas, layout)
    _hills(canvas, layout)
    _ground(canvas, layout)
    for thing in layout.things:
        light, share = setting.light, (1 - thing.near) ** 2
        if thing.number == FIGURE:  # its colours tell joints apart in every light
            light = _blend(light, (1.0, 1.0, 1.0), 0.5)
        canvas.paint(thing, light, setting.horizon, setting.haze * share)
    image = None
    if canvas.image is not None:
        image = between(canvas.image * _LEVELS + HALF, _LEVELS).astype(np.uint8)
    segmentation, depth = canvas.maps()
    return Picture(image, segmentation, depth[None])


def keypoints(layout: Layout, window: Window) -> npt.NDArray[np.float32]:
    """The figure's joints, float32 (1, J, 3): x and y in pixels of the window, and 0 outside of it, 1 hidden, 2 seen.

    A joint is hidden where something nearer than the figure is in front of it.
    """
    joints = layout.figure.joints
    hidden = np.zeros(len(joints), bool)
    x, y = (joints[:, axis].astype(np.float32) for axis in (0, 1))
    for thing in layout.things[layout.things.index(layout.figure.thing) + 1 :]:
        left, right = thing.breadth
        if left <= x.max() and right >= x.min():
            for part in thing.parts:
                hidden |= part.outline.distance(x, y) < 0
    height, width = window.size
    columns = joints[:, 0] * window.whole[0] - 0.5 - window.left
    rows = joints[:, 1] * window.whole[0] - 0.5 - window.top
    inside = (columns >= -0.5) & (columns < width - 0.5) & (rows >= -0.5) & (rows < height - 0.5)
    places = np.stack([columns.clip(0, width - 1), rows.clip(0, height - 1), np.where(hidden, 1, 2)], axis=-1)
    return np.where(inside[:, None], places, 0).astype(np.float32)[None]


def coordinates(window: Window) -> npt.NDArray[np.float32]:
    """Raster index of every pixel in the whole scene, divided by the number of its pixels: (1, h, w) in [0, 1)."""
    rows, columns = window.whole
    (height, width), left = window.size, window.left
    index = (window.top + np.arange(height))[:, None] * columns + left + np.arange(width)
    return (index / (rows * columns)).astype(np.float32)[None]


def _blend(one: Colour, other: Colour, share: float) -> Colour:
    red, green, blue = (a + (b - a) * share for a, b in zip(one, other, strict=True))
    return red, green, blue


def _mixed(one: Colour, other: Colour, share: Floats) -> Floats:
    """Colours (3, h, w) between two, float32."""
    start = planes(one)
    mixed = (planes(other) - start) * share
    mixed += start
    return mixed


def _sky(canvas: Canvas, layout: Layout) -> None:
    """Gradient, sun or moon, stars where it is dark, and clouds."""
    if canvas.image is None:
        return
    setting, window = layout.setting, canvas.window
    rows = slice(0, canvas.rows_above(layout.horizon))
    if rows.stop == 0:
        return
    y = window.y[rows]
    horizon, cloudless, contrast, thickest, rise = scalars(layout.horizon, 0.7 * layout.cloudiness - 0.15, 1.5, 0.85, 2.5)
    up = between(ONE - y / horizon)
    under = canvas.image[:, rows]
    under[:] = _mixed(setting.horizon, setting.zenith, up * (TWO - up))
    if setting.zenith[2] < 0.2:
        places = layout.lattice[:2, :_STARS] * 0.5 + 0.5
        for number, (across, down) in enumerate(places.T):
            place = (float(across) * layout.aspect, float(down) * layout.horizon)
            canvas.disc(Capsule(place, place, 0.0022 + 0.0005 * (number % 4)), (0.95, 0.95, 1.0), 0.9)
    place, radius = layout.orb
    canvas.disc(Capsule(place, place, radius), setting.orb, 0.95)
    clouds = noise.plane(layout.lattice, window.x, y[:, 0], (2.6, 9.0), window.pixel, 4)
    clouds += cloudless
    clouds *= contrast
    between(clouds, thickest)
    clouds *= between(up * rise)
    cover(under, planes(setting.clouds), clouds)


def _hills(canvas: Canvas, layout: Layout) -> None:
    """Ranges of hills, the farther the paler."""
    window, setting = canvas.window, layout.setting
    horizon, far_away, pixels = scalars(layout.horizon, FAR, window.whole[0])
    above = window.y < horizon
    bottom = canvas.rows_above(layout.horizon)
    for number, (height, start) in enumerate(layout.ranges):
        tallness, first, frequency, mean, roughness = scalars(height, start, 2.2, 0.55, 0.45)
        ridges = noise.line(layout.lattice[16 * (number + 1) :], window.x * frequency + first, 4)
        ridge = horizon - tallness * (mean + roughness * ridges)
        rows = slice(canvas.rows_above(ridge.min() - np.float32(2 * window.pixel)), bottom)
        if rows.start >= rows.stop:
            continue
        distance = (ridge - window.y[rows]) * pixels
        inside = (distance < ZERO) & above[rows]
        np.putmask(canvas.segmentation[rows], inside, HILLS)
        np.putmask(canvas.depth[rows], inside, far_away)
        if canvas.image is not None:
            near = _blend(setting.hills, setting.horizon, 0.55 - 0.35 * number)
            far = _blend(setting.hills, setting.horizon, 0.75 - 0.25 * number)
            share = between(np.divide(window.y[rows] - ridge, tallness))
            cover(canvas.image[:, rows], _mixed(near, far, share), between(HALF - distance))


def _ground(canvas: Canvas, layout: Layout) -> None:
    """A textured floor with the shadows of what stands on it."""
    window, setting = canvas.window, layout.setting
    first = canvas.rows_above(layout.horizon)
    if first == window.size[0]:
        return
    y = window.y[first:]
    horizon, below, far_away, nearer = scalars(layout.horizon, 1 - layout.horizon, FAR, 1 - FAR)
    near = far_away + nearer * ((y - horizon) / below)
    canvas.segmentation[first:] = GROUND
    canvas.depth[first:] = near
    if canvas.image is None:
        return
    slope, middle, contrast, haze = scalars(
        (1 - FAR) * window.pixel / (1 - layout.horizon), layout.aspect / 2, 0.55, setting.haze
    )
    distance = ONE / near
    steepness = distance * distance * slope
    x = window.x - middle
    texture = noise.floor(layout.lattice, x, distance, steepness, 2.5, 4)
    colour = _mixed(setting.ground[0], setting.ground[1], between(texture * contrast + HALF))
    _shadows(colour, window, layout, first)
    cover(colour, planes(setting.horizon), haze * (ONE - near) ** 2)
    canvas.image[:, first:] = colour


def _shadows(colour: Floats, window: Window, layout: Layout, first: int) -> None:
    """Darken the ground, (3, h − first, w), beneath what stands on it."""
    for thing in layout.things:
        left, right = thing.breadth
        across, row = (right - left) * 0.55, layout.foot(thing.near)
        down, middle = across * 0.22, (left + right) / 2 + 0.12 * (right - left)
        touched = window.inside((middle - across, row - down, middle + across, row + down))
        if touched is None or touched[0].stop <= first:
            continue
        rows, columns = slice(max(touched[0].start, first), touched[0].stop), touched[1]
        x, y, breadth, height = scalars(middle, row, across, down)
        u, v = (window.x[columns] - x) / breadth, (window.y[rows] - y) / height
        dark = ONE - u * u - v * v
        dark *= TWO
        between(dark)
        dark *= _SHADOW
        colour[:, rows.start - first : rows.stop - first, columns] *= ONE - dark
