"""A dataset in an order that says nothing of its images.

Files often lie sorted by class, so that the first images of a split are of few classes. Wherever a part of a split is taken
(validation during training, reconstructions, conditions of samples, likelihoods of training images), it is the first part of
this order: a fixed permutation of every split, the same for everybody.

Shape letters: C/H/W image.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from tamingplat.interfaces import DatasetInfo, derive_seed
from tamingplat.interfaces.models import Dataset, Example


class ShuffledDataset(Dataset):
    """Another dataset with every split in a fixed random order, which depends on the split's name and length alone."""

    def __init__(self, dataset: Dataset) -> None:
        super().__init__(dataset.config, dataset.parts)
        self._dataset = dataset
        self._orders: dict[str, npt.NDArray[np.int64]] = {}

    @property
    def info(self) -> DatasetInfo:
        return self._dataset.info

    def only(self, columns: Collection[str]) -> Dataset:
        """See ``Dataset``; in the same order."""
        return ShuffledDataset(self._dataset.only(columns))

    def source(self) -> Mapping[str, Any] | None:
        """See ``Dataset``."""
        return self._dataset.source()

    def convert(self, files: Mapping[str, Path], image_size: tuple[int, int]) -> Example | None:
        """See ``Dataset``."""
        return self._dataset.convert(files, image_size)

    def read(self, split: str, index: int, view: int = 0) -> Example:
        """See ``Dataset``; ``index`` counts along the fixed order."""
        return self._dataset.read(split, int(self._order(split)[index]), view)

    def _order(self, split: str) -> npt.NDArray[np.int64]:
        if split not in self._orders:
            count = self.info.splits[split]
            generator = np.random.Generator(np.random.Philox(derive_seed("split order", split, count)))
            self._orders[split] = generator.permutation(count)
        return self._orders[split]

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_orders": {}}
