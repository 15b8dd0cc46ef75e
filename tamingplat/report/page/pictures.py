"""Pictures inside the page: sheets of small images as PNG in data addresses.

Shape letters: n images, C/H/W image.
"""

from __future__ import annotations

import base64
import io
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from PIL import Image

COLUMNS = 8
"""Images in one line of a sheet."""

LARGEST_SIDE = 64
"""Larger images are shown smaller, by area."""

BUDGET = 8_000_000
"""Characters that all sheets of a page may take together, were their images noise."""

_COUNTS = (16, 8, 4)
_ENCODED = 1.62
"""Characters of a data address for each of an image's bytes, in the worst case: noise, in PNG with transparency, in base64."""

_GAP = 1
"""Transparent pixels between the images of a sheet."""


@dataclass(frozen=True)
class Sheet:
    """Some images in one picture.

    Attributes:
        address: A PNG as a data address.
        width, height: Of the picture, in pixels.
        count: How many images are in it.
        pixelated: Whether the images are shown pixel by pixel, and were not made smaller.
    """

    address: str
    width: int
    height: int
    count: int
    pixelated: bool


@dataclass(frozen=True)
class Allowance:
    """What a page has room for.

    Attributes:
        images: Images in a sheet; 0 where there is nothing to show.
        sheets: How many sheets are shown.
        note: What is left out or made smaller, in words; empty for nothing.
    """

    images: int
    sheets: int
    note: str


def allowance(sheets: int, image_size: tuple[int, int], budget: int = BUDGET) -> Allowance:
    """How many images each of ``sheets`` sheets may have, so that all of them keep within the budget whatever they show."""
    height, width = _shown(image_size)
    notes = []
    if (height, width) != image_size:
        notes.append(f"images of {image_size[0]}×{image_size[1]} pixels are shown at {height}×{width}")
    bytes_each = 3 * height * width * _ENCODED
    count = next((count for count in _COUNTS if sheets * count * bytes_each <= budget), _COUNTS[-1])
    fitting = min(sheets, max(1, int(budget / (count * bytes_each))))
    if fitting < sheets:
        notes.append(f"the first {fitting} of {sheets} sheets are shown, to keep the page small")
    return Allowance(count if sheets else 0, fitting, "; ".join(notes))


def _shown(image_size: tuple[int, int]) -> tuple[int, int]:
    ratio = min(1.0, LARGEST_SIDE / max(image_size))
    return max(1, round(image_size[0] * ratio)), max(1, round(image_size[1] * ratio))


def make_sheet(images: npt.NDArray[np.uint8], columns: int = COLUMNS) -> Sheet:
    """Images in lines of ``columns``.

    Args:
        images: uint8 (n, C, H, W); of two channels the first is shown, of four or more the first three.
        columns: Images in a line.
    """
    assert len(images), "a sheet needs images"
    size = images.shape[2], images.shape[3]
    height, width = _shown(size)
    tiles = [_tile(image, (height, width)) for image in images]
    columns = min(columns, len(tiles))
    lines = -(-len(tiles) // columns)
    whole = Image.new("RGBA", (columns * (width + _GAP) - _GAP, lines * (height + _GAP) - _GAP))
    for index, tile in enumerate(tiles):
        whole.paste(tile, (index % columns * (width + _GAP), index // columns * (height + _GAP)))
    return Sheet(address(whole), whole.width, whole.height, len(tiles), pixelated=(height, width) == size)


def _tile(image: npt.NDArray[np.uint8], shown: tuple[int, int]) -> Image.Image:
    channels = image.shape[0]
    pixels = image[0] if channels < 3 else np.moveaxis(image[:3], 0, -1)
    tile = Image.fromarray(np.ascontiguousarray(pixels)).convert("RGB")
    return tile if tile.size == shown[::-1] else tile.resize(shown[::-1], Image.Resampling.BOX)


def address(image: Image.Image) -> str:
    """An image as a PNG in a data address."""
    buffer = io.BytesIO()
    image.save(buffer, format="png", optimize=True)
    return f"data:image/png;base64,{base64.b64encode(buffer.getvalue()).decode('ascii')}"
