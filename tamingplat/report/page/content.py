"""What a page shows, apart from how it looks: charts with their values as tables."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from tamingplat.report.page.plot import Drawing, Series
from tamingplat.report.text_table import TextTable


@dataclass(frozen=True)
class Chart:
    """A chart, which can be drawn against several quantities, with its values as a table.

    Attributes:
        anchor: Its name in the page.
        title: What it shows.
        text: The same in words, for who does not see it.
        drawings: One for each quantity; all have the same series.
        series: What is drawn.
        values: The same as a table.
        notes: What has to be known to read it.
    """

    anchor: str
    title: str
    text: str
    drawings: tuple[Drawing, ...]
    series: tuple[Series, ...]
    values: TextTable
    notes: tuple[str, ...] = field(default=())

    def script(self) -> dict[str, Any]:
        """What hovering and the keyboard need: of each series the points' places in every drawing, and their texts."""
        return {
            "series": [
                {
                    "name": one.name,
                    "style": one.style,
                    "y": [point.y for point in self.drawings[0].places[index]],
                    "x": {drawing.name: [point.x for point in drawing.places[index]] for drawing in self.drawings},
                    "text": one.texts,
                }
                for index, one in enumerate(self.series)
            ]
        }

    def legend(self) -> list[tuple[Any, str]]:
        """A drawn line and a name for every style; the seeds of a line share one."""
        entries: dict[int, tuple[Any, str]] = {}
        for line, one in zip(self.drawings[0].lines, self.series, strict=True):
            if one.style not in entries or not one.faint:
                entries[one.style] = (line, one.legend or one.name)
        return list(entries.values())
