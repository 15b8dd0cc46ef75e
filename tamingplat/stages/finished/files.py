"""The user's own images, maps and keypoints, as columns of an example.

Shape letters: C/H/W image.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

from tamingplat.interfaces import DataError, DatasetInfo, MapsInfo
from tamingplat.interfaces.models import Dataset, Example

IMAGE_SUFFIXES = frozenset({".png", ".jpg", ".jpeg", ".webp", ".bmp", ".tif", ".tiff", ".gif"})
"""What of a folder is taken for an image."""

_MODES = {1: "L", 2: "LA", 3: "RGB", 4: "RGBA"}
_INTEGERS = frozenset({"L", "I", "I;16", "I;16L", "I;16B", "I;16N", "1"})
_SIXTEEN_BITS = frozenset({"I;16", "I;16L", "I;16B", "I;16N"})
_EIGHT_BITS = frozenset({"1", "L", "LA", "P", "PA", "RGB", "RGBA", "RGBX", "CMYK", "YCbCr", "HSV"})
_VISIBILITIES = (0, 1, 2)


def read_own(dataset: Dataset, files: Mapping[str, Path], size: tuple[int, int]) -> Example:
    """Columns from files: resized and cropped as the dataset's own images are or, for a dataset without files, as they are.

    Args:
        dataset: Whose images they stand beside.
        files: A file for each column.
        size: Height and width in pixels of what is made of them.

    Raises:
        DataError: A file cannot be read, or is not what the column needs; the message names it.
    """
    converted = dataset.convert(files, size)
    return (
        converted if converted is not None else {name: _column(name, path, dataset.info, size) for name, path in files.items()}
    )


def open_image(path: Path) -> Image.Image:
    """An image, upright, in the mode in which it is stored.

    Raises:
        DataError: It cannot be read.
    """
    from PIL import ImageOps

    try:
        image: Image.Image = Image.open(path)
        image.load()
        return ImageOps.exif_transpose(image)
    except OSError as error:
        raise DataError(f"{path}: cannot be read as an image ({error.strerror or error})") from error
    except (SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise DataError(f"{path}: corrupt image ({error})") from error


def read_image(dataset: Dataset, path: Path) -> npt.NDArray[np.uint8]:
    """An image as large as it is, otherwise as the dataset's own: uint8 (C, H, W).

    Raises:
        DataError: It cannot be read, or has values without an agreed range.
    """
    image = open_image(path)
    array: npt.NDArray[np.uint8] = read_own(dataset, {"image": path}, (image.height, image.width))["image"]
    return array


def read_map(path: Path, maps: MapsInfo, size: tuple[int, int]) -> npt.NDArray[np.uint8]:
    """An image that a condition takes in place of what it would find: uint8 (C, h, w).

    Args:
        path: The file.
        maps: Its height, width and channels.
        size: Height and width in pixels of the samples that it is for.

    Raises:
        DataError: It cannot be read, has another size, or is transparent somewhere.
    """
    image, (height, width) = open_image(path), maps.image_size
    # The samples may be larger than the map that stands for them.
    other = (image.height * size[0] // height, image.width * size[1] // width)
    _check_size(image, path, maps.image_size, other)
    if _has_alpha(image) and np.asarray(image.convert("RGBA"))[..., 3].min() < 0xFF:
        raise DataError(f"{path}: has transparent parts; lay it on the background that it is meant to have")
    return _image_array(image, path, maps.channels)


def _image_array(image: Image.Image, path: Path, channels: int) -> npt.NDArray[np.uint8]:
    """uint8 (C, H, W); what is transparent lies on white where the result has no alpha channel."""
    image = _eight_bits(image, path)
    if _has_alpha(image):
        image = image.convert("RGBA")
        if channels in (1, 3):
            image = Image.alpha_composite(Image.new("RGBA", image.size, (255, 255, 255, 255)), image).convert("RGB")
    array = np.array(image.convert(_MODES[channels]), dtype=np.uint8)
    return array[None] if array.ndim == 2 else np.ascontiguousarray(array.transpose(2, 0, 1))


def _has_alpha(image: Image.Image) -> bool:
    return image.mode in ("LA", "RGBA", "PA") or "transparency" in image.info


def _eight_bits(image: Image.Image, path: Path) -> Image.Image:
    """An image of 8 bits; one of 16 is scaled, which Pillow's own conversion does not do."""
    if image.mode in _EIGHT_BITS:
        return image
    if image.mode in _SIXTEEN_BITS or image.mode == "I":
        values = np.asarray(image).astype(np.int64)
        # One of 32 bits is taken for one of 16 only where its values show that it is none of 8.
        least = 0x100 if image.mode == "I" else 0
        if values.min() >= 0 and least <= values.max() <= 0xFFFF:
            return Image.fromarray(((values * 255 + 0x7FFF) // 0xFFFF).astype(np.uint8))
    raise DataError(
        f"{path}: mode {image.mode}, whose values have no agreed range; save the image with 8 or 16 bits per channel"
    )


def _check_size(image: Image.Image, path: Path, size: tuple[int, int], other: tuple[int, int]) -> None:
    """An image has to have a size; ``other`` is that of the samples that would fit it as it is."""
    if (image.height, image.width) != size:
        raise DataError(
            f"{path}: {image.height} rows of {image.width} pixels, and {size[0]} of {size[1]} are asked for; resize it, or say "
            f"--size {other[1]}x{other[0]}"
        )


def _column(name: str, path: Path, info: DatasetInfo, size: tuple[int, int]) -> npt.NDArray[Any]:
    if name == "keypoints":
        return _keypoints(path, info, size)
    image = open_image(path)
    _check_size(image, path, size, (image.height, image.width))
    if name == "image":
        return _image_array(image, path, info.channels)
    if name == "segmentation":
        return _segmentation(image, path, info.segmentation_classes or 0)
    if name == "depth":
        return _depth(image, path)
    raise DataError(f"{path}: given as {name}, which cannot come from a file")


def _segmentation(image: Image.Image, path: Path, classes: int) -> npt.NDArray[np.int64]:
    if image.mode == "P":
        raise DataError(
            f"{path}: a label map with a palette, whose indices need not be the classes; save the class numbers as grey"
        )
    if image.mode not in _INTEGERS:
        raise DataError(f"{path}: a label map of mode {image.mode}, but class numbers need one channel of integers")
    values = np.asarray(image).astype(np.int64)
    if values.min() < 0 or values.max() >= classes:
        wrong = ", ".join(map(str, np.unique(values[(values < 0) | (values >= classes)])[:5]))
        raise DataError(f"{path}: class numbers {wrong} beyond the {classes} classes of the dataset, 0 to {classes - 1}")
    return values


def _depth(image: Image.Image, path: Path) -> npt.NDArray[np.float32]:
    if image.mode not in _SIXTEEN_BITS | {"L", "I", "F"}:
        raise DataError(f"{path}: a depth map of mode {image.mode}, but depth needs one channel; save it as 8- or 16-bit grey")
    values = np.asarray(image, dtype=np.float32)
    if not np.isfinite(values).all():
        raise DataError(f"{path}: depths that are NaN or infinite; fill them in, for instance with the farthest")
    scaled = values if image.mode == "F" else values / (255 if image.mode == "L" else 65_535)
    if scaled.min() < 0 or scaled.max() > 1:
        raise DataError(f"{path}: depths from {scaled.min():g} to {scaled.max():g}, and they lie between 0 and 1")
    return scaled.astype(np.float32)[None]


def _keypoints(path: Path, info: DatasetInfo, size: tuple[int, int]) -> npt.NDArray[np.float32]:
    joints = len(info.joints or ())
    try:
        numbers = np.array(json.loads(path.read_bytes()), dtype=np.float32).ravel()
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror})") from error
    except (ValueError, TypeError) as error:
        raise DataError(f"{path}: not lists of numbers in JSON ({error})") from error
    if not numbers.size or numbers.size % (3 * joints) or not np.isfinite(numbers).all():
        raise DataError(
            f"{path}: {numbers.size} numbers, not x, y and visibility of {joints} joints: {', '.join(info.joints or ())}"
        )
    figures = numbers.reshape(-1, joints, 3)
    if not np.isin(figures[..., 2], _VISIBILITIES).all():
        unknown = figures[~np.isin(figures[..., 2], _VISIBILITIES)][0, 2]
        raise DataError(
            f"{path}: visibility {unknown:g}, which is 0 (absent), 1 (hidden) or 2 (seen); turn a detector's scores into "
            "these, 2 from a threshold on and 0 below it"
        )
    # At most half a pixel beside the centres of the first and of the last one.
    inside = (figures[..., :2] >= -0.5) & (figures[..., :2] <= (size[1] - 0.5, size[0] - 0.5))
    outside = np.argwhere((figures[..., 2] > 0) & ~inside.all(-1))
    if len(outside):
        figure, joint = outside[0]
        (x, y), name = figures[figure, joint, :2], (info.joints or ())[joint]
        raise DataError(
            f"{path}: {name} at {x:g}, {y:g}, outside the image of {size[1]} columns and {size[0]} rows; an absent joint has "
            "visibility 0"
        )
    return figures
