"""What a tokenizer writes and a prior models, and what a conditioner puts before it."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt


@dataclass(frozen=True)
class CodeSpace:
    """The codes of one image: one or more grids over a shared vocabulary, in canonical flat order.

    Canonical order is raster within a grid and the grids one after the other, coarser first.

    Attributes:
        grids: Shape of each grid: ``((16, 16),)`` one grid, ``((32,),)`` a 1-D sequence, ``((1, 1), (2, 2))`` scales,
            ``((8, 8, 4),)`` a depth of four codes per place.
        vocab_size: Codes lie in ``[0, vocab_size)``.
    """

    grids: tuple[tuple[int, ...], ...]
    vocab_size: int

    def __post_init__(self) -> None:
        if not self.grids or any(not grid or min(grid) < 1 for grid in self.grids):
            raise ValueError(f"a code space needs grids with positive sides, not {self.grids}")
        if self.vocab_size < 1:
            raise ValueError(f"a vocabulary needs at least one code, not {self.vocab_size}")

    @property
    def length(self) -> int:
        """N, the number of codes per image."""
        return sum(math.prod(grid) for grid in self.grids)

    @property
    def offsets(self) -> tuple[int, ...]:
        """Flat position at which each grid begins."""
        starts = [0]
        for grid in self.grids[:-1]:
            starts.append(starts[-1] + math.prod(grid))
        return tuple(starts)

    def coords(self) -> npt.NDArray[np.int64]:
        """Coordinates of every position, int64 (N, 1 + k): the grid's index, then its coordinates padded with zeros."""
        rank = max(len(grid) for grid in self.grids)
        rows = []
        for index, grid in enumerate(self.grids):
            inside = np.indices(grid).reshape(len(grid), -1).T
            padded = np.pad(inside, ((0, 0), (0, rank - len(grid))))
            rows.append(np.concatenate([np.full((len(padded), 1), index), padded], axis=1))
        return np.concatenate(rows).astype(np.int64)


@dataclass(frozen=True)
class ConditionPart:
    """One part of a condition: a class token, a grid of segmentation codes, ….

    Attributes:
        name: Unique within a layout.
        vocab_size: Tokens lie in ``[0, vocab_size)``, the null index included.
        grid: Shape of a spatial part, which a sliding window crops; ``None`` for a part of one token.
    """

    name: str
    vocab_size: int
    grid: tuple[int, ...] | None = None

    @property
    def length(self) -> int:
        """Number of tokens of this part."""
        return 1 if self.grid is None else math.prod(self.grid)


ConditionLayout = tuple[ConditionPart, ...]


def layout_length(layout: ConditionLayout) -> int:
    """P, the number of condition tokens of a layout."""
    return sum(part.length for part in layout)


@dataclass(frozen=True)
class DatasetInfo:
    """What can be said of a dataset before an image is read.

    Attributes:
        image_size: Height and width of every image that it returns, in pixels.
        channels: Channels of every image.
        splits: Number of images of each split, by name.
        label_names: The classes in order, or ``None`` where images have no label.
        columns: Names under which ``read`` returns arrays, ``image`` among them.
        segmentation_classes: Number of classes in the column ``segmentation``, or ``None`` without that column.
        joints: Names of the joints in the column ``keypoints``, in order, or ``None`` without that column.
    """

    image_size: tuple[int, int]
    channels: int
    splits: dict[str, int]
    label_names: tuple[str, ...] | None = None
    columns: tuple[str, ...] = ("image",)
    segmentation_classes: int | None = None
    joints: tuple[str, ...] | None = None


@dataclass(frozen=True)
class MapsInfo:
    """The images that a spatial condition's own tokenizer sees.

    Attributes:
        image_size: Height and width in pixels.
        channels: Channels.
    """

    image_size: tuple[int, int]
    channels: int
