"""Rate against distortion for the page: what is compared across tokenizers."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from tamingplat.report.formats import count, with_error
from tamingplat.report.page.content import Chart, styles
from tamingplat.report.page.plot import Series, draw
from tamingplat.report.rate_distortion import RatePoint
from tamingplat.report.summary import Value
from tamingplat.report.text_table import TextTable
from tamingplat.stages import Column


def rate_charts(points: Sequence[RatePoint], columns: Sequence[Column]) -> list[Chart]:
    """A chart for every distortion of reconstructions and every distance of samples that some line has."""
    described = {column.name: column for column in columns}
    style = styles([point.names.get("tokenizer", "") for point in points])
    charts: list[Chart] = []
    sides: tuple[tuple[str, Callable[[RatePoint], Mapping[str, Value]]], ...] = (
        ("reconstructions", lambda point: point.distortions),
        ("samples", lambda point: point.distances),
    )
    for of, values in sides:
        for name in dict.fromkeys(name for point in points for name in values(point)):
            having = [(point, values(point)[name]) for point in points if name in values(point)]
            charts.append(_chart(f"rate-{len(charts) + 1}", having, name, of, described.get(name), style))
    return charts


def _chart(
    anchor: str,
    having: Sequence[tuple[RatePoint, Value]],
    name: str,
    of: str,
    column: Column | None,
    style: Mapping[str, int],
) -> Chart:
    unit = f" ({column.unit})" if column is not None and column.unit else ""
    better = {"lower": "lower is better", "higher": "higher is better"}.get(column.better if column else "", "")
    of_tokenizer: dict[str, list[tuple[RatePoint, Value]]] = {}
    for point, value in having:
        of_tokenizer.setdefault(point.names.get("tokenizer", ""), []).append((point, value))
    series = [
        Series(
            tokenizer,
            style[tokenizer],
            tuple(value.mean for _, value in of_one),
            tuple(_told(point, value, name) for point, value in of_one),
            tuple(value.standard_error for _, value in of_one),
        )
        for tokenizer, of_one in of_tokenizer.items()
    ]
    across = [[point.rate.mean for point, _ in of_one] for of_one in of_tokenizer.values()]
    title = f"Rate and {name} of {of}"
    drawing = draw(
        series,
        across,
        name="rate",
        label="rate",
        titles=("rate (bits per image)", f"{name} of {of}{unit}"),
        scale="log",
        joined=False,
        show=count,
    )
    rows = tuple((point.label, _rate(point), with_error(value)) for point, value in having)
    notes: tuple[str, ...] = (f"{name} of {of}: {better}.",) if better else ()
    notes += ("≤ is a bound: the visiting order is random.",) if any(point.bound for point, _ in having) else ()
    return Chart(
        anchor,
        title,
        f"{title}: {len(having)} lines of the table, each a point at its bits per image and its {name}{unit}.",
        (drawing,),
        tuple(series),
        TextTable(title, ("line", "rate (bits per image)", f"{name}{unit}"), rows, 1),
        notes,
    )


def _rate(point: RatePoint) -> str:
    return f"{'≤ ' if point.bound else ''}{with_error(point.rate)}"


def _told(point: RatePoint, value: Value, name: str) -> str:
    return f"{point.label}: {_rate(point)} bits per image, {name} {with_error(value)}"
