"""What comes with an image: label maps, depth maps and keypoints, from their encoded form to arrays.

Shape letters: H/W image, M figures, J joints.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

from tamingplat_datasets.condition_config import DepthConfig, KeypointsConfig, SegmentationConfig
from tamingplat_datasets.geometry import Placement
from tamingplat_datasets.pixels import decode_as_stored

_INTEGERS = frozenset({"L", "I", "I;16", "I;16L", "I;16B", "I;16N"})
_MOST_IN_A_BYTE = 256
_VISIBILITIES = (0, 1, 2)


class UnusableConditionError(ValueError):
    """What comes with an image is not what the settings say. Says why and what to do, not which image's it is."""


def segmentation(data: bytes, config: SegmentationConfig, placement: Placement) -> npt.NDArray[Any]:
    """A label map's class numbers, (H, W): uint8 for up to 256 classes, else int32.

    Resized by taking the nearest pixel, so that no class arises between two others.

    Raises:
        UnusableConditionError: It is not as large as the image, has more than one channel or a palette, or holds numbers that
            are no class.
        UnusableImageError: It cannot be decoded.
    """
    stored = decode_as_stored(data)
    _check_size(stored, placement)
    if stored.mode == "P" and config.palette == "refuse":
        raise UnusableConditionError(
            'a label map with a palette, whose indices need not be the classes; set segmentation.palette = "indices" if they '
            "are, or save the class numbers as 8-bit or 16-bit grey"
        )
    if stored.mode not in _INTEGERS | {"P", "1"}:
        raise UnusableConditionError(
            f"a label map of mode {stored.mode}, but class numbers need one channel of integers; save them as 8- or 16-bit grey"
        )
    values = np.asarray(stored)
    if values.min() < 0 or values.max() >= config.classes:
        values = _with_ignored(values.astype(np.int64), config)
    # Mode I, integers of 32 bits, is the widest that Pillow resizes.
    kind = np.uint8 if config.numbers <= _MOST_IN_A_BYTE else np.int32
    return np.array(placement.of_image(Image.fromarray(values.astype(kind)), "nearest"), dtype=kind)


def _with_ignored(values: npt.NDArray[np.int64], config: SegmentationConfig) -> npt.NDArray[np.int64]:
    """Class numbers with those of pixels without a class replaced by the last one."""
    ignored = np.zeros_like(values, dtype=bool) if config.ignore is None else values == config.ignore
    unknown = ~ignored & ((values < 0) | (values >= config.classes))
    if unknown.any():
        wrong = ", ".join(str(value) for value in np.unique(values[unknown])[:5])
        raise UnusableConditionError(
            f"class numbers {wrong} beyond the {config.classes} classes; raise segmentation.classes, or set "
            "segmentation.ignore to the value of pixels without a class"
        )
    return np.where(ignored, config.classes, values)


def depth(data: bytes, config: DepthConfig, placement: Placement) -> npt.NDArray[np.float32]:
    """A depth map's values, float32 (1, H, W) in [0, 1]: 8 and 16 bits alike, at full precision.

    Normalised before it is cropped, so that a place has the same depth in all views; resized bilinearly, which smooths when it
    shrinks and never leaves the range of its neighbours. A map of one value is 0 everywhere.

    Raises:
        UnusableConditionError: It is not as large as the image, has more than one channel, or values that are not finite.
        UnusableImageError: It cannot be decoded.
    """
    stored = decode_as_stored(data)
    _check_size(stored, placement)
    if stored.mode not in _INTEGERS | {"F"}:
        raise UnusableConditionError(
            f"a depth map of mode {stored.mode}, but depth needs one channel; save it as 8-bit or 16-bit grey"
        )
    values = np.asarray(stored, dtype=np.float32)
    finite = np.isfinite(values)
    if not finite.all():
        wrong = int((~finite).sum())
        raise UnusableConditionError(f"{wrong} depths that are NaN or infinite; fill them in, for instance with the farthest")
    low, high = config.range if config.range is not None else (float(values.min()), float(values.max()))
    scaled = np.clip((values - low) / (high - low), 0, 1) if high > low else np.zeros_like(values)
    image = placement.of_image(Image.fromarray(scaled.astype(np.float32, copy=False)), "bilinear")
    return np.clip(np.asarray(image, dtype=np.float32), 0, 1)[None]


