"""Sizes, regions and named files as options spell them."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tamingplat.interfaces import Problem, Region

_SIZE = re.compile(r"([1-9]\d*)(?:[x×]([1-9]\d*))?")


def parse_size(text: str | None, problems: list[Problem]) -> tuple[int, int] | None:
    """``1280x832``, width and height as pictures are spoken of, to (832, 1280); one number is a square."""
    from tamingplat.interfaces import Problem

    if text is None:
        return None
    found = _SIZE.fullmatch(text.strip().lower())
    if found is None:
        problems.append(Problem(f"--size {text}", "must be WIDTHxHEIGHT in pixels, such as 1280x832, or one number"))
        return None
    width = int(found[1])
    return (int(found[2] or width), width)


def parse_region(rows: float | None, region: str | None, problems: list[Problem]) -> Region | None:
    """``--rows 0.5``, the upper half, or ``--region 0,0,0.5,1``: top, left, bottom, right as shares of height and width."""
    from tamingplat.interfaces import Problem, Region

    if rows is not None and region is not None:
        problems.append(Problem("--rows", "and --region both say what is given", "say one of them"))
        return None
    if rows is not None:
        if not 0 < rows < 1:
            problems.append(Problem(f"--rows {rows:g}", "must be a share of the rows between 0 and 1"))
            return None
        return Region(0, 0, rows, 1)
    if region is None:
        return None
    try:
        sides = [float(side) for side in region.split(",")]
    except ValueError:
        sides = []
    if len(sides) != 4 or not all(0 <= side <= 1 for side in sides):
        what = "must be TOP,LEFT,BOTTOM,RIGHT as shares of height and width between 0 and 1, such as 0,0,0.5,1"
        problems.append(Problem(f"--region {region}", what))
        return None
    return Region(*sides)


def parse_files(texts: Iterable[str], problems: list[Problem]) -> dict[str, Path]:
    """``segmentation=layout.png`` and others, by their names."""
    from tamingplat.interfaces import Problem

    files: dict[str, Path] = {}
    for text in texts:
        name, separator, path = text.partition("=")
        if not (name and separator and path):
            problems.append(Problem(f"--condition {text}", "must be COLUMN=FILE, such as segmentation=layout.png"))
        elif name in files:
            problems.append(Problem(f"--condition {text}", f"{name} is given twice"))
        else:
            files[name] = Path(path)
    return files
