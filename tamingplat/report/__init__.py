"""How results read: the comparison table, published figures beside it, and sample grids."""

from tamingplat.report.card import render_card
from tamingplat.report.collected import Collected, collect
from tamingplat.report.formats import count, duration, number
from tamingplat.report.grids import Strip, draw_strips
from tamingplat.report.published import PublishedTable
from tamingplat.report.published_sizes import PublishedSize, PublishedSizes
from tamingplat.report.published_table import published_table
from tamingplat.report.references import load_published
from tamingplat.report.rows import to_csv, to_json
from tamingplat.report.speed_up import asks_for_speed_ups, with_speed_ups
from tamingplat.report.summary import SummaryRow, Value, summarise
from tamingplat.report.text_table import TextTable, to_latex, to_markdown, to_rich
from tamingplat.report.trainings import compare_sizes, estimate_json, sizes_table, trainings_table
from tamingplat.report.view import View, make_view

__all__ = [
    "Collected",
    "PublishedSize",
    "PublishedSizes",
    "PublishedTable",
    "Strip",
    "SummaryRow",
    "TextTable",
    "Value",
    "View",
    "asks_for_speed_ups",
    "collect",
    "compare_sizes",
    "count",
    "draw_strips",
    "duration",
    "estimate_json",
    "load_published",
    "make_view",
    "number",
    "published_table",
    "render_card",
    "sizes_table",
    "summarise",
    "to_csv",
    "to_json",
    "to_latex",
    "to_markdown",
    "to_rich",
    "trainings_table",
    "with_speed_ups",
]
