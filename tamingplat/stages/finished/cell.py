"""A finished cell: images drawn from it, as many and as large as one likes.

Shape letters: n images, B batch, C/H/W image, N code positions.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np

from tamingplat.engine import Progress
from tamingplat.interfaces import Region
from tamingplat.stages.finished.conditions import Wanted
from tamingplat.stages.finished.options import SampleOptions
from tamingplat.stages.finished.preparation import Preparation
from tamingplat.stages.finished.sampling import Images, Sampling
from tamingplat.stages.finished.source import CellSource


@dataclass(frozen=True)
class FinishedCell(CellSource):
    """A cell whose models are trained, to draw images from."""

    def sample(
        self,
        count: int = 1,
        *,
        size: tuple[int, int] | None = None,
        seed: int | None = None,
        classes: Sequence[str | int] = (),
        conditions: Mapping[str, Path | str] = MappingProxyType({}),
        complete: Path | str | None = None,
        region: Sequence[float] | None = None,
        sampler: str | None = None,
        tile: int | None = None,
        batch_size: int | None = None,
        report: Callable[[Progress], None] = lambda progress: None,
        **settings: Any,
    ) -> Images:
        """Images, uint8 (n, C, H, W); without any option those of the cell's row in the table.

        Args:
            count: n.
            size: Height and width in pixels; the dataset's by default.
            seed: Draws other images.
            classes: Names or numbers of classes, which images take in turn.
            conditions: A file for each of some columns: ``{"segmentation": "layout.png"}``.
            complete: An image of which a part is given.
            region: Top, left, bottom and right of that part, as shares of height and width; the upper half by default.
            sampler: A block of the manifest, or a component, in place of the cell's.
            tile: Side in pixels of the squares in which large images are encoded and decoded.
            batch_size: Images at a time.
            report: Takes the progress.
            settings: Of the sampler: ``temperature``, ``top_k``, ….

        Raises:
            TamingplatError: What is wrong, all of it, before anything is drawn.
        """
        options = SampleOptions(
            count=count,
            size=size,
            seed=seed,
            wanted=Wanted(tuple(classes), {name: Path(path) for name, path in conditions.items()}),
            complete=None if complete is None else Path(complete),
            region=None if region is None else Region(*region),
            sampler=sampler,
            settings=settings,
            tile=tile,
            batch_size=batch_size,
        )
        return np.concatenate(list(self.prepare(options).draw(report)))

    def prepare(self, options: SampleOptions) -> Sampling:
        """Find everything that is wrong with what is asked for; nothing is loaded or drawn yet.

        Raises:
            ProblemsError: What is wrong, all of it.
            TamingplatError: The cell is not finished.
        """
        return Preparation(self, options).sampling()
