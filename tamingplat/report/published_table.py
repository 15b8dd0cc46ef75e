"""Published figures above ours, for a terminal."""

from __future__ import annotations

from rich import box
from rich.table import Table
from rich.text import Text

from tamingplat.report.formats import with_error
from tamingplat.report.published import PublishedTable, our_lines
from tamingplat.report.summary import Value, summarise
from tamingplat.stages import Results


def published_table(published: PublishedTable, results: Results) -> Table:
    """Published figures above ours, in the same columns."""
    variants = published.variants()
    table = Table(title=f"{published.title} [{published.unit}]".replace("[]", "").strip(), box=box.SIMPLE_HEAD)
    table.add_column("")
    for variant in variants:
        table.add_column(Text(published.columns.get(variant, variant)), justify="right")
    for row in published.row:
        values = [f"{row.values[variant]:g}" if variant in row.values else "" for variant in variants]
        table.add_row(Text(f"published: {row.label}"), *values, style="cyan")
    table.add_section()
    lines = our_lines(published, summarise(results))
    for line in lines:
        values = [with_error(Value(*line.values[variant], seeds=1)) if variant in line.values else "" for variant in variants]
        table.add_row(Text(f"ours: {line.label}"), *values)
    if not lines:
        table.add_row(Text(f"ours: no finished row has {published.metric} for a variant of this table"))
    caution = "Not the same data as ours: compare the order, not the values."
    table.caption = f"{published.source}. {caution} {published.note}".strip()
    return table
