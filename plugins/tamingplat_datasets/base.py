"""What the three datasets share: from a row's bytes and label to an example.

Shape letters: C/H/W image.
"""

from __future__ import annotations

import copy
from abc import abstractmethod
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from tamingplat.interfaces import DataError, DatasetInfo, Problem
from tamingplat.interfaces.models import Dataset, Example
from tamingplat_datasets import conditions
from tamingplat_datasets.conditions import UnusableConditionError
from tamingplat_datasets.config import ImageConfig
from tamingplat_datasets.geometry import place
from tamingplat_datasets.labels import Classes, UnusableLabelError
from tamingplat_datasets.own_files import read_own
from tamingplat_datasets.pixels import UnusableImageError, decode, to_array, with_channels

if TYPE_CHECKING:
    import datasets


@dataclass(frozen=True)
class Row:
    """One image and what comes with it, as stored.

    Attributes:
        image: The encoded image.
        label: Its class; ``None`` where there are no classes.
        segmentation: The encoded label map, where the settings have any.
        depth: The encoded depth map, where the settings have any.
        keypoints: Nested lists of numbers, where the settings have any.
    """

    image: bytes
    label: Any = None
    segmentation: bytes | None = None
    depth: bytes | None = None
    keypoints: Any = None


class ImageDataset(Dataset):
    """Encoded images and labels of a table, decoded when they are read.

    What is open, a memory-mapped file, is opened again in a worker process and not sent to it.
    """

    config: ImageConfig

    def __init__(self, config: ImageConfig, parts: Mapping[str, Any]) -> None:
        super().__init__(config, parts)
        self._described: tuple[DatasetInfo, Classes | None] | None = None
        self._tables: dict[str, datasets.Dataset] = {}
        self._left_out: frozenset[str] = frozenset()

    @abstractmethod
    def _describe(self) -> tuple[dict[str, int], Classes | None]:
        """The number of images of every split before any limit, and the classes; raises all problems at once."""

    @abstractmethod
    def _row(self, split: str, index: int) -> Row:
        """What a row holds."""

    @abstractmethod
    def _place(self, split: str, index: int, column: str = "image") -> str:
        """Where a column of a row comes from, for a message."""

    def __getstate__(self) -> dict[str, Any]:
        """With nothing open."""
        return {**self.__dict__, "_tables": {}}

    def _description(self) -> tuple[DatasetInfo, Classes | None]:
        if self._described is None:
            splits, classes = self._describe()
            names = classes.names if classes else None
            limited = {split: min(count, self._limit(split) or count) for split, count in splits.items()}
            given = self.config.conditions
            self._described = (
                DatasetInfo(
                    image_size=self.config.size,
                    channels=self.config.channels,
                    splits=limited,
                    label_names=names,
                    columns=self._columns(classes),
                    segmentation_classes=given.segmentation.numbers if given.segmentation else None,
                    joints=given.keypoints.joints if given.keypoints else None,
                ),
                classes,
            )
        return self._described

    def _columns(self, classes: Classes | None) -> tuple[str, ...]:
        """What an example holds."""
        given = [name for name, block in self.config.conditions._asdict().items() if block is not None]
        return ("image", *(["label"] if classes else []), *given, *(["coordinates"] if self.config.coordinates else []))

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

    def only(self, columns: Collection[str]) -> Dataset:
        """The same examples without what comes with images and is not among ``columns``."""
        info, _ = self._description()
        same = copy.copy(self)
        same._left_out = frozenset(info.columns) - {"image", "label", *columns}
        return same

    def read(self, split: str, index: int, view: int = 0) -> Example:
        """One example; see ``Dataset.read``."""
        info, classes = self._description()
        assert 0 <= index < info.splits[split], (split, index)
        row = self._row(split, index)
        with self._naming(split, index, "image"):
            image = with_channels(decode(row.image), self.config.channels, self.config.background)
            placement = place((image.height, image.width), self.config, (split, index, view))
            example: Example = {"image": to_array(placement.of_image(image, self.config.interpolation))}
            if classes is not None:
                example["label"] = np.array(classes.number(row.label), dtype=np.int64)
        given = self.config.conditions
        if given.segmentation is not None and "segmentation" not in self._left_out:
            with self._naming(split, index, "segmentation"):
                example["segmentation"] = conditions.segmentation(_stored(row.segmentation), given.segmentation, placement)
        if given.depth is not None and "depth" not in self._left_out:
            with self._naming(split, index, "depth"):
                example["depth"] = conditions.depth(_stored(row.depth), given.depth, placement)
        if given.keypoints is not None and "keypoints" not in self._left_out:
            with self._naming(split, index, "keypoints"):
                example["keypoints"] = conditions.keypoints(row.keypoints, given.keypoints, placement)
        if self.config.coordinates and "coordinates" not in self._left_out:
            example["coordinates"] = placement.coordinates()
        return example

    def convert(self, files: Mapping[str, Path], image_size: tuple[int, int]) -> Example:
        """Files of the user's own, brought to a size as images of the table are; see ``Dataset.convert``."""
        return read_own(files, self.config.model_copy(update={"size": image_size}))

    @contextmanager
    def _naming(self, split: str, index: int, column: str) -> Iterator[None]:
        """Errors with the place of what cannot be used."""
        try:
            yield
        except (UnusableImageError, UnusableLabelError, UnusableConditionError) as error:
            raise DataError(f"{self._place(split, index, column)}: {error}") from error


def _stored(data: bytes | None) -> bytes:
    if data is None:
        raise UnusableConditionError("there is none; leave the image out, or store a map with it")
    return data
