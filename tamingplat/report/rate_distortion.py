"""Rate and distortion: what is compared across tokenizers, whose likelihoods are of different codes (the paper's Fig. 8).

The rate is what a prior needs for an image's codes; the distortion is what the tokenizer loses, whatever the prior. A tokenizer
of fewer codes has the lower rate and the larger distortion, and neither number alone says which is better.
"""

from __future__ import annotations

import re
from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from tamingplat.report.comparability import Setting, settings_of
from tamingplat.report.lines import KINDS, lines_of
from tamingplat.report.summary import SummaryRow, Value, summarise
from tamingplat.stages import ResultRow, Results

_RATE = re.compile(r"rate(?P<bound>-bound)?(?:-(?P<window>\d+x\d+))?")
"""Columns of bits per image: whether they are a bound, under a random visiting order, and the window of a prior of windows."""

SIDES = ("reconstructions", "samples")
"""What is beside the rate: distortions of the tokenizer's reconstructions, and distances of samples."""

_VARIES = ("tokenizer", "condition", "decoding")


@dataclass(frozen=True)
class RatePoint:
    """One line of the table as a point.

    Attributes:
        group: The line.
        label: What tells it from the others.
        tokenizer: The tokenizer artifact, with the dataset on which it is measured.
        tokenizer_label: What tells it from the other tokenizers.
        rate_of: What the rate is of: ``split`` and ``preprocessing``, which says the dataset too, the ``condition`` that is
            given beside the bits, and ``window`` where it is of windows that tile the image, whose first codes know nothing of
            what lies beside them.
        rate: Bits per image that the prior needs for the codes; over seeds.
        bound: Whether the rate is an upper bound, under a random visiting order.
        distortions: Of the tokenizer's reconstructions, by column: LPIPS, PSNR, distances of features.
        distances: Of the samples, by column: Fréchet and kernel distances.
        measured: What the rate and a distortion or a distance were measured on and with, by side (one of ``SIDES``) and
            column: numbers are compared across tokenizers where it is equal.
    """

    group: str
    label: str
    tokenizer: tuple[str, ...]
    tokenizer_label: str
    rate_of: dict[str, Setting]
    rate: Value
    bound: bool
    distortions: dict[str, Value]
    distances: dict[str, Value]
    measured: dict[tuple[str, str], dict[str, Setting]] = field(default_factory=dict)


def rate_distortion(results: Results) -> list[RatePoint]:
    """Every line with a rate as a point, in the order of the table."""
    lines, directed = lines_of(results), {column.name for column in results.columns if column.better}
    rows = summarise(results)
    found = [(row, next(filter(None, map(_RATE.fullmatch, row.metrics)), None)) for row in rows if row.kind == "cell"]
    rates = {row.line: rate for row, rate in found if rate is not None}
    cells = [row for row, _ in found if row.line in rates]
    reconstructions: dict[tuple[str, ...], list[SummaryRow]] = {}
    for row in rows:
        if row.kind == "reconstruction":
            reconstructions.setdefault(_tokenizer(lines[row.line][0]), []).append(row)
    labels = _labels(cells, KINDS, [cell.line for cell in cells])
    tokenizers = [_tokenizer(lines[cell.line][0]) for cell in cells]
    tokenizer_labels = _labels(cells, ("dataset", "tokenizer"), tokenizers)
    points = []
    for cell, label, tokenizer, tokenizer_label in zip(cells, labels, tokenizers, tokenizer_labels, strict=True):
        members = lines[cell.line]
        of_tokenizer = _columns(members, "tokenizer", per_image=True) & directed
        distortions = _chosen(cell, of_tokenizer)
        rate = rates[cell.line]
        of_rate = settings_of(_measured_row(members, rate.string), rate.string)
        rate_of: dict[str, Setting] = {
            name: of_rate[name] for name in ("split", "preprocessing", "condition") if name in of_rate
        }
        if window := rate["window"]:
            rate_of["window"] = Setting(window, f"{window} codes")
        measured = {("reconstructions", name): _measured(members, name, rate_of) for name in distortions}
        for reconstruction in _measured_alike(members[0], reconstructions.get(tokenizer, []), lines):
            chosen = _chosen(reconstruction, _columns(lines[reconstruction.line], "images") & directed)
            further = {name: value for name, value in chosen.items() if name not in distortions}
            distortions |= further
            beside = lines[reconstruction.line]
            measured |= {("reconstructions", name): _measured(beside, name, rate_of) for name in further}
        distances = _chosen(cell, _columns(members, "images") & directed)
        measured |= {("samples", name): _measured(members, name, rate_of) for name in distances}
        points.append(
            RatePoint(
                group=cell.line,
                label=label,
                tokenizer=tokenizer,
                tokenizer_label=tokenizer_label,
                rate_of=rate_of,
                rate=cell.metrics[rate.string],
                bound=bool(rate["bound"]),
                distortions=distortions,
                distances=distances,
                measured=measured,
            )
        )
    return points


