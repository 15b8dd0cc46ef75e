"""Data that are not on this machine: what a plan is made with instead, and what it says of them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NoReturn

from tamingplat.interfaces import DatasetInfo, Problem, UnavailableError
from tamingplat.interfaces.models import Dataset
from tamingplat.manifest import ExpectedData, ResolvedComponent

_UNKNOWN = "not on this machine: "


class ExpectedDataset(Dataset):
    """In place of a dataset whose images are not here: it knows what they will be and cannot read any.

    Args:
        resolved: The dataset's block, with what is expected of it.
        why: What is not here.
    """

    def __init__(self, resolved: ResolvedComponent, why: str) -> None:
        super().__init__(resolved.config, {})
        assert resolved.expected is not None, f"{resolved.label}: nothing is said of what it will be"
        self.expected: ExpectedData = resolved.expected
        self.why = why

    @property
    def info(self) -> DatasetInfo:
        """What the manifest expects."""
        expected = self.expected
        return DatasetInfo(
            image_size=expected.image_size,
            channels=expected.channels,
            splits=dict(expected.splits),
            label_names=expected.class_names,
            columns=expected.all_columns,
            segmentation_classes=expected.segmentation_classes,
            joints=expected.joints,
        )

    def read(self, split: str, index: int, view: int = 0) -> NoReturn:
        """Nothing can be read.

        Raises:
            UnavailableError: Always; it says what is not here, and how to get it.
        """
        raise UnavailableError(f"{self.why}; {self.expected.download}")


def unknown_content(path: Path) -> str:
    """Stands for the content of a file that is not here, in an identity that is thereby provisional."""
    return f"{_UNKNOWN}{path}"


def is_provisional(identity: object) -> bool:
    """Whether an identity speaks of content that is not here, so that its key will change when the content comes."""
    if isinstance(identity, str):
        return identity.startswith(_UNKNOWN)
    if isinstance(identity, Mapping):
        return any(is_provisional(value) for value in identity.values())
    return isinstance(identity, list | tuple) and any(is_provisional(value) for value in identity)


def expectation_problems(expected: ExpectedData, info: DatasetInfo, where: str) -> Iterator[Problem]:
    """Where data that are here are not what the manifest expects, and models of them would not be those that were planned."""
    remedy = "correct the dataset's settings, or what is expected of it"

    def differs(what: str, found: object, wanted: object) -> Problem:
        return Problem(where, f"{what} {found}, and expected says {wanted}", remedy)

    if info.image_size != expected.image_size:
        yield differs("the images have", _size(info.image_size), _size(expected.image_size))
    if info.channels != expected.channels:
        yield differs("channels per image are", info.channels, expected.channels)
    found, wanted = info.label_names, expected.class_names
    if len(found or ()) != len(wanted or ()):
        yield differs("classes are", len(found or ()), len(wanted or ()))
    elif isinstance(expected.classes, tuple) and found != wanted:
        yield differs("the classes are", ", ".join(found or ()), ", ".join(wanted or ()))
    if info.segmentation_classes != expected.segmentation_classes:
        yield differs("classes of the segmentation are", info.segmentation_classes, expected.segmentation_classes)
    if info.joints != expected.joints:
        yield differs("the joints are", ", ".join(info.joints or ("none",)), ", ".join(expected.joints or ("none",)))


def expectation_warnings(expected: ExpectedData, info: DatasetInfo, where: str) -> Iterator[Problem]:
    """Where data that are here differ from what the manifest expects, and everything can still be trained and compared."""
    remedy = "published figures were measured on what is expected"
    for split, wanted in expected.splits.items():
        found = info.splits.get(split, 0)
        if found != wanted:
            yield Problem(where, f"the split {split} has {found} images, and expected says {wanted}", remedy)
    missing = [column for column in expected.all_columns if column not in info.columns]
    if missing and len(info.label_names or ()) == len(expected.class_names or ()):
        has, wants = ", ".join(info.columns), ", ".join(expected.all_columns)
        yield Problem(where, f"the columns are {has}, and expected says {wants}", "correct the dataset's settings")


def _size(size: tuple[int, int]) -> str:
    return f"{size[0]}×{size[1]} pixels"
