"""Splits in a fixed order that says nothing of their images."""

from __future__ import annotations

import pickle

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from tamingplat.interfaces import DatasetInfo, NoConfig
from tamingplat.interfaces.models import Dataset, Example
from tamingplat.stages.shuffled import ShuffledDataset


class _Sorted(Dataset):
    """Images that are their own index, sorted by class as image folders are."""

    def __init__(self, count: int) -> None:
        super().__init__(NoConfig(), {})
        self.count = count

    @property
    def info(self) -> DatasetInfo:
        return DatasetInfo((1, 1), 1, {"train": self.count, "validation": self.count // 2}, ("a", "b", "c"))

    def read(self, split: str, index: int, view: int = 0) -> Example:
        label = 3 * index // self.info.splits[split]
        return {"image": np.full((1, 1, 1), view % 256, np.uint8), "label": np.int64(label), "index": np.int64(index)}


@given(st.integers(2, 300))
def test_every_image_occurs_once_and_the_order_is_always_the_same(count: int) -> None:
    dataset, again = ShuffledDataset(_Sorted(count)), pickle.loads(pickle.dumps(ShuffledDataset(_Sorted(count))))
    for split, length in dataset.info.splits.items():
        order = [int(dataset.read(split, index)["index"]) for index in range(length)]
        assert sorted(order) == list(range(length))
        assert order == [int(again.read(split, index)["index"]) for index in range(length)]


def test_the_first_images_of_a_sorted_split_are_of_every_class() -> None:
    dataset = ShuffledDataset(_Sorted(900))
    labels = [int(dataset.read("train", index)["label"]) for index in range(90)]
    assert min(np.bincount(labels, minlength=3)) >= 18
    assert int(dataset.read("train", 0, view=7)["image"][0, 0, 0]) == 7
