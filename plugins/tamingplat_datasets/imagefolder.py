"""A folder of image files. The list of files is a memory-mapped table; the images are read where they are."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tamingplat.interfaces import DataError, Problem, ProblemsError
from tamingplat_datasets.base import ImageDataset
from tamingplat_datasets.config import ImageFolderConfig
from tamingplat_datasets.labels import Classes, first_few
from tamingplat_datasets.listing import SUFFIXES, Listing, list_images
from tamingplat_datasets.tables import open_table

if TYPE_CHECKING:
    import datasets

SPLITS = ("train", "validation")
_SPLIT_FOLDERS = (frozenset({"train", "training"}), frozenset({"val", "valid", "validation", "test"}))


class ImageFolderDataset(ImageDataset):
    """Image files below one folder, which is split by their names, or below one folder per split."""

    config: ImageFolderConfig

    def __init__(self, config: ImageFolderConfig, parts: Any) -> None:
        super().__init__(config, parts)
        self._lists: dict[str, Path] = {}

    def _folders(self) -> dict[Path, tuple[str, ...]]:
        """The folders to be listed, with the splits that are made of each."""
        if self.config.root is not None:
            return {self.config.root: SPLITS}
        assert self.config.train is not None and self.config.validation is not None
        return {self.config.train: ("train",), self.config.validation: ("validation",)}

    def _describe(self) -> tuple[dict[str, int], Classes | None]:
        problems = [*self._limit_problems(SPLITS), *self._folder_problems()]
        if problems:
            raise ProblemsError(problems)
        counts: dict[str, int] = {}
        classes: dict[str, set[str]] = {}
        for folder, splits in self._folders().items():
            found = list_images(folder, splits, self.config.validation_fraction)
            problems.extend(self._listing_problems(folder, found))
            counts |= found.counts
            classes |= found.folders
            self._lists |= found.tables
        if problems:
            raise ProblemsError(problems)
        return counts, self._classes(classes) if self.config.labels else None

    def _folder_problems(self) -> Iterator[Problem]:
        for folder in self._folders():
            if not folder.is_dir():
                what = "is not a folder" if folder.exists() else "no such folder"
                yield Problem(str(folder), what, "name a folder of images")
        if self.config.train is not None and self.config.validation is not None:
            one, other = self.config.train.resolve(), self.config.validation.resolve()
            if one.is_relative_to(other) or other.is_relative_to(one):
                what = f"the training images in {one} and the validation images in {other} overlap"
                yield Problem("imagefolder", what, "name two folders of which neither is inside the other")

    def _listing_problems(self, folder: Path, found: Listing) -> Iterator[Problem]:
        if not found.total:
            yield Problem(str(folder), "no image files", f"name a folder with files that end in {', '.join(sorted(SUFFIXES))}")
            return
        for split in (split for split, count in found.counts.items() if not count):
            what = f"none of the {found.total} images falls into the {split} split"
            yield Problem(str(folder), what, "change validation_fraction, or add images")
        if not self.config.labels:
            return
        inside = set().union(*found.folders.values())
        if inside and found.loose:
            what = (
                f"images lie both in class folders ({first_few(sorted(inside), 3)}) and beside them ({', '.join(found.loose)})"
            )
            yield Problem(str(folder), what, "move them into class folders, or set labels = false")
        lowered = {name.lower() for name in inside}
        if self.config.root is not None and all(lowered & names for names in _SPLIT_FOLDERS):
            what = f"the folders {first_few(sorted(inside), 5)} look like splits, not like classes"
            yield Problem(str(folder), what, "set train and validation to these folders, in place of root")

    def _classes(self, folders: dict[str, set[str]]) -> Classes | None:
        train, validation = folders["train"], folders["validation"]
        if self.config.root is not None:
            # A rare class may have all its images in one split by chance, which nobody could mend.
            return Classes.of_values(train | validation) if train | validation else None
        unknown = sorted(validation - train)
        if unknown:
            what = f"class folders that the training split does not have: {first_few(unknown)}"
            raise ProblemsError([Problem(str(self.config.validation), what, "add such images to train, or set labels = false")])
        if train and not validation:
            what = "has no class folders, but the training split has"
            raise ProblemsError(
                [Problem(str(self.config.validation), what, "sort its images into them, or set labels = false")]
            )
        return Classes.of_values(train) if train else None

    def _table(self, split: str) -> datasets.Dataset:
        if split not in self._tables:
            path = self._lists[split]
            if not path.is_file():  # somebody emptied the cache
                self._describe()
                if self._lists[split] != path:
                    raise DataError(f"{self._folder(split)}: its files changed while they were in use; start again")
            self._tables[split] = open_table(path)
        return self._tables[split]

    def _folder(self, split: str) -> Path:
        return next(folder for folder, splits in self._folders().items() if split in splits)

    def _path(self, split: str, index: int) -> str:
        return os.fsdecode(self._table(split)[index]["path"])

    def _row(self, split: str, index: int) -> tuple[bytes, Any]:
        name = self._path(split, index)
        path = self._folder(split) / name
        try:
            return path.read_bytes(), name.partition("/")[0]
        except OSError as error:
            raise DataError(f"{path}: cannot be read ({error.strerror})") from error

    def _place(self, split: str, index: int) -> str:
        return str(self._folder(split) / self._path(split, index))
