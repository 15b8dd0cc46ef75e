"""Sample grids: one picture with samples of every cell beside real images and reconstructions."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt


@dataclass(frozen=True)
class Strip:
    """Some images with a name: uint8 (n, C, H, W)."""

    label: str
    images: npt.NDArray[np.uint8]


def draw_strips(strips: Sequence[Strip], path: Path, *, columns: int = 12, title: str = "") -> None:
    """Draw one line of images per strip and write the picture as PNG, beside and then renamed."""
    # Imported here: only those who draw should wait for it.
    from matplotlib.figure import Figure

    assert strips, "no images to draw"
    size = 0.62
    figure = Figure(figsize=(3.1 + columns * size, 0.5 + len(strips) * size), dpi=110)
    axes = figure.subplots(len(strips), columns, squeeze=False)
    for line, strip in zip(axes, strips, strict=True):
        for index, axis in enumerate(line):
            axis.set_axis_off()
            if index < len(strip.images):
                _show(axis, strip.images[index])
        line[0].text(-0.15, 0.5, strip.label, transform=line[0].transAxes, ha="right", va="center", fontsize=7)
    if title:
        figure.suptitle(title, fontsize=9, y=1 - 0.12 / figure.get_figheight())
    left, top = 3.0 / figure.get_figwidth(), 1 - 0.4 / figure.get_figheight()
    figure.subplots_adjust(left=left, right=0.995, top=top, bottom=0.01, wspace=0.04, hspace=0.06)
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png")
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_name(f".{path.name}.tmp")
    beside.write_bytes(buffer.getvalue())
    beside.replace(path)


def _show(axis: object, image: npt.NDArray[np.uint8]) -> None:
    channels = image.shape[0]
    pixels = image[0] if channels in (1, 2) else np.moveaxis(image[:3], 0, -1)
    axis.imshow(pixels, cmap="gray" if channels in (1, 2) else None, vmin=0, vmax=255, interpolation="nearest")  # type: ignore[attr-defined]
