"""Pictures inside the page: sheets of small images as PNG in data addresses.

Shape letters: n images, C/H/W image.
"""

from __future__ import annotations

import base64
import io
import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from PIL import Image

COLUMNS = 8
"""Small images in one line of a sheet."""

LARGE_COLUMNS = 4
"""Large images in one line: those with a side above ``LARGE``."""

LARGE = 64

LARGEST_SIDE = 256
"""Larger images are always shown smaller, by area."""

BUDGET = 8_000_000
"""Characters that all sheets of a page may take together."""

MOST_IMAGES = 16
"""In a sheet."""

_LAYOUTS = (
    *((side, count) for side in (LARGEST_SIDE, 192, 128, 96) for count in (MOST_IMAGES, 8)),
    *((LARGE, count) for count in (MOST_IMAGES, 8, 4)),
    (48, 4),
    (32, 4),
    (32, 2),
)
"""Largest side and number of images of a sheet, the best first."""

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
        pixelated: Whether the images are shown pixel by pixel: small ones that were not made smaller.
        large: Whether the images are large, and the picture is worth more room.
    """

    address: str
    width: int
    height: int
    count: int
    pixelated: bool
    large: bool


@dataclass(frozen=True)
class Layout:
    """How large sheets are.

    Attributes:
        side: The largest side that an image is shown with, in pixels.
        images: Images in a sheet.
    """

    side: int = LARGEST_SIDE
    images: int = MOST_IMAGES

    def shown(self, image_size: tuple[int, int]) -> tuple[int, int]:
        """Height and width that an image of this size is shown with."""
        ratio = min(1.0, self.side / max(image_size))
        return max(1, round(image_size[0] * ratio)), max(1, round(image_size[1] * ratio))

    def most(self, image_size: tuple[int, int]) -> int:
        """Characters that one sheet of such images takes at most, were they noise."""
        height, width = self.shown(image_size)
        return math.ceil(self.images * 3 * height * width * _ENCODED)


def layout(sheets: int, image_size: tuple[int, int], budget: float, like: Layout | None = None) -> Layout:
    """The best layout with which so many sheets keep within a budget whatever they show; the smallest where none does.

    Args:
        sheets: How many.
        image_size: Height and width of the images.
        budget: Characters of all of them together.
        like: What other sheets of the page have. These are not to surpass them, and are rather fewer than small.
    """
    layouts = [Layout(side, images) for side, images in _LAYOUTS]
    if like is not None:
        layouts = layouts[layouts.index(like) :]
        layouts = [one for one in layouts if one.side >= LARGE] or layouts[:1]
    return next((one for one in layouts if sheets * one.most(image_size) <= budget), layouts[-1])


def make_sheet(images: npt.NDArray[np.uint8], largest: int = LARGEST_SIDE, columns: int | None = None) -> Sheet:
    """Images in lines below each other.

    Args:
        images: uint8 (n, C, H, W); of two channels the first is shown, of four or more the first three.
        largest: The largest side that they are shown with.
        columns: Images in a line; as many as suit their size unless given.
    """
    assert len(images), "a sheet needs images"
    size = images.shape[2], images.shape[3]
    height, width = Layout(largest).shown(size)
    tiles = [_tile(image, (height, width)) for image in images]
    large = max(height, width) > LARGE
    columns = min(columns or (LARGE_COLUMNS if large else COLUMNS), len(tiles))
    lines = -(-len(tiles) // columns)
    whole = Image.new("RGBA", (columns * (width + _GAP) - _GAP, lines * (height + _GAP) - _GAP))
    for index, tile in enumerate(tiles):
        whole.paste(tile, (index % columns * (width + _GAP), index // columns * (height + _GAP)))
    return Sheet(address(whole), whole.width, whole.height, len(tiles), (height, width) == size and not large, large)


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
