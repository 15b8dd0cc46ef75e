"""Images as stages see them: uint8 arrays read in slices.

Shape letters: B batch, C/H/W image.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from tamingplat.interfaces.models import Dataset


def to_model(images: Tensor) -> Tensor:
    """uint8 (B, C, H, W) to float32 in [-1, 1]: x / 127.5 − 1."""
    return images.float().div(127.5).sub(1)


def to_file(images: Tensor) -> Tensor:
    """Float (B, C, H, W), nominally in [-1, 1], to the uint8 that a file would hold: clamped and rounded."""
    return images.float().add(1).mul(127.5).round().clamp(0, 255).to(torch.uint8)


@dataclass(frozen=True)
class SplitImages:
    """The first ``count`` images of a split, view 0, read when sliced."""

    dataset: Dataset
    split: str
    count: int

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, rows: slice) -> npt.NDArray[np.uint8]:
        indices = range(*rows.indices(self.count))
        dataset = self.dataset.only(("image",))
        return np.stack([dataset.read(self.split, index)["image"] for index in indices])

    def labels(self) -> npt.NDArray[np.int64] | None:
        """The label of every image, int64 (count,), or ``None`` without classes."""
        if self.dataset.info.label_names is None:
            return None
        return np.array([int(self.dataset.read(self.split, index)["label"]) for index in range(self.count)], dtype=np.int64)


@dataclass(frozen=True)
class SplitColumn:
    """A column of the first examples of a split, view 0, read when sliced; row i is example i mod ``repeat``."""

    dataset: Dataset
    split: str
    column: str
    count: int
    repeat: int

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, rows: slice) -> npt.NDArray[Any]:
        indices = range(*rows.indices(self.count))
        dataset = self.dataset.only((self.column,))
        return np.stack([dataset.read(self.split, index % self.repeat)[self.column] for index in indices])


def split_columns(dataset: Dataset, split: str, count: int) -> dict[str, SplitColumn]:
    """All columns of examples 0 to ``count`` − 1 of a split, counted from the first again after its last."""
    repeat = dataset.info.splits[split]
    return {name: SplitColumn(dataset, split, name, count, repeat) for name in dataset.info.columns}


def read_columns(dataset: Dataset, split: str, indices: Sequence[int], view: int) -> dict[str, Tensor]:
    """Examples of a split as one batch of CPU tensors by column."""
    examples = [dataset.read(split, index, view) for index in indices]
    columns: dict[str, Tensor] = {}
    for name in examples[0]:
        stacked: npt.NDArray[Any] = np.stack([example[name] for example in examples])
        columns[name] = torch.from_numpy(stacked)
    return columns
