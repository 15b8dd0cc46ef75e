"""A folder of image files. The list of files is a memory-mapped table; the images are read where they are."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tamingplat.interfaces import DataError, Problem, ProblemsError
from tamingplat_datasets.base import ImageDataset, Row
from tamingplat_datasets.coco import CocoFile
from tamingplat_datasets.condition_config import BesideImages
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
        self._figures: dict[Path, CocoFile] = {}

    def __getstate__(self) -> dict[str, Any]:
        """With nothing open."""
        return {**super().__getstate__(), "_figures": {}}

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
        for name, block in (("segmentation", self.config.segmentation), ("depth", self.config.depth)):
            for folder in {block.place(split) for split in SPLITS} if block is not None else ():
                if not folder.is_dir():
                    yield Problem(str(folder), f"no such folder ({name})", "name a folder of maps, named as the images are")
                for images in (images for images in self._folders() if folder.resolve().is_relative_to(images.resolve())):
                    what = f"the maps ({name}) lie inside the folder of the images {images}, and would be taken for images"
                    yield Problem(str(folder), what, "move them beside it")
        if self.config.keypoints is not None:
            for file in {self.config.keypoints.place(split) for split in SPLITS}:
                try:
                    self._coco(file)
                except ProblemsError as error:
                    yield from error.problems

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

    def _coco(self, file: Path) -> CocoFile:
        if file not in self._figures:
            assert self.config.keypoints is not None
            self._figures[file] = CocoFile(file, self.config.keypoints.joints)
        return self._figures[file]

    def _row(self, split: str, index: int) -> Row:
        name = self._path(split, index)
        keypoints = self.config.keypoints
        return Row(
            image=self._bytes(self._folder(split) / name),
            label=name.partition("/")[0],
            segmentation=self._map(self.config.segmentation, split, name),
            depth=self._map(self.config.depth, split, name),
            keypoints=None if keypoints is None else self._coco(keypoints.place(split)).figures(name),
        )

    def _map(self, block: BesideImages | None, split: str, name: str) -> bytes | None:
        """The encoded map of the image ``name``, ``None`` where there is none."""
        path = None if block is None else _beside(block.place(split), name)
        return None if path is None else self._bytes(path)

    def _bytes(self, path: Path) -> bytes:
        try:
            return path.read_bytes()
        except OSError as error:
            raise DataError(f"{path}: cannot be read ({error.strerror})") from error

    def _place(self, split: str, index: int, column: str = "image") -> str:
        name = self._path(split, index)
        block = {"segmentation": self.config.segmentation, "depth": self.config.depth}.get(column)
        if block is not None:
            folder = block.place(split)
            return str(_beside(folder, name) or f"{column} of {self._folder(split) / name} in {folder}")
        if column == "keypoints" and self.config.keypoints is not None:
            return f"{self.config.keypoints.place(split)}: {name}"
        return str(self._folder(split) / name)


def _beside(folder: Path, name: str) -> Path | None:
    """The image file of the same path but for the suffix, in another folder."""
    candidates = (folder / name).with_suffix("")
    # Nearly all maps are PNG: one look finds them.
    for suffix in (".png", *sorted(SUFFIXES - {".png"})):
        path = candidates.with_name(candidates.name + suffix)
        if path.is_file():
            return path
    return None
