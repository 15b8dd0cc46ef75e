"""What a page shows: its model, which a template turns into HTML."""

from __future__ import annotations

from dataclasses import dataclass

from tamingplat.report.page.content import Chart
from tamingplat.report.page.curves import CurvePanel
from tamingplat.report.page.details import Detail, Settings
from tamingplat.report.page.figures import PublishedFigures
from tamingplat.report.page.gallery import Gallery
from tamingplat.report.page.lines import PageTable
from tamingplat.report.page.orders import OrderPicture
from tamingplat.report.page.provenance import Provenance
from tamingplat.report.page.remarks import Unfinished
from tamingplat.report.page.verdicts import RankingTable
from tamingplat.report.text_table import TextTable


@dataclass(frozen=True)
class DrawnOrdering:
    """An ordering with its pictures.

    Attributes:
        name: Its name in the manifest.
        summary: What its plugin says of it.
        random: Whether every image has an order of its own, of which that of the first is drawn.
        pictures: One for each grid.
    """

    name: str
    summary: str
    random: bool
    pictures: tuple[OrderPicture, ...]


@dataclass(frozen=True)
class ManifestFacts:
    """One manifest.

    Attributes:
        name, file: What it is called, and its file's name.
        facts: Pairs of what and how it is.
        text: All of it, every default spelled out, as JSON.
    """

    name: str
    file: str
    facts: tuple[tuple[str, str], ...]
    text: str


@dataclass(frozen=True)
class Page:
    """What a page shows.

    Attributes:
        title: The manifests' names.
        made: When, and with which version.
        counts: How many lines there are of each status.
        manifests: What was asked for.
        table: The comparison.
        rankings: How far each line is from the best of its ranking.
        curves: Likelihoods during training.
        rates: What is compared across tokenizers.
        orderings: As pictures.
        gallery: Samples and reconstructions.
        codebooks: How often codes occur.
        cost: What every line cost.
        figures: Published figures beside ours.
        sizes: Published numbers of parameters beside ours.
        unfinished: What failed, was refused or has not run.
        remarks: Warnings, what is absent, and what was left out.
        details: Of every line.
        settings: Of every component.
        provenance: How everything was made.
    """

    title: str
    made: str
    counts: tuple[tuple[str, int], ...]
    manifests: tuple[ManifestFacts, ...]
    table: PageTable
    rankings: tuple[RankingTable, ...]
    curves: tuple[CurvePanel, ...]
    rates: tuple[Chart, ...]
    orderings: tuple[DrawnOrdering, ...]
    gallery: Gallery
    codebooks: tuple[Chart, ...]
    cost: TextTable
    figures: tuple[PublishedFigures, ...]
    sizes: tuple[TextTable, ...]
    unfinished: tuple[Unfinished, ...]
    remarks: tuple[str, ...]
    details: tuple[Detail, ...]
    settings: tuple[Settings, ...]
    provenance: Provenance

    @property
    def charts(self) -> tuple[Chart, ...]:
        """Every chart."""
        return (*(panel.chart for panel in self.curves), *self.rates, *self.codebooks)
