"""Resizing, cropping and mirroring to a fixed size."""

from __future__ import annotations

import numpy as np
from PIL import Image

from tamingplat.interfaces import derive_seed
from tamingplat_datasets.config import ImageConfig
from tamingplat_datasets.pixels import UnusableImageError

_FILTERS = {
    "nearest": Image.Resampling.NEAREST,
    "box": Image.Resampling.BOX,
    "bilinear": Image.Resampling.BILINEAR,
    "bicubic": Image.Resampling.BICUBIC,
    "lanczos": Image.Resampling.LANCZOS,
}


def fit(image: Image.Image, config: ImageConfig, address: tuple[str, int, int]) -> Image.Image:
    """An image of exactly ``config.size``.

    Args:
        image: Of any size.
        config: How to resize and crop.
        address: Split, index and view. View 0 is the plain image; another view's crop and flip depend on the address alone.

    Raises:
        UnusableImageError: The image is smaller than what is to be cropped from it, and resizing is off.
    """
    image = _resized(image, config)
    height, width = config.size
    down, right = image.height - height, image.width - width
    if down < 0 or right < 0:
        raise UnusableImageError(
            f'{image.height}×{image.width} pixels, smaller than the size {height}×{width}; set resize = "shorter" or "exact"'
        )
    top, left, mirror = down // 2, right // 2, False
    if address[2] != 0 and (config.flip or config.crop == "random"):
        random = np.random.Generator(np.random.PCG64(derive_seed(*address)))
        # All three are always drawn, so that switching one setting leaves the others' draws as they were.
        offsets, coin = random.integers(0, (down + 1, right + 1)), random.random()
        if config.crop == "random":
            top, left = (int(offset) for offset in offsets)
        mirror = config.flip and coin < 0.5
    if down or right:
        image = image.crop((left, top, left + width, top + height))
    return image.transpose(Image.Transpose.FLIP_LEFT_RIGHT) if mirror else image


def _resized(image: Image.Image, config: ImageConfig) -> Image.Image:
    height, width = config.size
    if config.resize == "shorter":
        # The side that decides comes out exact by construction; rounding cannot leave it a pixel short.
        if height * image.width >= width * image.height:
            width = max(width, round(image.width * height / image.height))
        else:
            height = max(height, round(image.height * width / image.width))
    elif config.resize == "none":
        return image
    if image.size == (width, height):
        return image
    return image.resize((width, height), _FILTERS[config.interpolation])
