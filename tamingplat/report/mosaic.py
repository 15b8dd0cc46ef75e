"""Images as files: one by one, or as one grid at their own size.

Shape letters: n images, C/H/W image.
"""

from __future__ import annotations

import math
import os
from contextlib import suppress
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image

from tamingplat.interfaces import TamingplatError

_MODES = {1: "L", 2: "LA", 3: "RGB", 4: "RGBA"}
_GAP = 2
"""Pixels between the images of a grid."""

WRITTEN_SUFFIXES = (".png", ".jpg", ".jpeg", ".webp")
"""What files of images can end in."""


def mosaic(images: npt.NDArray[np.uint8], columns: int | None = None) -> npt.NDArray[np.uint8]:
    """One picture of several, uint8 (n, C, H, W) to (C, H', W'), white between them; a single one stays as it is.

    Args:
        images: At least one.
        columns: How many stand beside each other; by default so many that the grid is about as high as wide.
    """
    count, channels, height, width = images.shape
    if count == 1:
        only: npt.NDArray[np.uint8] = images[0]
        return only
    wide = columns or max(1, round(math.sqrt(count * height / width)))
    wide = min(wide, count)
    high = -(-count // wide)
    picture = np.full((channels, high * (height + _GAP) - _GAP, wide * (width + _GAP) - _GAP), 255, dtype=np.uint8)
    for index, image in enumerate(images):
        top, left = index // wide * (height + _GAP), index % wide * (width + _GAP)
        picture[:, top : top + height, left : left + width] = image
    return picture


def write_image(path: Path, image: npt.NDArray[np.uint8]) -> None:
    """Write uint8 (C, H, W) in the format that the suffix names, beside and renamed.

    Raises:
        TamingplatError: It cannot be written there.
    """
    array = image[0] if len(image) == 1 else np.moveaxis(image, 0, -1)
    picture = Image.fromarray(np.ascontiguousarray(array), _MODES[len(image)])
    if path.suffix.lower() in (".jpg", ".jpeg") and picture.mode != "L":
        picture = picture.convert("RGB")
    beside = path.with_name(f".{path.stem}-{os.getpid()}{path.suffix}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        picture.save(beside, quality=90) if path.suffix.lower() != ".png" else picture.save(beside, optimize=True)
        beside.replace(path)
    except OSError as error:
        with suppress(OSError):  # where not even the folder can be made
            beside.unlink(missing_ok=True)
        raise TamingplatError(
            f"{path}: cannot be written ({error.strerror or error}); choose another place with --out"
        ) from None


def writable_problem(path: Path, *, folder: bool) -> str | None:
    """Why images cannot be written to a file, or into a folder; ``None`` where they can. Writes nothing."""
    if folder and path.exists() and not path.is_dir():
        return "is a file, and several images go into a folder"
    if not folder and path.is_dir():
        return f"is a folder; name a file that ends in {', '.join(WRITTEN_SUFFIXES)}"
    existing = next(parent for parent in (path, *path.absolute().parents) if parent.exists())
    if existing != path and not existing.is_dir():
        return f"cannot be written, because {existing} is a file and no folder"
    return None if os.access(existing, os.W_OK) else f"cannot be written, because {existing} cannot"
