"""The dataset.

Shape letters: C/H/W image, J joints.
"""

from __future__ import annotations

import copy
from collections.abc import Collection, Mapping
from typing import Any

import numpy as np

from tamingplat.interfaces import Config, DatasetInfo, derive_seed
from tamingplat.interfaces.models import Dataset, Example
from tamingplat_scenes.config import ScenesConfig
from tamingplat_scenes.figure import JOINTS
from tamingplat_scenes.layout import Layout, make_layout
from tamingplat_scenes.rendering import coordinates, keypoints, render
from tamingplat_scenes.settings import SEGMENTS, SETTINGS
from tamingplat_scenes.window import Window

_COLUMNS = ("image", "label", "segmentation", "depth", "keypoints")


class ScenesDataset(Dataset):
    """Synthetic scenes, computed when they are read: a landscape, shapes that hide each other, and one jointed figure.

    They are no photographs and stand for none: what they are for is that every condition of them is exact. An image's class is
    its setting (meadow, night, …); segmentation names what each pixel's centre shows; depth is inverse distance, 0 for the sky
    and 1 at the lower border of the whole scene; keypoints are the figure's joints, hidden ones with visibility 1.

    A scene depends on the settings' seed, its split and its index alone, and is the same at any resolution and in any window.
    View 0 shows one window of it and other views others, each at a place of its own, always the same one.
    """

    config: ScenesConfig

    def __init__(self, config: Config, parts: Mapping[str, Any]) -> None:
        super().__init__(config, parts)
        self._wanted: frozenset[str] | None = None

    @property
    def info(self) -> DatasetInfo:
        """What the settings say; nothing is computed."""
        return DatasetInfo(
            image_size=self.config.size,
            channels=3,
            splits=self.config.splits,
            label_names=tuple(SETTINGS),
            columns=(*_COLUMNS, *(["coordinates"] if self.config.coordinates else [])),
            segmentation_classes=len(SEGMENTS),
            joints=JOINTS,
        )

    def only(self, columns: Collection[str]) -> Dataset:
        """The same examples without columns that are not among ``columns``; without image most of the work is saved."""
        same = copy.copy(self)
        same._wanted = frozenset(columns)
        return same

    def read(self, split: str, index: int, view: int = 0) -> Example:
        """One example; see ``Dataset.read``."""
        assert 0 <= index < self.config.splits[split], (split, index)
        layout, window = self._layout(split, index), self._window(split, index, view)
        wanted = frozenset(self.info.columns) if self._wanted is None else self._wanted
        example: Example = {"label": np.array(layout.label, dtype=np.int64)}
        if not wanted.isdisjoint(("image", "segmentation", "depth")):
            picture = render(layout, window, colours="image" in wanted)
            if picture.image is not None:
                example["image"] = picture.image
            example["segmentation"], example["depth"] = picture.segmentation, picture.depth
        if "keypoints" in wanted:
            example["keypoints"] = keypoints(layout, window)
        if self.config.coordinates and "coordinates" in wanted:
            example["coordinates"] = coordinates(window)
        return example

    def _layout(self, split: str, index: int) -> Layout:
        random = np.random.Generator(np.random.PCG64(derive_seed(self.config.seed, "scene", split, index)))
        height, width = self.config.whole
        return make_layout(random, width / height, self.config.shapes)

    def _window(self, split: str, index: int, view: int) -> Window:
        whole, size = self.config.whole, self.config.size
        if whole == size:
            return Window(whole, 0, 0, size)
        random = np.random.Generator(np.random.PCG64(derive_seed(self.config.seed, "scene window", split, index, view)))
        top, left = (int(place) for place in random.integers(0, (whole[0] - size[0] + 1, whole[1] - size[1] + 1)))
        return Window(whole, top, left, size)
