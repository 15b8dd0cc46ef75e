"""How results read: the comparison table, published figures beside it, and sample grids."""

from tamingplat.report.formats import count, duration, number
from tamingplat.report.grids import Strip, draw_strips
from tamingplat.report.published import PublishedTable, load_published
from tamingplat.report.summary import SummaryRow, Value, summarise
from tamingplat.report.table import Format, published_table, rich_table, to_csv, to_json, to_latex, to_markdown

__all__ = [
    "Format",
    "PublishedTable",
    "Strip",
    "SummaryRow",
    "Value",
    "count",
    "draw_strips",
    "duration",
    "load_published",
    "number",
    "published_table",
    "rich_table",
    "summarise",
    "to_csv",
    "to_json",
    "to_latex",
    "to_markdown",
]
