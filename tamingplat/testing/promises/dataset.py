"""What every dataset promises.

Shape letters: C/H/W image.
"""

from __future__ import annotations

import json
import pickle
from typing import Any

import numpy as np
import torch
from torch import Tensor

from tamingplat.interfaces import UnavailableError
from tamingplat.interfaces.models import Dataset, Example
from tamingplat.testing.elsewhere import read_elsewhere
from tamingplat.testing.promises.common import LISTED, REPRODUCIBLE
from tamingplat.testing.promises.kinds import KindOfComponent, make_plainly, promises_of
from tamingplat.testing.subject import Subject
from tamingplat.testing.verdicts import NotApplicable


def _built(subject: Subject) -> Dataset:
    built: Dataset = subject.built
    try:
        _ = built.info
    except UnavailableError as error:
        raise NotApplicable(f"its data are not here: {error}") from error
    return built


def _splits(dataset: Dataset) -> list[str]:
    return [split for split, count in dataset.info.splits.items() if count]


def _result(subject: Subject, built: Any) -> list[Tensor]:
    _built(subject)
    found = []
    for split in _splits(built):
        for index in (0, built.info.splits[split] - 1):
            for view in (0, 1):
                example = built.read(split, index, view)
                found += [torch.from_numpy(np.array(example[name])) for name in sorted(example)]
    return found


def _same(one: Example, other: Example) -> bool:
    return one.keys() == other.keys() and all(
        np.array_equal(one[name], other[name]) and one[name].dtype == other[name].dtype for name in one
    )


def info_is_consistent(subject: Subject) -> None:
    """There is at least one split with images, columns begin with image, and label is one of them if there are classes."""
    info = _built(subject).info
    assert any(info.splits.values()), f"its splits are {info.splits}. Look at info"
    assert "image" in info.columns, f"its columns are {', '.join(info.columns)}. Look at info"
    assert ("label" in info.columns) == (info.label_names is not None), (
        f"its columns are {', '.join(info.columns)} and its classes {info.label_names}. Look at info"
    )
    assert ("segmentation" in info.columns) == (info.segmentation_classes is not None), "segmentation. Look at info"
    assert ("keypoints" in info.columns) == (info.joints is not None), "keypoints. Look at info"
    assert subject.make().info == info, "another object of the same settings says another thing. Look at info"


def examples_are_as_info_says(subject: Subject) -> None:
    """Every split's images are uint8 (C, H, W) as info says, labels int64 () among the classes, and all columns are there."""
    dataset = _built(subject)
    info = dataset.info
    shape = (info.channels, *info.image_size)
    for split in _splits(dataset):
        for index in {0, info.splits[split] // 2, info.splits[split] - 1}:
            for view in (0, 1):
                example, where = dataset.read(split, index, view), f"{split} {index}, view {view}"
                assert set(example) == set(info.columns), (
                    f"{where} has {', '.join(example)}, and info says {', '.join(info.columns)}. Look at read and info"
                )
                image = example["image"]
                assert isinstance(image, np.ndarray) and image.dtype == np.uint8 and image.shape == shape, (
                    f"{where}: the image is {image.dtype} {image.shape}, not uint8 {shape}. Look at read"
                )
                if info.label_names is not None:
                    label = example["label"]
                    assert label.dtype == np.int64 and label.shape == () and 0 <= label < len(info.label_names), (
                        f"{where}: the label is {label!r}, {label.dtype} {label.shape}, of {len(info.label_names)} classes"
                    )
                _check_conditions(example, dataset, where)


def _check_conditions(example: Example, dataset: Dataset, where: str) -> None:
    info = dataset.info
    if info.segmentation_classes is not None:
        classes = example["segmentation"]
        assert classes.shape == info.image_size and classes.dtype.kind in "iu", (
            f"{where}: segmentation is {classes.dtype} {classes.shape}"
        )
        assert classes.min() >= 0 and classes.max() < info.segmentation_classes, f"{where}: class {classes.max()}"
    for name in ("depth", "coordinates"):
        if name in info.columns:
            value = example[name]
            assert value.dtype == np.float32 and value.shape == (1, *info.image_size), (
                f"{where}: {name} is {value.dtype} {value.shape}"
            )
            assert value.min() >= 0 and value.max() <= 1, (
                f"{where}: {name} lies in [{value.min()}, {value.max()}], not in [0, 1]"
            )
    if "log_probability" in info.columns:
        known = example["log_probability"]
        assert known.dtype == np.float64 and known.shape == () and np.isfinite(known) and known <= 1e-9, (
            f"{where}: log_probability is {known!r}, and is a float64 () that is finite and at most 0"
        )
        assert dataset.source() is not None, "it knows log-probabilities and does not say under what. Look at source"
        json.dumps(dataset.source())
    if info.joints is not None:
        points = example["keypoints"]
        assert points.dtype == np.float32 and points.ndim == 3 and points.shape[1:] == (len(info.joints), 3), (
            f"{where}: keypoints are {points.dtype} {points.shape}"
        )


def views_are_deterministic(subject: Subject) -> None:
    """The same split, index and view give the same example, in any order of reading and from another object."""
    dataset, other = _built(subject), subject.make()
    split = _splits(dataset)[0]
    last = dataset.info.splits[split] - 1
    calls = [(split, index, view) for index in (0, last) for view in (0, 1, 2)]
    first = [dataset.read(*call) for call in calls]
    again = [other.read(*call) for call in reversed(calls)][::-1]
    for call, one, two in zip(calls, first, again, strict=True):
        assert _same(one, two), (
            f"{call} read twice gives different examples. Look for randomness that is not addressed by split, index and view"
        )


def wrong_numbers_are_errors(subject: Subject) -> None:
    """A negative index, one beyond the last, and a split that does not exist raise; none gives another image instead."""
    dataset = _built(subject)
    split = _splits(dataset)[0]
    count = dataset.info.splits[split]
    for wrong in ((split, -1), (split, count), ("no such split", 0)):
        try:
            dataset.read(*wrong)
        except Exception:  # noqa: BLE001 - whichever error it is, it is one
            continue
        raise AssertionError(f"read{wrong} gives an example, and {split} has {count} images. Look at how read takes its index")


def works_in_a_worker_process(subject: Subject) -> None:
    """Sent to a worker process that was started anew, it reads the same examples there."""
    dataset = _built(subject)
    split = _splits(dataset)[0]
    calls = [(split, 0, 0), (split, dataset.info.splits[split] - 1, 1)]
    here = [dataset.read(*call) for call in calls]
    try:
        pickled = pickle.dumps(dataset)
    except (pickle.PicklingError, TypeError, AttributeError) as error:
        raise AssertionError(
            f"it cannot be sent to a worker process: {error}. Look at what it holds open, and leave it out in __getstate__"
        ) from error
    for call, one, two in zip(calls, here, read_elsewhere(pickled, calls), strict=True):
        assert _same(one, two), f"{call} is another example in a worker process. Look at what __getstate__ leaves out"


OWN = (
    info_is_consistent,
    examples_are_as_info_says,
    views_are_deterministic,
    wrong_numbers_are_errors,
    works_in_a_worker_process,
)

KIND = KindOfComponent(promises=promises_of(LISTED, OWN, REPRODUCIBLE), make=make_plainly, result=_result)
