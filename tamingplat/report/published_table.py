"""Published figures beside ours as tables: metrics above ours in the same columns, numbers of parameters in lines with ours."""

from __future__ import annotations

from collections.abc import Sequence

from tamingplat.report.formats import count, with_error
from tamingplat.report.published import CAUTION, PublishedTable, our_lines
from tamingplat.report.published_sizes import PublishedSizes
from tamingplat.report.summary import SummaryRow, Value
from tamingplat.report.text_table import TextTable
from tamingplat.report.trainings import compare_sizes
from tamingplat.stages import Plan, TrainingEstimator
from tamingplat.stages.train_prior import TrainPrior
from tamingplat.stages.train_tokenizer import TrainTokenizer

Lines = tuple[tuple[str, ...], ...]


def figures_beside(published: PublishedTable, rows: Sequence[SummaryRow]) -> tuple[Lines, Lines]:
    """The published lines and ours: a label, and a value for each variant. Where we have none, one line of ours says so."""
    variants = published.variants()
    theirs = [(row.label, *(f"{row.values[one]:g}" if one in row.values else "" for one in variants)) for row in published.row]
    ours = [
        (line.label, *(with_error(Value(*line.values[one], seeds=1)) if one in line.values else "" for one in variants))
        for line in our_lines(published, rows)
    ]
    none = (f"no finished row has {published.metric} for a variant of this table", *("" for _ in variants))
    return tuple(theirs), tuple(ours) or (none,)


def published_table(published: PublishedTable, rows: Sequence[SummaryRow]) -> TextTable:
    """Published metrics above ours, in the same columns."""
    theirs, ours = figures_beside(published, rows)
    lines = [(f"{whose}: {line[0]}", *line[1:]) for whose, of in (("published", theirs), ("ours", ours)) for line in of]
    return TextTable(
        published.heading,
        ("line", *published.headings()),
        tuple(lines),
        1,
        statuses=("published",) * len(theirs) + ("done",) * len(ours),
        notes=(CAUTION, f"{published.source}. {published.note}".strip()),
    )


def sizes_beside(published: PublishedSizes, plans: Sequence[Plan]) -> TextTable | None:
    """Published numbers of parameters beside those of our models; ``None`` where no model of the plans is in the table."""
    estimator = TrainingEstimator()
    rows: dict[tuple[str, ...], str] = {}
    for plan in plans:
        for stage in plan.stages.values():
            label = stage.prior.label if isinstance(stage, TrainPrior) else ""
            label = stage.tokenizer.label if isinstance(stage, TrainTokenizer) else label
            if not any(published.rows_of(kind, label) for kind in ("prior", "tokenizer")):
                continue
            estimate = estimator.estimate(plan, stage)
            for one in compare_sizes(estimate, [published]) if estimate is not None else ():
                cells = (one.row.label, label, count(one.row.parameters), count(one.counted), one.percent)
                rows[cells] = one.row.note
    if not rows:
        return None
    notes = [f"{cells[0]}: {note}" for cells, note in rows.items() if note]
    notes += [f"{published.source}. {published.note}".strip()]
    headings = ("published as", "here", "published", "counted", "difference")
    return TextTable(published.title, headings, tuple(rows), 2, notes=tuple(dict.fromkeys(notes)))
