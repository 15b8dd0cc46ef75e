"""Rate against distortion for the page: what is compared across tokenizers."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence

from tamingplat.report.comparability import Setting, in_words
from tamingplat.report.formats import count, with_error
from tamingplat.report.page.content import Chart
from tamingplat.report.page.plot import Series, draw
from tamingplat.report.rate_distortion import SIDES, RatePoint
from tamingplat.report.summary import Value
from tamingplat.report.text_table import TextTable
from tamingplat.stages import Column


def rate_charts(points: Sequence[RatePoint], columns: Sequence[Column]) -> list[Chart]:
    """A chart for every distortion of reconstructions and every distance of samples that some line has.

    There are several where lines were measured on different images, beside different references or by different means: the
    points of one chart can be compared.
    """
    described = {column.name: column for column in columns}
    style: dict[Hashable, int] = {}
    for point in points:
        style.setdefault(point.tokenizer, len(style))
    charts: list[Chart] = []
    for of in SIDES:
        for name in dict.fromkeys(name for point in points for name in _values(point, of)):
            pools: dict[Hashable, list[RatePoint]] = {}
            for point in points:
                if name in _values(point, of):
                    pools.setdefault(_held(point, of, name), []).append(point)
            titles = _apart([pool[0].measured.get((of, name), {}) for pool in pools.values()])
            for pool, apart in zip(pools.values(), titles, strict=True):
                having = [(point, _values(point, of)[name]) for point in pool]
                charts.append(_chart(f"rate-{len(charts) + 1}", having, name, of, described.get(name), style, apart))
    return charts


def _apart(pools: Sequence[Mapping[str, Setting]]) -> list[str]:
    """What tells the charts of one column apart: the settings in which they differ, with hashes where words are not enough."""
    names = dict.fromkeys(name for pool in pools for name in pool)
    split = [name for name in names if len({pool[name].identity if name in pool else None for pool in pools}) > 1]
    short = ["".join(f", {name} {pool[name].label}" for name in split if name in pool) for pool in pools]
    if len(set(short)) == len(short):
        return short
    return ["".join(f", {name} {text}" for name, text in in_words(dict(pool)).items() if name in split) for pool in pools]


def _values(point: RatePoint, of: str) -> Mapping[str, Value]:
    return point.distortions if of == "reconstructions" else point.distances


def _held(point: RatePoint, of: str, name: str) -> tuple[tuple[str, str], ...]:
    """What the points of a chart share."""
    return tuple((setting, value.identity) for setting, value in point.measured.get((of, name), {}).items())


def _chart(
    anchor: str,
    having: Sequence[tuple[RatePoint, Value]],
    name: str,
    of: str,
    column: Column | None,
    style: Mapping[Hashable, int],
    apart: str,
) -> Chart:
    unit = f" ({column.unit})" if column is not None and column.unit else ""
    better = {"lower": "lower is better", "higher": "higher is better"}.get(column.better if column else "", "")
    of_tokenizer: dict[Hashable, list[tuple[RatePoint, Value]]] = {}
    for point, value in having:
        of_tokenizer.setdefault(point.tokenizer, []).append((point, value))
    series = [
        Series(
            of_one[0][0].tokenizer_label,
            style[tokenizer],
            tuple(value.mean for _, value in of_one),
            tuple(_told(point, value, name) for point, value in of_one),
            tuple(value.standard_error for _, value in of_one),
        )
        for tokenizer, of_one in of_tokenizer.items()
    ]
    across = [[point.rate.mean for point, _ in of_one] for of_one in of_tokenizer.values()]
    title = f"Rate and {name} of {of}{apart}"
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
    window = having[0][0].rate_of.get("window")
    notes += (f"Rates are those of windows of {window.label} that tile the image.",) if window is not None else ()
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
