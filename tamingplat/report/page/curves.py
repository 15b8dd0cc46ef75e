"""Learning curves for the page: likelihood during training against four quantities, and at equal budgets."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from tamingplat.report.budgets import COLUMNS, amount
from tamingplat.report.formats import count, duration, number, with_error
from tamingplat.report.learning_curves import BUDGETS, CurvePoint, LearningCurve, at_equal, comparable
from tamingplat.report.page.content import Chart
from tamingplat.report.page.lines import TableLine
from tamingplat.report.page.plot import Drawing, Series, draw, spread
from tamingplat.report.text_table import TextTable

MOST_POINTS = 60
"""A curve is shown by so many of its validations at most, the first and the last among them."""


@dataclass(frozen=True)
class CurvePanel:
    """The curves that can be compared with each other: of one tokenizer artifact, condition and split.

    Attributes:
        chart: The curves.
        equal: What they come to at equal steps, time and operations.
    """

    chart: Chart
    equal: TextTable


@dataclass(frozen=True)
class _Drawn:
    """What is drawn: the curve of one seed, or the mean over seeds.

    Attributes:
        name: For its values.
        legend: What the seeds of a line and their mean share.
        points: At most ``MOST_POINTS``.
        faint: Whether it is one of several seeds.
        seeds: How many it is the mean of.
    """

    name: str
    legend: str
    points: tuple[CurvePoint, ...]
    faint: bool = False
    seeds: int = 1


def curve_panels(curves: Sequence[LearningCurve], lines: Sequence[TableLine]) -> list[CurvePanel]:
    """One panel for every set of curves that can be compared.

    Args:
        curves: Of all trained priors.
        lines: Of the table, whose results have likelihoods at equal budgets.
    """
    line_of = {line.group: line for line in lines}
    style: dict[str, int] = {}
    panels = comparable([curve for curve in curves if curve.group in line_of])
    titles = _titles(panels, line_of)
    return [
        _panel(f"curves-{index + 1}", panel, line_of, style, title)
        for index, (panel, title) in enumerate(zip(panels, titles, strict=True))
    ]


def _within(curve: LearningCurve) -> str:
    """What tells a curve from others of its panel, its seed apart."""
    return " · ".join(curve.names[kind] for kind in ("prior", "ordering") if curve.names.get(kind))


def _panel(
    anchor: str, curves: Sequence[LearningCurve], line_of: Mapping[str, TableLine], style: dict[str, int], title: str
) -> CurvePanel:
    """A panel; ``style`` has the number of every legend so far, so that a name looks the same in all panels."""
    drawn = _drawn(curves, line_of)
    series = [
        Series(
            one.name,
            style.setdefault(one.legend, len(style)),
            tuple(point.nll for point in one.points),
            tuple(_told(point, one.seeds) for point in one.points),
            faint=one.faint,
            legend=one.legend,
        )
        for one in drawn
    ]
    last = min(drawn, key=lambda one: one.points[-1].nll)
    text = (
        f"Validation NLL in nats per token during training of {len(curves)} priors, {title}. The lowest at the end is "
        f"{number(last.points[-1].nll)}, of {last.name}."
    )
    chart = Chart(anchor, title, text, tuple(_drawings(series, drawn)), tuple(series), _values(drawn), _notes(curves))
    return CurvePanel(chart, _equal(curves, line_of, title))


def _drawn(curves: Sequence[LearningCurve], line_of: Mapping[str, TableLine]) -> list[_Drawn]:
    """Every curve and, over them, the means of lines whose seeds were validated at the same steps."""
    legends, drawn, means = _legends(curves, line_of), [], []
    for group in dict.fromkeys(curve.group for curve in curves):
        seeds = [curve for curve in curves if curve.group == group]
        legend = legends[group]
        # The same numbers under another seed are the same training.
        different = {tuple(point.nll for point in curve.points): curve for curve in seeds}
        together = len(different) > 1 and len({tuple(point.steps for point in curve.points) for curve in seeds}) == 1
        drawn += [
            _Drawn(f"{legend}, seed {curve.seed}" if len(seeds) > 1 else legend, legend, _few(curve.points), together)
            for curve in seeds
        ]
        if together:
            mean = tuple(_mean(points) for points in zip(*(curve.points for curve in different.values()), strict=True))
            means.append(_Drawn(f"{legend}, mean", legend, _few(mean), seeds=len(different)))
    return [*drawn, *means]


def _legends(curves: Sequence[LearningCurve], line_of: Mapping[str, TableLine]) -> dict[str, str]:
    """What tells the lines of a panel apart: prior and ordering or, where these do not, all that the table tells."""
    short = {curve.group: _within(curve) for curve in curves}
    return short if len(set(short.values())) == len(short) else {group: line_of[group].label for group in short}


def _few(points: Sequence[CurvePoint]) -> tuple[CurvePoint, ...]:
    return tuple(points[index] for index in spread(len(points), MOST_POINTS))


def _mean(points: Sequence[CurvePoint]) -> CurvePoint:
    """The mean over seeds at one step: of likelihoods, and of what they had cost by then."""
    flops = [point.flops for point in points if point.flops is not None]
    return CurvePoint(
        points[0].steps,
        points[0].images,
        math.fsum(point.seconds for point in points) / len(points),
        math.fsum(flops) / len(flops) if len(flops) == len(points) else None,
        math.fsum(point.nll for point in points) / len(points),
    )


def _titles(panels: Sequence[Sequence[LearningCurve]], line_of: Mapping[str, TableLine]) -> list[str]:
    """What the curves of each panel share; with the manifests, where the same names are in several."""
    several = len({line.rows[0].tokenizer_seed for line in line_of.values()}) > 1
    titles = [_title(line_of[panel[0].group], several_seeds=several) for panel in panels]
    if len(set(titles)) == len(titles):
        return titles
    manifests = [dict.fromkeys(line_of[curve.group].summary.manifest for curve in panel) for panel in panels]
    return [f"{', '.join(names)}: {title}" for names, title in zip(manifests, titles, strict=True)]


def _title(line: TableLine, *, several_seeds: bool) -> str:
    names = line.summary.names
    condition = f", given {names['conditioner']}" if names["conditioner"] not in ("", "none") else ""
    seed = f" (tokenizer seed {line.rows[0].tokenizer_seed})" if several_seeds else ""
    return f"{names['dataset']}, codes of {names['tokenizer']}{seed}{condition}"


def _told(point: CurvePoint, seeds: int) -> str:
    parts = [f"step {point.steps}", f"{count(point.images)} images", duration(point.seconds)]
    if point.flops is not None:
        parts.append(f"{count(point.flops)} FLOPs")
    of = f", the mean of {seeds} seeds," if seeds > 1 else ""
    return f"{number(point.nll)} nats/token{of} at {', '.join(parts)}"


def _drawings(series: Sequence[Series], drawn: Sequence[_Drawn]) -> list[Drawing]:
    y = "validation NLL (nats/token)"

    def drawing(name: str, label: str, title: str, across: list[list[float]]) -> Drawing:
        return draw(series, across, name=name, label=label, titles=(title, y), show=count)

    points = [one.points for one in drawn]
    drawings = [
        drawing("steps", "steps", "optimizer steps", [[float(one.steps) for one in of] for of in points]),
        drawing("images", "images", "training images seen", [[float(one.images) for one in of] for of in points]),
        drawing("seconds", "seconds", "training seconds", [[one.seconds for one in of] for of in points]),
    ]
    flops = [[one.flops for one in of if one.flops is not None] for of in points]
    if all(len(counted) == len(of) for counted, of in zip(flops, points, strict=True)):
        drawings.append(drawing("flops", "FLOPs", "training FLOPs", flops))
    return drawings


def _values(drawn: Sequence[_Drawn]) -> TextTable:
    rows = [
        (
            one.name,
            str(point.steps),
            count(point.images),
            number(point.seconds, 3),
            "" if point.flops is None else count(point.flops),
            number(point.nll, 5),
        )
        for one in drawn
        for point in one.points
    ]
    headings = ("curve", "steps", "images", "seconds", "FLOPs", "NLL (nats/token)")
    return TextTable("Validation NLL during training", headings, tuple(rows), 1)


def _notes(curves: Sequence[LearningCurve]) -> tuple[str, ...]:
    notes = []
    machines = {_machine(curve) for curve in curves}
    if len(machines) > 1:
        notes.append(f"Seconds are of different machines and are not to be compared: {'; '.join(sorted(machines))}.")
    else:
        notes.append(f"Seconds are of training alone, on {machines.pop()}.")
    contended = sum(bool(curve.machine.get("contended")) for curve in curves)
    if contended:
        notes.append(f"{contended} of {len(curves)} trainings shared their machine with other work, which takes longer.")
    if any(len(curve.points) > MOST_POINTS for curve in curves):
        notes.append(f"Of each curve {MOST_POINTS} validations are shown, evenly.")
    return tuple(notes)


def _machine(curve: LearningCurve) -> str:
    machine = curve.machine
    threads = machine.get("threads")
    of = f"{threads} thread{'' if threads == 1 else 's'}" if threads is not None else "unknown threads"
    return f"{machine.get('host', 'an unknown host')}, {machine.get('device', 'an unknown device')}, {of}"


def _equal(curves: Sequence[LearningCurve], line_of: Mapping[str, TableLine], title: str) -> TextTable:
    """The likelihoods of the lines at equal budgets, over seeds; where there is none, why not."""
    budgets = {budget: at_equal(curves, budget) for budget in BUDGETS}
    legends = _legends(curves, line_of)
    reasons: dict[str, int] = {}
    rows = []
    for group in dict.fromkeys(curve.group for curve in curves):
        summary = line_of[group].summary
        row = [legends[group], str(len(summary.seeds))]
        for budget, equal in budgets.items():
            text = with_error(summary.metrics.get(COLUMNS[budget].name))
            if not text:
                why = [reason for curve, reason in zip(curves, equal.reasons, strict=True) if curve.group == group and reason]
                text = f"– [{reasons.setdefault(why[0] if why else 'not known', len(reasons) + 1)}]"
            row.append(text)
        rows.append(tuple(row))
    headings = ["line", "seeds"]
    for budget, equal in budgets.items():
        at = "" if equal.at is None else f" ({amount(budget, equal.at)})"
        headings.append(f"{COLUMNS[budget].name}{at}")
    notes = tuple(f"[{index}] {why}" for why, index in reasons.items())
    return TextTable(f"Validation NLL (nats/token) at equal budgets, {title}", tuple(headings), tuple(rows), 1, notes=notes)
