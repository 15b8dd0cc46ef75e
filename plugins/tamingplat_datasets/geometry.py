"""Resizing, cropping and mirroring to a fixed size, the same for an image and for all that comes with it.

Shape letters: H/W image, M figures, J joints.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt
from PIL import Image

from tamingplat.interfaces import derive_seed
from tamingplat_datasets.config import ImageConfig, Interpolation
from tamingplat_datasets.pixels import UnusableImageError

_FILTERS = {
    "nearest": Image.Resampling.NEAREST,
    "box": Image.Resampling.BOX,
    "bilinear": Image.Resampling.BILINEAR,
    "bicubic": Image.Resampling.BICUBIC,
    "lanczos": Image.Resampling.LANCZOS,
}


@dataclass(frozen=True)
class Placement:
    """How an image is brought to its size.

    Attributes:
        before: Height and width as stored.
        scaled: Height and width after resizing.
        size: Height and width of what is cropped from that.
        top: First row of the crop.
        left: First column of the crop.
        mirror: Whether the crop is mirrored left to right.
    """

    before: tuple[int, int]
    scaled: tuple[int, int]
    size: tuple[int, int]
    top: int
    left: int
    mirror: bool

    def of_image(self, image: Image.Image, interpolation: Interpolation) -> Image.Image:
        """An image of size ``before``, in any mode, brought to ``size``."""
        assert (image.height, image.width) == self.before, (image.size, self.before)
        (height, width), scaled = self.size, (self.scaled[1], self.scaled[0])
        if image.size != scaled:
            image = _resized(image, scaled, interpolation)
        if image.size != (width, height):
            image = image.crop((self.left, self.top, self.left + width, self.top + height))
        return image.transpose(Image.Transpose.FLIP_LEFT_RIGHT) if self.mirror else image

    def of_points(self, points: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        """Columns and rows in an image of size ``before``, (…, 2), as those in the image of size ``size``.

        Whole numbers are centres of pixels. What the crop leaves out has places outside of it.
        """
        factors = np.array([self.scaled[1] / self.before[1], self.scaled[0] / self.before[0]])
        moved: npt.NDArray[np.float64] = (points + 0.5) * factors - 0.5 - np.array([self.left, self.top])
        if self.mirror:
            moved[..., 0] = self.size[1] - 1 - moved[..., 0]
        return moved

    def coordinates(self) -> npt.NDArray[np.float32]:
        """Raster index of every pixel in the whole resized image, divided by the number of its pixels: (1, H, W) in [0, 1).

        A mirrored crop is one of the mirrored image: its coordinates ascend from left to right, as everywhere.
        """
        (height, width), (rows, columns) = self.size, self.scaled
        left = columns - width - self.left if self.mirror else self.left
        index = (self.top + np.arange(height))[:, None] * columns + left + np.arange(width)
        return (index / (rows * columns)).astype(np.float32)[None]


def place(before: tuple[int, int], config: ImageConfig, address: tuple[str, int, int]) -> Placement:
    """How an image is brought to ``config.size``.

    Args:
        before: Its height and width.
        config: How to resize and crop.
        address: Split, index and view. View 0 is the plain image; another view's crop and flip depend on the address alone.

    Raises:
        UnusableImageError: The image is smaller than what is to be cropped from it, and resizing is off.
    """
    scaled = _scaled(before, config)
    height, width = config.size
    down, right = scaled[0] - height, scaled[1] - width
    if down < 0 or right < 0:
        raise UnusableImageError(
            f'{scaled[0]}×{scaled[1]} pixels, smaller than the size {height}×{width}; set resize = "shorter" or "exact"'
        )
    top, left, mirror = down // 2, right // 2, False
    if address[2] != 0 and (config.flip or config.crop == "random"):
        random = np.random.Generator(np.random.PCG64(derive_seed(*address)))
        # All three are always drawn, so that switching one setting leaves the others' draws as they were.
        offsets, coin = random.integers(0, (down + 1, right + 1)), random.random()
        if config.crop == "random":
            top, left = (int(offset) for offset in offsets)
        mirror = config.flip and coin < 0.5
    return Placement(before, scaled, (height, width), top, left, bool(mirror))


def fit(image: Image.Image, config: ImageConfig, address: tuple[str, int, int]) -> Image.Image:
    """An image of exactly ``config.size``; arguments and errors are those of ``place``."""
    return place((image.height, image.width), config, address).of_image(image, config.interpolation)


def _resized(image: Image.Image, scaled: tuple[int, int], interpolation: Interpolation) -> Image.Image:
    """An image brought to a width and height."""
    if interpolation == "bilinear-unsmoothed":
        return Image.fromarray(cv2.resize(np.asarray(image), scaled, interpolation=cv2.INTER_LINEAR))
    return image.resize(scaled, _FILTERS[interpolation])


def _scaled(before: tuple[int, int], config: ImageConfig) -> tuple[int, int]:
    """Height and width after resizing."""
    height, width = config.size
    if config.resize == "none":
        return before
    if config.resize == "shorter":
        # The side that decides comes out exact by construction; rounding cannot leave it a pixel short.
        if height * before[1] >= width * before[0]:
            width = max(width, round(before[1] * height / before[0]))
        else:
            height = max(height, round(before[0] * width / before[1]))
    return height, width
