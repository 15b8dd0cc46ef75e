"""Rate beside distortion as a table."""

from __future__ import annotations

from collections.abc import Sequence

from tamingplat.report.formats import column_heading, with_error
from tamingplat.report.rate_distortion import RatePoint
from tamingplat.report.text_table import TextTable
from tamingplat.stages import Column


def rate_table(points: Sequence[RatePoint], columns: Sequence[Column], *, wide: bool = False) -> TextTable:
    """One line for each point; distances of reconstructions beside those of samples.

    The lowest rate is first, among points of the same images, condition and windows.
    """
    pools = list(dict.fromkeys(_rate_of(point) for point in points))
    ordered = sorted(points, key=lambda point: (pools.index(_rate_of(point)), point.rate.mean))
    shown = [column for column in columns if wide or column.headline]
    distortions = [column for column in shown if any(column.name in point.distortions for point in points)]
    distances = [column for column in shown if any(column.name in point.distances for point in points)]
    headings = [
        "line",
        "rate [bits/image]",
        *(f"{column_heading(column)} of reconstructions" for column in distortions),
        *(f"{column_heading(column)} of samples" for column in distances),
    ]
    lines = [
        (
            point.label,
            f"{'≤ ' if point.bound else ''}{with_error(point.rate)}",
            *(with_error(point.distortions.get(column.name)) for column in distortions),
            *(with_error(point.distances.get(column.name)) for column in distances),
        )
        for point in ordered
    ]
    notes = [
        "likelihoods of different tokenizers are of different codes and are never ranked: a lower rate is worth something "
        "only at the same distortion"
    ]
    windows = dict.fromkeys(point.rate_of["window"].label for point in points if "window" in point.rate_of)
    if windows:
        notes.append(f"the rate of a prior of windows ({', '.join(windows)}) is that of windows that tile the image")
    if len(pools) > 1:
        notes.append(
            "lines of different images, conditions or windows stand in groups below each other, and are not to be compared"
        )
    return TextTable("Rate and distortion", tuple(headings), tuple(lines), 1, notes=tuple(notes))


def _rate_of(point: RatePoint) -> tuple[tuple[str, str], ...]:
    """Which images the codes are of, what is given beside the bits, and in which windows."""
    return tuple((name, setting.identity) for name, setting in point.rate_of.items())
