"""How results read: the comparison table, published figures beside it, and sample grids."""

from tamingplat.report.card import render_card
from tamingplat.report.formats import count, duration, number
from tamingplat.report.grids import Strip, draw_strips
from tamingplat.report.published import PublishedTable
from tamingplat.report.published_sizes import PublishedSize, PublishedSizes
from tamingplat.report.references import load_published
from tamingplat.report.summary import SummaryRow, Value, summarise
from tamingplat.report.table import Format, published_table, rich_table, to_csv, to_json, to_latex, to_markdown
from tamingplat.report.trainings import compare_sizes, estimate_json, sizes_table, trainings_table

__all__ = [
    "Format",
    "PublishedSize",
    "PublishedSizes",
    "PublishedTable",
    "Strip",
    "SummaryRow",
    "Value",
    "compare_sizes",
    "count",
    "draw_strips",
    "duration",
    "estimate_json",
    "load_published",
    "number",
    "published_table",
    "render_card",
    "rich_table",
    "sizes_table",
    "summarise",
    "to_csv",
    "to_json",
    "to_latex",
    "to_markdown",
    "trainings_table",
]
