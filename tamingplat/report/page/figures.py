"""Published figures beside ours, for the page."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from tamingplat.report.formats import count, with_error
from tamingplat.report.published import PublishedTable, our_lines
from tamingplat.report.published_sizes import PublishedSizes
from tamingplat.report.summary import SummaryRow, Value
from tamingplat.report.text_table import TextTable
from tamingplat.report.trainings import compare_sizes
from tamingplat.stages import Plan, TrainingEstimator
from tamingplat.stages.train_prior import TrainPrior
from tamingplat.stages.train_tokenizer import TrainTokenizer

CAUTION = "Not the same data as ours: compare the order, not the values."


@dataclass(frozen=True)
class PublishedFigures:
    """A published table with our lines below.

    Attributes:
        title: What it shows.
        source, url: Where it was published.
        caution: How far it can be compared.
        headings: Of its columns, the first apart.
        published: Its lines.
        ours: Ours, in the same columns.
        note: What has to be known to read it.
    """

    title: str
    source: str
    url: str
    caution: str
    headings: tuple[str, ...]
    published: tuple[tuple[str, ...], ...]
    ours: tuple[tuple[str, ...], ...]
    note: str


def published_figures(table: PublishedTable, summaries: Sequence[SummaryRow]) -> PublishedFigures:
    """A table of published metrics beside ours."""
    variants = table.variants()
    ours = [
        (line.label, *(with_error(Value(*line.values[one], seeds=1)) if one in line.values else "" for one in variants))
        for line in our_lines(table, summaries)
    ]
    empty = f"no finished line has {table.metric} for a variant of this table"
    return PublishedFigures(
        title=f"{table.title} [{table.unit}]" if table.unit else table.title,
        source=table.source,
        url=table.url,
        caution=CAUTION,
        headings=tuple(table.columns.get(one, one) for one in variants),
        published=tuple(
            (row.label, *(f"{row.values[one]:g}" if one in row.values else "" for one in variants)) for row in table.row
        ),
        ours=tuple(ours) or ((empty, *("" for _ in variants)),),
        note=table.note,
    )


def published_sizes(table: PublishedSizes, plans: Sequence[Plan]) -> TextTable | None:
    """Published numbers of parameters beside those of our models; ``None`` where no model of the plans is in the table."""
    estimator = TrainingEstimator()
    rows: dict[tuple[str, ...], str] = {}
    for plan in plans:
        for stage in plan.stages.values():
            label = stage.prior.label if isinstance(stage, TrainPrior) else ""
            label = stage.tokenizer.label if isinstance(stage, TrainTokenizer) else label
            if not any(table.rows_of(kind, label) for kind in ("prior", "tokenizer")):
                continue
            estimate = estimator.estimate(plan, stage)
            for one in compare_sizes(estimate, [table]) if estimate is not None else ():
                cells = (one.row.label, label, count(one.row.parameters), count(one.counted), one.percent)
                rows[cells] = one.row.note
    if not rows:
        return None
    notes = [f"{cells[0]}: {note}" for cells, note in rows.items() if note]
    notes += [f"{table.source}. {table.note}".strip()]
    headings = ("published as", "here", "published", "counted", "difference")
    return TextTable(table.title, headings, tuple(rows), 2, notes=tuple(dict.fromkeys(notes)))
