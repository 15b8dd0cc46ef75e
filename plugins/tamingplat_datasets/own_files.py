"""Files of the user's own, treated as the images of a dataset are.

Shape letters: C/H/W image.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from tamingplat.interfaces import DataError
from tamingplat.interfaces.models import Example
from tamingplat_datasets import conditions
from tamingplat_datasets.conditions import UnusableConditionError
from tamingplat_datasets.config import ImageConfig
from tamingplat_datasets.geometry import Placement, place
from tamingplat_datasets.pixels import UnusableImageError, decode, decode_as_stored, to_array, with_channels

_PLAIN_VIEW = ("own", 0, 0)


def read_own(files: Mapping[str, Path], config: ImageConfig) -> Example:
    """One example from a file for each of some columns: resized and cropped in the middle to ``config.size``.

    Keypoints are a JSON file of numbers, nested or not, in the pixels of the other files or, without any, of the result.

    Raises:
        DataError: A file cannot be read, or is not what the settings say, or not as large as another one of the example.
    """
    placement = _placement(files, config)
    example: Example = {}
    for name, path in files.items():
        with _naming(path):
            example[name] = _column(name, path.read_bytes(), config, placement)
    return example


def _placement(files: Mapping[str, Path], config: ImageConfig) -> Placement:
    """How what the files hold is brought to its size."""
    for name in ("image", "segmentation", "depth"):
        if name in files:
            with _naming(files[name]):
                stored = decode_as_stored(files[name].read_bytes())
                return place((stored.height, stored.width), config, _PLAIN_VIEW)
    return place(config.size, config, _PLAIN_VIEW)


def _column(name: str, data: bytes, config: ImageConfig, placement: Placement) -> npt.NDArray[Any]:
    given = config.conditions
    if name == "image":
        return _image(data, config, placement)
    if name == "segmentation" and given.segmentation is not None:
        return conditions.segmentation(data, given.segmentation, placement)
    if name == "depth" and given.depth is not None:
        return conditions.depth(data, given.depth, placement)
    if name == "keypoints" and given.keypoints is not None:
        return conditions.keypoints(_json(data), given.keypoints, placement)
    raise UnusableConditionError(f"given as {name}, which this dataset does not have; set its setting {name}")


def _image(data: bytes, config: ImageConfig, placement: Placement) -> npt.NDArray[np.uint8]:
    image = with_channels(decode(data), config.channels, config.background)
    if (image.height, image.width) != placement.before:
        height, width = placement.before
        raise UnusableImageError(f"{image.height}×{image.width} pixels, but what comes with it has {height}×{width}")
    return to_array(placement.of_image(image, config.interpolation))


def _json(data: bytes) -> Any:
    try:
        return json.loads(data)
    except ValueError as error:
        raise UnusableConditionError(f"not JSON ({error}); write x, y and visibility of every joint, as a list") from error


@contextmanager
def _naming(path: Path) -> Iterator[None]:
    """Errors with the file's name."""
    try:
        yield
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror})") from error
    except (UnusableImageError, UnusableConditionError) as error:
        raise DataError(f"{path}: {error}") from error
