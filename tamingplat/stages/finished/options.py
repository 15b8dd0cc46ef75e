"""What is to be drawn from a finished cell.

Shape letters: n images, B batch, C/H/W image, N code positions.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tamingplat.interfaces import Region
from tamingplat.stages.finished.conditions import Wanted


@dataclass(frozen=True, kw_only=True)
class SampleOptions:
    """What is to be drawn.

    Attributes:
        count: How many images.
        size: Height and width in pixels; the dataset's by default.
        seed: Of the sampling; the cell's by default, which draws the same images as its samples in the table.
        wanted: Classes and files of the condition.
        complete: An image of which a part is given.
        region: Which part; the upper half by default.
        sampler: A block or a component in place of the cell's sampler.
        settings: Settings of the sampler, over its own.
        tile: Side in pixels of the squares in which large images are encoded and decoded.
        batch_size: Images at a time.
    """

    count: int = 1
    size: tuple[int, int] | None = None
    seed: int | None = None
    wanted: Wanted = field(default_factory=Wanted)
    complete: Path | None = None
    region: Region | None = None
    sampler: str | None = None
    settings: Mapping[str, Any] = field(default_factory=dict)
    tile: int | None = None
    batch_size: int | None = None
