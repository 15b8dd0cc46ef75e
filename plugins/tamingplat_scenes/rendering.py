"""From a scene's layout to the picture and the maps of one window of it.

Shape letters: h/w window in pixels, J joints.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from tamingplat_scenes import noise
from tamingplat_scenes.canvas import Canvas, Window
from tamingplat_scenes.layout import FAR, Layout
from tamingplat_scenes.outlines import Capsule
from tamingplat_scenes.settings import FIGURE, GROUND, HILLS, Colour

_SHADOW = np.float32(0.42)
_STARS = 12


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
        levels = np.minimum(np.maximum(canvas.image * 255 + np.float32(0.5), 0), 255).astype(np.uint8)
        image = np.ascontiguousarray(levels.transpose(2, 0, 1))
    return Picture(image, canvas.segmentation, canvas.depth[None])


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


def _between(values: npt.NDArray[np.floating[Any]], most: float) -> noise.Floats:
    """Values cut off at 0 and ``most``."""
    cut: noise.Floats = np.minimum(np.maximum(values, np.float32(0)), np.float32(most))
    return cut


def _mixed(one: Colour, other: Colour, share: noise.Floats) -> noise.Floats:
    """Colours (h, w, 3) between two, float32."""
    start, end = np.array(one, np.float32), np.array(other, np.float32)
    return start + (end - start) * share[..., None]


def _sky(canvas: Canvas, layout: Layout) -> None:
    """Gradient, sun or moon, stars where it is dark, and clouds."""
    if canvas.image is None:
        return
    setting, window = layout.setting, canvas.window
    rows = slice(0, int(np.searchsorted(window.y, np.float32(layout.horizon))))
    if rows.stop == 0:
        return
    y = window.y[rows]
    up = _between(np.float32(1) - y / np.float32(layout.horizon), 1)
    canvas.image[rows] = _mixed(setting.horizon, setting.zenith, up * (2 - up))[:, None]
    if setting.zenith[2] < 0.2:
        places = layout.lattice[:2, :_STARS] * 0.5 + 0.5
        for number, (across, down) in enumerate(places.T):
            place = (float(across) * layout.aspect, float(down) * layout.horizon)
            canvas.disc(Capsule(place, place, 0.0022 + 0.0005 * (number % 4)), (0.95, 0.95, 1.0), 0.9)
    place, radius = layout.orb
    canvas.disc(Capsule(place, place, radius), setting.orb, 0.95)
    clouds = noise.plane(layout.lattice, window.x, y, (2.6, 9.0), window.pixel, 4)
    cover = _between((clouds + np.float32(0.7 * layout.cloudiness - 0.15)) * np.float32(1.5), 0.85)
    cover *= _between(up * np.float32(2.5), 1)[:, None]
    under = canvas.image[rows]
    under += cover[..., None] * (np.array(setting.clouds, np.float32) - under)


def _hills(canvas: Canvas, layout: Layout) -> None:
    """Ranges of hills, the farther the paler."""
    window, setting = canvas.window, layout.setting
    above = canvas.y < np.float32(layout.horizon)
    for number, (height, start) in enumerate(layout.ranges):
        ridges = noise.line(layout.lattice[16 * (number + 1) :], window.x * np.float32(2.2) + np.float32(start), 4)
        ridge = np.float32(layout.horizon) - np.float32(height) * (np.float32(0.55) + np.float32(0.45) * ridges)
        rows = slice(
            int(np.searchsorted(window.y, ridge.min() - np.float32(2 * window.pixel))),
            int(np.searchsorted(window.y, np.float32(layout.horizon))),
        )
        if rows.start >= rows.stop:
            continue
        distance = (ridge - canvas.y[rows]) * np.float32(window.whole[0])
        inside = (distance < 0) & above[rows]
        canvas.segmentation[rows][inside] = HILLS
        canvas.depth[rows][inside] = FAR
        if canvas.image is not None:
            near = _blend(setting.hills, setting.horizon, 0.55 - 0.35 * number)
            far = _blend(setting.hills, setting.horizon, 0.75 - 0.25 * number)
            share = _between((canvas.y[rows] - ridge) / np.float32(height), 1)
            under = canvas.image[rows]
            under += _between(0.5 - distance, 1)[..., None] * (_mixed(near, far, share) - under)


def _ground(canvas: Canvas, layout: Layout) -> None:
    """A textured floor with the shadows of what stands on it."""
    window, setting = canvas.window, layout.setting
    first = int(np.searchsorted(window.y, np.float32(layout.horizon)))
    if first == window.size[0]:
        return
    y = window.y[first:]
    share = (y - np.float32(layout.horizon)) / np.float32(1 - layout.horizon)
    near = np.float32(FAR) + np.float32(1 - FAR) * share
    canvas.segmentation[first:] = GROUND
    canvas.depth[first:] = near[:, None]
    if canvas.image is None:
        return
    distance = np.float32(1) / near
    steepness = distance * distance * np.float32((1 - FAR) * window.pixel / (1 - layout.horizon))
    x = window.x - np.float32(layout.aspect / 2)
    texture = noise.floor(layout.lattice, x, distance, steepness, 2.5, 4)
    colour = _mixed(setting.ground[0], setting.ground[1], _between(texture * np.float32(0.55) + np.float32(0.5), 1))
    _shadows(colour, canvas, layout, first)
    haze = np.float32(setting.haze) * (1 - near) ** 2
    colour += (np.array(setting.horizon, np.float32) - colour) * haze[:, None, None]
    canvas.image[first:] = colour


def _shadows(colour: noise.Floats, canvas: Canvas, layout: Layout, first: int) -> None:
    """Darken the ground, (h − first, w, 3), beneath what stands on it."""
    for thing in layout.things:
        left, right = thing.breadth
        across, row = (right - left) * 0.55, layout.foot(thing.near)
        down, middle = across * 0.22, (left + right) / 2 + 0.12 * (right - left)
        touched = canvas.window.inside((middle - across, row - down, middle + across, row + down))
        if touched is None or touched[0].stop <= first:
            continue
        rows, columns = slice(max(touched[0].start, first), touched[0].stop), touched[1]
        u = (canvas.x[columns] - np.float32(middle)) / np.float32(across)
        v = (canvas.y[rows] - np.float32(row)) / np.float32(down)
        dark = _between((1 - u * u - v * v) * 2, 1) * _SHADOW
        colour[rows.start - first : rows.stop - first, columns] *= (1 - dark)[..., None]
