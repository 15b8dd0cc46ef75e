"""Charts as geometry: scales, ticks and places, computed here and drawn by a template.

Places are in the units of a picture ``WIDTH`` by ``HEIGHT``, x to the right and y downwards.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Literal

WIDTH, HEIGHT = 560, 340
LEFT, RIGHT, TOP, BOTTOM = 68, 542, 14, 286
COLOURS = 8
"""How many colours the style sheet has; further series repeat them with another dash."""

_TICKS = 5
_MARKS = 10
"""A line bears a mark at so many of its points at most."""

SHAPES = (
    "M-3.2,0a3.2,3.2 0 1,0 6.4,0a3.2,3.2 0 1,0 -6.4,0Z",
    "M-2.9,-2.9h5.8v5.8h-5.8Z",
    "M0,-3.8L3.6,2.6H-3.6Z",
    "M0,-4.2L4.2,0L0,4.2L-4.2,0Z",
)
"""Marks around a point as SVG paths: a disc, a square, a triangle and a diamond."""

Scale = Literal["linear", "log"]


@dataclass(frozen=True)
class Tick:
    """A labelled place on an axis."""

    at: float
    text: str


@dataclass(frozen=True)
class Axis:
    """One axis with its scale.

    Attributes:
        title: What it shows, with its unit.
        scale: Linear or logarithmic.
        low, high: The values at its ends.
        ticks: The labelled places.
    """

    title: str
    scale: Scale
    low: float
    high: float
    ticks: tuple[Tick, ...]

    def share(self, value: float) -> float:
        """How far along the axis a value lies, from 0 to 1."""
        if self.scale == "log":
            return math.log(value / self.low) / math.log(self.high / self.low)
        return (value - self.low) / (self.high - self.low)


@dataclass(frozen=True)
class Point:
    """A place of a series: what is hovered over or reached with the keyboard.

    Attributes:
        x, y: Its place in the picture.
        low, high: Ends of its error bar, in the picture; ``None`` without one.
    """

    x: float
    y: float
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True)
class Line:
    """A drawn series.

    Attributes:
        style: Number of its colour, mark and dash.
        path: Its line as an SVG path; empty where points are not joined.
        marks: Where its marks are.
        faint: Whether it is one of several seeds.
    """

    style: int
    path: str
    marks: tuple[Point, ...]
    faint: bool

    @property
    def colour(self) -> int:
        """Which of the colours."""
        return self.style % COLOURS

    @property
    def shape(self) -> str:
        """Its mark, around the origin."""
        return SHAPES[self.dash]

    @property
    def dash(self) -> int:
        """Which of the dashes: neighbours in the legend differ in it, so that colour is never the only difference."""
        return (self.style + self.style // COLOURS) % 4


@dataclass(frozen=True)
class Drawing:
    """A chart against one quantity, ready to be drawn.

    Attributes:
        name: Which quantity: a word for scripts.
        label: The same for a person.
        x, y: The axes.
        lines: The series.
        places: For each series the place of each of its points, for scripts.
    """

    name: str
    label: str
    x: Axis
    y: Axis
    lines: tuple[Line, ...]
    places: tuple[tuple[Point, ...], ...] = field(repr=False)

    def x_at(self, value: float) -> float:
        """The place of a value on the horizontal axis."""
        return _across(self.x, value)

    def y_at(self, value: float) -> float:
        """The place of a value on the vertical axis."""
        return _up(self.y, value)


@dataclass(frozen=True)
class Series:
    """Values that belong together.

    Attributes:
        name: For the legend and for what is said of its points.
        style: Number of its colour, mark and dash; the same for the seeds of one line.
        y: A value for each point.
        texts: What is said of each point.
        errors: Half the length of each point's error bar; ``None`` without.
        faint: Whether it is one of several seeds, of which the mean stands out.
        legend: What the legend calls it and others of its style; its name unless given.
    """

    name: str
    style: int
    y: tuple[float, ...]
    texts: tuple[str, ...]
    errors: tuple[float | None, ...] = ()
    faint: bool = False
    legend: str = ""


def draw(
    series: Sequence[Series],
    across: Sequence[Sequence[float]],
    *,
    name: str,
    label: str,
    titles: tuple[str, str],
    scale: Scale = "linear",
    joined: bool = True,
    show: Callable[[float], str],
) -> Drawing:
    """Lay out a chart.

    Args:
        series: What is shown.
        across: For each series the horizontal value of each of its points.
        name: A word for scripts.
        label: What is on the horizontal axis, for a person to choose it by.
        titles: Of the two axes.
        scale: Of the horizontal axis.
        joined: Whether points are joined by lines.
        show: How values of the horizontal axis read on its ticks; those of the vertical one have as many decimals as they need.
    """
    ends = [end for one in series for value, error in zip(one.y, _errors(one), strict=True) for end in _ends(value, error)]
    x = make_axis((value for values in across for value in values), titles[0], scale, show)
    y = make_axis(ends, titles[1], "linear")
    places = tuple(
        tuple(_place(x, y, value, up, error) for value, up, error in zip(values, one.y, _errors(one), strict=True))
        for one, values in zip(series, across, strict=True)
    )
    lines = tuple(
        Line(one.style, _path(of_one) if joined else "", _marks(one, of_one, joined=joined), one.faint)
        for one, of_one in zip(series, places, strict=True)
    )
    return Drawing(name, label, x, y, lines, places)


def _errors(series: Series) -> tuple[float | None, ...]:
    return series.errors or (None,) * len(series.y)


def _ends(value: float, error: float | None) -> tuple[float, ...]:
    return (value,) if error is None else (value - error, value + error)


def _place(x: Axis, y: Axis, value: float, up: float, error: float | None) -> Point:
    low, high = (None, None) if error is None else (round(_up(y, up - error), 1), round(_up(y, up + error), 1))
    return Point(round(_across(x, value), 1), round(_up(y, up), 1), low, high)


def _across(axis: Axis, value: float) -> float:
    return LEFT + axis.share(value) * (RIGHT - LEFT)


def _up(axis: Axis, value: float) -> float:
    return BOTTOM - axis.share(value) * (BOTTOM - TOP)


def _path(points: Sequence[Point]) -> str:
    return "M" + "L".join(f"{point.x:g},{point.y:g}" for point in points) if points else ""


def _marks(series: Series, points: tuple[Point, ...], *, joined: bool) -> tuple[Point, ...]:
    """Where a series is marked: at every point that is not joined to others, else at some, and never along a single seed."""
    if not joined:
        return points
    return () if series.faint else tuple(points[index] for index in spread(len(points), _MARKS))


def spread(count: int, most: int) -> list[int]:
    """At most ``most`` of ``count`` indices, evenly, the first and the last among them."""
    if count <= most:
        return list(range(count))
    return sorted({round(step * (count - 1) / (most - 1)) for step in range(most)})


def make_axis(values: Iterable[float], title: str, scale: Scale, show: Callable[[float], str] | None = None) -> Axis:
    """An axis that holds all values with some room; a single value lies in its middle."""
    every = list(values)
    low, high = min(every), max(every)
    if scale == "log" and low > 0:
        room = max((high / low) ** 0.06, 1.15)
        low, high = low / room, high * room
        return Axis(title, "log", low, high, _labelled(_log_ticks(low, high), show))
    room = (high - low) * 0.06 or abs(high) * 0.1 or 1.0
    # Values that cannot be negative do not get an axis that is.
    low, high = (max(0.0, low - room) if low >= 0 else low - room), high + room
    return Axis(title, "linear", low, high, _labelled(_linear_ticks(low, high), show))


def _labelled(ticks: Sequence[float], show: Callable[[float], str] | None) -> tuple[Tick, ...]:
    if show is None:
        step = min((after - before for before, after in itertools.pairwise(ticks)), default=1.0)
        decimals = max(0, -math.floor(math.log10(step) + 1e-9))
        return tuple(Tick(at, f"{at:.{decimals}f}".replace("-", "−")) for at in ticks)
    return tuple(Tick(at, show(at)) for at in ticks)


def _linear_ticks(low: float, high: float) -> list[float]:
    """Multiples of 1, 2 or 5 times a power of ten."""
    rough = (high - low) / _TICKS
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(factor * power for factor in (1, 2, 5, 10) if factor * power >= rough * 0.999)
    first = math.ceil(low / step - 1e-9)
    return [round(index * step, 12) for index in range(first, math.floor(high / step + 1e-9) + 1)]


def _log_ticks(low: float, high: float) -> list[float]:
    """Powers of ten, with twos and fives between them where there is room."""
    powers = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    for factors in ((1,), (1, 3), (1, 2, 5)):
        ticks = [factor * 10.0**power for power in powers for factor in factors if low <= factor * 10.0**power <= high]
        if len(ticks) >= 3:
            return ticks
    # Less than half a power of ten: even steps are as good.
    return _linear_ticks(low, high)
