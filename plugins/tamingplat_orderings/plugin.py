"""Entry point of the visiting orders."""

from __future__ import annotations

from tamingplat.interfaces import Component, hookimpl

_PAPER = "https://arxiv.org/abs/2012.09841"


def _ordering(name: str, class_name: str, summary: str, paper: str = _PAPER) -> Component:
    return Component(
        kind="ordering",
        name=name,
        factory=f"tamingplat_orderings.ordering:{class_name}",
        summary=summary,
        paper=paper,
        illustration=f"tamingplat_orderings.illustrations:{name.replace('-', '_')}",
    )


@hookimpl
def tamingplat_components() -> list[Component]:
    """The six orders of the paper's Sec. 4.4, and mirror images of the first, to hold comparisons to: see the dataset potts."""
    return [
        _ordering("raster", "Raster", "Row by row, left to right (row-major); grids of any rank."),
        _ordering("spiral-out", "SpiralOut", "Clockwise spiral from the centre outwards."),
        _ordering("spiral-in", "SpiralIn", "The outward spiral reversed: from the border to the centre."),
        _ordering("z-curve", "ZCurve", "Morton order: quadrant by quadrant, recursively."),
        _ordering("subsample", "Subsample", "Coarse to fine: every second row and column first, recursively."),
        _ordering("alternate", "Alternate", "Row by row, every second row from right to left (boustrophedon)."),
        _ordering("raster-mirrored", "RasterMirrored", "Raster in a mirror: row by row, right to left.", ""),
        _ordering("raster-flipped", "RasterFlipped", "Raster upside down: row by row from the bottom, left to right.", ""),
        _ordering("raster-rotated", "RasterRotated", "Raster backwards: row by row from the bottom, right to left.", ""),
        _ordering("column-major", "ColumnMajor", "Raster mirrored at the diagonal: column by column from the left.", ""),
    ]
