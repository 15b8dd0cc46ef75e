"""What the three datasets share: from a row's bytes and label to an example.

Shape letters: C/H/W image.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from tamingplat.interfaces import DataError, DatasetInfo, Problem
from tamingplat.interfaces.models import Dataset, Example
from tamingplat_datasets.config import ImageConfig
from tamingplat_datasets.geometry import fit
from tamingplat_datasets.labels import Classes, UnusableLabelError
from tamingplat_datasets.pixels import UnusableImageError, decode, to_array, with_channels

if TYPE_CHECKING:
    import datasets


class ImageDataset(Dataset):
    """Encoded images and labels of a table, decoded when they are read.

    What is open, a memory-mapped file, is opened again in a worker process and not sent to it.
    """

    config: ImageConfig

    def __init__(self, config: ImageConfig, parts: Mapping[str, Any]) -> None:
        super().__init__(config, parts)
        self._described: tuple[DatasetInfo, Classes | None] | None = None
        self._tables: dict[str, datasets.Dataset] = {}

    @abstractmethod
    def _describe(self) -> tuple[dict[str, int], Classes | None]:
        """The number of images of every split before any limit, and the classes; raises all problems at once."""

    @abstractmethod
    def _row(self, split: str, index: int) -> tuple[bytes, Any]:
        """The encoded image and the label of a row, ``None`` where there are no classes."""

    @abstractmethod
    def _place(self, split: str, index: int) -> str:
        """Where a row comes from, for a message."""

    def __getstate__(self) -> dict[str, Any]:
        """With nothing open."""
        return {**self.__dict__, "_tables": {}}

    def _description(self) -> tuple[DatasetInfo, Classes | None]:
        if self._described is None:
            splits, classes = self._describe()
            names = classes.names if classes else None
            columns = ("image", "label") if classes else ("image",)
            limited = {split: min(count, self._limit(split) or count) for split, count in splits.items()}
            self._described = DatasetInfo(self.config.size, self.config.channels, limited, names, columns), classes
        return self._described

    @property
    def info(self) -> DatasetInfo:
        """Size, channels, splits and classes; reads no image."""
        return self._description()[0]

    def _limit(self, split: str) -> int | None:
        limit = self.config.limit
        return limit.get(split) if isinstance(limit, dict) else limit

    def _limit_problems(self, splits: tuple[str, ...]) -> Iterator[Problem]:
        if isinstance(self.config.limit, dict):
            for split in sorted(set(self.config.limit) - set(splits)):
                yield Problem("limit", f"there is no split {split}", f"the splits are {', '.join(splits)}")

    def read(self, split: str, index: int, view: int = 0) -> Example:
        """One example; see ``Dataset.read``."""
        info, classes = self._description()
        assert 0 <= index < info.splits[split], (split, index)
        data, label = self._row(split, index)
        try:
            image = with_channels(decode(data), self.config.channels, self.config.background)
            example: Example = {"image": to_array(fit(image, self.config, (split, index, view)))}
            if classes is not None:
                example["label"] = np.array(classes.number(label), dtype=np.int64)
        except (UnusableImageError, UnusableLabelError) as error:
            raise DataError(f"{self._place(split, index)}: {error}") from error
        return example