def keypoints(value: Any, config: KeypointsConfig, placement: Placement) -> npt.NDArray[np.float32]:
    """Joints of the largest figures, float32 (M, J, 3): x, y in pixels of the placed image, and visibility.

    As in COCO, visibility is 0 for an absent joint, 1 for a hidden one, 2 for one that is seen. Joints that the crop leaves out
    are absent, and so are those of figures that there are too few of. The place of an absent joint is 0, 0.

    Args:
        value: Numbers, nested in any way: x, y and visibility of each joint of each figure; ``None`` without any figure.
        config: What they mean.
        placement: What was done to the image.

    Raises:
        UnusableConditionError: They are not such numbers, lie outside the image, or are missing where they are required.
    """
    figures = _figures(value, config)
    seen = figures[..., 2] > 0
    if not seen.any() and config.required:
        raise UnusableConditionError("no keypoints of this image; leave it out, or set keypoints.required = false")
    (height, width) = placement.before
    outside = seen & ~((figures[..., :2] >= 0) & (figures[..., :2] <= (width, height))).all(-1)
    if outside.any():
        figure, joint = np.argwhere(outside)[0]
        x, y = figures[figure, joint, :2]
        raise UnusableConditionError(
            f"{config.joints[joint]} at {x:g}, {y:g}, outside the image of {width}×{height} pixels; keypoints are counted in "
            "the pixels of the stored image, and an absent joint has visibility 0"
        )
    chosen = np.zeros((config.figures, len(config.joints), 3))
    largest = sorted(range(len(figures)), key=lambda number: -_extent(figures[number]))[: config.figures]
    chosen[: len(largest)] = figures[largest]
    # What is marked at the far border of an image belongs to its last pixel.
    chosen[..., :2] = placement.of_points(np.minimum(chosen[..., :2], (width - 1, height - 1)))
    if placement.mirror:
        chosen = chosen[:, _opposite(config.joints)]
    height, width = placement.size
    x, y = chosen[..., 0], chosen[..., 1]
    inside = (x >= -0.5) & (x < width - 0.5) & (y >= -0.5) & (y < height - 0.5)
    chosen[..., 0], chosen[..., 1] = x.clip(0, width - 1), y.clip(0, height - 1)
    return np.where((inside & (chosen[..., 2] > 0))[..., None], chosen, 0).astype(np.float32)


def _check_size(stored: Image.Image, placement: Placement) -> None:
    if (stored.height, stored.width) != placement.before:
        height, width = placement.before
        raise UnusableConditionError(
            f"{stored.height}×{stored.width} pixels, but the image has {height}×{width}; store both at one size"
        )


def _figures(value: Any, config: KeypointsConfig) -> npt.NDArray[np.float64]:
    """float64 (figures, J, 3)."""
    numbers, joints = [] if value is None else list(_flat(value)), len(config.joints)
    if len(numbers) % (3 * joints):
        raise UnusableConditionError(
            f"{len(numbers)} numbers, which is not x, y and visibility of {joints} joints; set keypoints.joints to the names "
            "of those that there are"
        )
    figures = np.array(numbers, dtype=np.float64).reshape(-1, joints, 3)
    if not np.isfinite(figures).all():
        raise UnusableConditionError("keypoints that are NaN or infinite; an absent joint is 0, 0, 0")
    known = np.isin(figures[..., 2], _VISIBILITIES)
    if not known.all():
        figure, joint = np.argwhere(~known)[0]
        raise UnusableConditionError(
            f"visibility {figures[figure, joint, 2]:g} of {config.joints[joint]}, which is 0 (absent), 1 (hidden) or 2 (seen); "
            "turn a detector's scores into these, 2 from a threshold on and 0 below it"
        )
    return figures


def _flat(value: Any) -> Sequence[float]:
    if isinstance(value, list | tuple | np.ndarray):
        return [number for inner in value for number in _flat(inner)]
    if value is None or isinstance(value, bool | str | bytes | dict):
        raise UnusableConditionError(f"keypoints hold {value!r}, but must be numbers: x, y and visibility of each joint")
    return [float(value)]


def _extent(figure: npt.NDArray[np.float64]) -> float:
    """Area of the box around the seen joints of (J, 3), in square pixels; negative where none is seen."""
    places = figure[figure[:, 2] > 0, :2]
    return float(np.prod(np.ptp(places, axis=0) + 1)) if len(places) else -1.0


def _opposite(joints: Sequence[str]) -> list[int]:
    """For each joint the number of the one on the other side, or its own."""
    names = {name: number for number, name in enumerate(joints)}
    swapped = [name.replace("left", "\0").replace("right", "left").replace("\0", "right") for name in joints]
    return [names.get(other, number) for number, other in enumerate(swapped)]
