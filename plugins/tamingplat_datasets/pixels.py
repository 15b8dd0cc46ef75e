"""Encoded images of any common mode to 8-bit images of 1 to 4 channels.

Shape letters: C/H/W image.
"""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageOps, UnidentifiedImageError

MODES = {1: "L", 2: "LA", 3: "RGB", 4: "RGBA"}
"""Pillow's mode for each number of channels."""

_TO_RGB = frozenset({"RGBX", "CMYK", "YCbCr", "HSV"})
_TO_RGBA = frozenset({"PA", "RGBa"})
_SIXTEEN_BITS = frozenset({"I;16", "I;16L", "I;16B", "I;16N"})

# Pillow's decoders report broken files by whatever their parsing ran into.
_BROKEN = (
    OSError,
    SyntaxError,
    ValueError,
    EOFError,
    TypeError,
    LookupError,
    AttributeError,
    ArithmeticError,
    RuntimeError,
    AssertionError,
    struct.error,
    zlib.error,
    Image.DecompressionBombError,
)


class UnusableImageError(ValueError):
    """An image cannot be decoded, or there is no agreed way to make 8-bit channels of it. Says why, not which image."""


def decode(data: bytes) -> Image.Image:
    """The first frame of an encoded image, upright, in one of the modes L, LA, RGB and RGBA.

    Palettes are expanded, transparency becomes an alpha channel, 16-bit grey is scaled to 8 bits and rounded, CMYK, YCbCr and
    HSV become RGB, and an EXIF orientation is applied.

    Raises:
        UnusableImageError: The data is corrupt, or of a mode that has no agreed range (floating point, 32-bit integers, LAB).
    """
    with _understood():
        return _eight_bits(_opened(data))


def decode_as_stored(data: bytes) -> Image.Image:
    """The first frame of an encoded image, upright, in the mode in which it is stored.

    Raises:
        UnusableImageError: The data is corrupt.
    """
    with _understood():
        return _opened(data)


def _opened(data: bytes) -> Image.Image:
    image: Image.Image = Image.open(io.BytesIO(data))
    image.load()
    return ImageOps.exif_transpose(image) if image.getexif().get(0x0112, 1) != 1 else image


@contextmanager
def _understood() -> Iterator[None]:
    """Pillow's errors as ours."""
    try:
        yield
    except UnusableImageError:
        raise
    except _BROKEN as error:
        if isinstance(error, UnidentifiedImageError):
            raise UnusableImageError("not an image of a known format, or a corrupt one") from error
        raise UnusableImageError(f"corrupt image ({error})") from error


def _eight_bits(image: Image.Image) -> Image.Image:
    mode = image.mode
    if mode in ("LA", "RGBA"):
        return image
    if mode in ("1", "L", "RGB", "P") and image.has_transparency_data:
        return image.convert("RGBA")
    if mode in ("L", "RGB"):
        return image
    if mode == "1":
        return image.convert("L")
    if mode == "P" or mode in _TO_RGB:
        return image.convert("RGB")
    if mode == "La":
        return image.convert("LA")
    if mode in _TO_RGBA:
        return image.convert("RGBA")
    if mode in _SIXTEEN_BITS or mode == "I":
        return _from_sixteen_bits(image)
    raise UnusableImageError(f"mode {mode} has no agreed range of values; save the image with 8 or 16 bits per channel")


def _from_sixteen_bits(image: Image.Image) -> Image.Image:
    values = np.asarray(image).astype(np.int64)
    if values.min() < 0 or values.max() > 0xFFFF:
        raise UnusableImageError(
            "32-bit values beyond [0, 65535] have no agreed range; save the image with 8 or 16 bits per channel"
        )
    return Image.fromarray(((values * 255 + 0x7FFF) // 0xFFFF).astype(np.uint8))


def with_channels(image: Image.Image, channels: int, background: tuple[int, int, int]) -> Image.Image:
    """An image of mode L, LA, RGB or RGBA in the mode of that many channels.

    Alpha is composited on ``background`` where the result has none; grey is ITU-R 601-2 luma.
    """
    mode = MODES[channels]
    if image.mode == mode:
        return image
    if image.mode in ("LA", "RGBA") and channels in (1, 3):
        backdrop = Image.new("RGBA", image.size, (*background, 255))
        image = Image.alpha_composite(backdrop, image.convert("RGBA")).convert("RGB")
    return image.convert(mode)


def to_array(image: Image.Image) -> npt.NDArray[np.uint8]:
    """uint8 (C, H, W), contiguous and writable."""
    array = np.array(image, dtype=np.uint8)
    return array[None] if array.ndim == 2 else np.ascontiguousarray(array.transpose(2, 0, 1))
