"""Rate and distortion: what is compared across tokenizers, whose likelihoods are of different codes (the paper's Fig. 8).

The rate is what a prior needs for an image's codes; the distortion is what the tokenizer loses, whatever the prior. A tokenizer
of fewer codes has the lower rate and the larger distortion, and neither number alone says which is better.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from tamingplat.report.lines import KINDS, lines_of
from tamingplat.report.summary import SummaryRow, Value, summarise
from tamingplat.stages import ResultRow, Results

RATES = ("rate", "rate-bound")
"""Columns of bits per image; the second under a random visiting order."""


@dataclass(frozen=True)
class RatePoint:
    """One line of the table as a point.

    Attributes:
        group: The line.
        label: What tells it from the others.
        names: Names in the manifest by kind of component.
        tokenizer_seed: Of the tokenizer.
        rate: Bits per image that the prior needs for the codes; over seeds.
        bound: Whether the rate is an upper bound, under a random visiting order.
        distortions: Of the tokenizer's reconstructions, by column: LPIPS, PSNR, distances of features.
        distances: Of the samples, by column: Fréchet and kernel distances.
    """

    group: str
    label: str
    names: dict[str, str]
    tokenizer_seed: int | None
    rate: Value
    bound: bool
    distortions: dict[str, Value]
    distances: dict[str, Value]


def rate_distortion(results: Results) -> list[RatePoint]:
    """Every line with a rate as a point, in the order of the table."""
    lines, directed = lines_of(results), {column.name for column in results.columns if column.better}
    rows = summarise(results)
    cells = [row for row in rows if row.kind == "cell" and any(name in row.metrics for name in RATES)]
    reconstructions: dict[tuple[str, ...], list[SummaryRow]] = {}
    for row in rows:
        if row.kind == "reconstruction":
            reconstructions.setdefault(_tokenizer(lines[row.line][0]), []).append(row)
    points = []
    for cell in cells:
        members = lines[cell.line]
        of_tokenizer = _columns(members, "tokenizer", per_image=True) & directed
        distortions = _chosen(cell, of_tokenizer)
        for reconstruction in _measured_alike(members[0], reconstructions.get(_tokenizer(members[0]), []), lines):
            chosen = _chosen(reconstruction, _columns(lines[reconstruction.line], "images") & directed)
            distortions |= {name: value for name, value in chosen.items() if name not in distortions}
        rate = next(name for name in RATES if name in cell.metrics)
        points.append(
            RatePoint(
                group=cell.line,
                label=_label(cell, cells),
                names=cell.names,
                tokenizer_seed=cell.tokenizer_seed,
                rate=cell.metrics[rate],
                bound=rate != RATES[0],
                distortions=distortions,
                distances=_chosen(cell, _columns(members, "images") & directed),
            )
        )
    return points


def tokenizers_of(points: Iterable[RatePoint]) -> int:
    """How many tokenizers points are of."""
    return len({(point.names["dataset"], point.names["tokenizer"], point.tokenizer_seed) for point in points})


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


def _label(row: SummaryRow, rows: Iterable[SummaryRow]) -> str:
    """The names in which rows differ, and the tokenizer always."""
    others = list(rows)
    kinds = [kind for kind in KINDS if kind == "tokenizer" or len({other.names[kind] for other in others}) > 1]
    label = " / ".join(row.names[kind] for kind in kinds)
    several = len({other.tokenizer_seed for other in others}) > 1
    return f"{label} (seed {row.tokenizer_seed})" if several else label
