"""Published figures beside ours, for the page."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from tamingplat.report.published import CAUTION, PublishedTable
from tamingplat.report.published_table import figures_beside
from tamingplat.report.summary import SummaryRow


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
    theirs, ours = figures_beside(table, summaries)
    return PublishedFigures(table.heading, table.source, table.url, CAUTION, table.headings(), theirs, ours, table.note)