def tokenizers_of(points: Iterable[RatePoint]) -> int:
    """How many tokenizer artifacts points are of."""
    return len({point.tokenizer for point in points})


def _tokenizer(row: ResultRow) -> tuple[str, ...]:
    """A tokenizer artifact, with the dataset on which it is measured."""
    artifact = row.artifacts.get("tokenizer", f"{row.tokenizer} {row.tokenizer_seed}")
    return artifact, row.settings.get("preprocessing", row.dataset)


def _measured_alike(
    cell: ResultRow, reconstructions: Iterable[SummaryRow], lines: Mapping[str, Sequence[ResultRow]]
) -> list[SummaryRow]:
    """The reconstructions by a cell's tokenizer that are of the same split, beside the same reference, as the cell's images.

    Several manifests can each have a row of them: that of the cell's own is first.
    """

    def settings(row: ResultRow) -> list[object]:
        return [row.evaluation.get(name) for name in ("split", "reference_hash")]

    alike = [row for row in reconstructions if settings(lines[row.line][0]) == settings(cell)]
    return sorted(alike, key=lambda row: row.manifest != cell.manifest)


def _columns(rows: Iterable[ResultRow], measures: str, *, per_image: bool = False) -> set[str]:
    """Columns of what is measured. Those with a number per image are errors of images; use of a codebook has none."""
    return {
        name
        for row in rows
        for name, instrument in row.instruments.items()
        if instrument.measures == measures and (name in row.per_image or not per_image)
    }


def _chosen(row: SummaryRow, columns: set[str]) -> dict[str, Value]:
    return {name: value for name, value in row.metrics.items() if name in columns}


def _measured_row(rows: Sequence[ResultRow], column: str) -> ResultRow:
    """A row of a line that has a number, whose settings those of the line's number are: other seeds may have none."""
    return next(row for row in rows if column in row.metrics)


def _measured(rows: Sequence[ResultRow], column: str, rate_of: Mapping[str, Setting]) -> dict[str, Setting]:
    """What a line's number depends on beside what the points of a chart vary in; ``rate_of`` is that of its rate."""
    settings = settings_of(_measured_row(rows, column), column)
    return {**rate_of, **{name: setting for name, setting in settings.items() if name not in _VARIES}}


def _labels(cells: Sequence[SummaryRow], kinds: Sequence[str], keys: Sequence[Hashable]) -> list[str]:
    """For every cell the names in which cells differ, and the tokenizer always; the manifest too, where names are not enough to
    tell apart what has different keys.
    """
    shown = [kind for kind in kinds if kind == "tokenizer" or len({cell.names[kind] for cell in cells}) > 1]
    several = len({cell.tokenizer_seed for cell in cells}) > 1
    first = dict(zip(reversed(keys), reversed(cells), strict=True))
    labels = {}
    for key, cell in first.items():
        seed = f" (seed {cell.tokenizer_seed})" if several else ""
        labels[key] = " / ".join(cell.names[kind] for kind in shown) + seed
    if len(set(labels.values())) < len(labels):
        labels = {key: f"{first[key].manifest} / {label}" for key, label in labels.items()}
    return [labels[key] for key in keys]
