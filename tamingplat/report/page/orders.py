"""Orderings as pictures: when each position of a grid is visited, and the path from one to the next."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from PIL import Image

from tamingplat.interfaces import CodeSpace
from tamingplat.interfaces.models import VisitPlan
from tamingplat.report.page.pictures import address

LONGEST_PATH = 1024
"""Where more positions are visited, the path is left out and colours alone say when."""

_LARGEST_TABLE = 16
_PICTURES = 8
"""Planes shown of a grid with more than two sides, and grids shown of a space."""

_RAMP = ((0.00, (31, 42, 105)), (0.25, (44, 101, 142)), (0.50, (53, 152, 135)), (0.75, (133, 197, 86)), (1.00, (250, 230, 90)))
"""From first to last: monotone in lightness, so that it reads without colours and in print."""


@dataclass(frozen=True)
class OrderPicture:
    """One plane of codes.

    Attributes:
        title: Which grid, with its size.
        rows, columns: Of the plane.
        address: One pixel for each position, coloured by its step: a PNG as a data address.
        path: An SVG path through the middles of the cells in order of their steps, cells being of size 1; empty where there is
            none to draw.
        start, end: Middles of the first and the last cell, x and y, where there is a path.
        text: The order in words, for who does not see it.
        steps: The step of each position, rows first, counted from 1; empty where the plane is too large for a table.
    """

    title: str
    rows: int
    columns: int
    address: str
    path: str
    start: tuple[float, float] | None
    end: tuple[float, float] | None
    text: str
    steps: tuple[tuple[int, ...], ...]


def draw_order(name: str, space: CodeSpace, plan: VisitPlan) -> list[OrderPicture]:
    """Pictures of the plan of one image, one for each grid.

    Args:
        name: What the ordering is called.
        space: The codes.
        plan: Of at least one image; the first is drawn.
    """
    times = plan.steps()[0].cpu().numpy()
    single = bool((plan.sizes == 1).all())
    planes = itertools.islice(_planes(space, times), _PICTURES)
    return [_picture(name, title, plane, len(plan.sizes), single=single) for title, plane in planes]


def _planes(space: CodeSpace, times: npt.NDArray[np.int64]) -> Iterator[tuple[str, npt.NDArray[np.int64]]]:
    """The steps of every plane, int64 (rows, columns); a grid with more than two sides has one for each of its last places."""
    for number, (start, grid) in enumerate(zip(space.offsets, space.grids, strict=True)):
        steps = times[start : start + math.prod(grid)].reshape(grid)
        title = f"{'×'.join(map(str, grid))} codes" + (f", grid {number + 1}" if len(space.grids) > 1 else "")
        if len(grid) <= 2:
            yield title, steps.reshape(1, -1) if len(grid) == 1 else steps
        else:
            flat = steps.reshape(*grid[:2], -1)
            for depth in range(flat.shape[2]):
                yield f"{title}, depth {depth + 1}", flat[:, :, depth]


def _picture(name: str, title: str, steps: npt.NDArray[np.int64], count: int, *, single: bool) -> OrderPicture:
    rows, columns = steps.shape
    sequence = np.argsort(steps, axis=None, kind="stable")
    cells = [divmod(int(index), columns) for index in sequence]
    drawn = single and len(cells) <= LONGEST_PATH
    middles = [(column + 0.5, row + 0.5) for row, column in cells]
    colours = np.array([colour(step / max(1, count - 1)) for step in steps.reshape(-1)], dtype=np.uint8)
    table = steps + 1 if max(rows, columns) <= _LARGEST_TABLE else np.empty((0, 0), dtype=np.int64)
    return OrderPicture(
        title=title,
        rows=rows,
        columns=columns,
        address=address(Image.fromarray(colours.reshape(rows, columns, 3))),
        path="M" + "L".join(f"{x:g},{y:g}" for x, y in middles) if drawn else "",
        start=middles[0] if drawn else None,
        end=middles[-1] if drawn else None,
        text=_words(name, title, cells, steps, single=single),
        steps=tuple(tuple(int(step) for step in row) for row in table),
    )


def _words(name: str, title: str, cells: Sequence[tuple[int, int]], steps: npt.NDArray[np.int64], *, single: bool) -> str:
    def place(cell: tuple[int, int]) -> str:
        return f"row {cell[0] + 1} column {cell[1] + 1}"

    if not single:
        return f"{name} on {title}: positions are visited together in {len(np.unique(steps))} steps"
    first = ", ".join(place(cell) for cell in cells[:6])
    return f"{name} on {title}: visits {first}{' and so on' if len(cells) > 6 else ''}; ends at {place(cells[-1])}"


def colour(share: float) -> tuple[int, int, int]:
    """The colour of a step, from the first at 0 to the last at 1."""
    for (low, before), (high, after) in itertools.pairwise(_RAMP):
        if share <= high:
            weight = (share - low) / (high - low)
            mixed = [round(start + weight * (end - start)) for start, end in zip(before, after, strict=True)]
            return mixed[0], mixed[1], mixed[2]
    return _RAMP[-1][1]
