"""The conditions of samples that a user asks for: classes, files, or those of a split.

Shape letters: B batch, C/H/W image, P condition positions, n examples of a split.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from tamingplat.interfaces import ConditionLayout, Problem, TamingplatError, UnavailableError, layout_length
from tamingplat.interfaces.models import Conditioner, Dataset, Example, Ordering, PlannedClasses
from tamingplat.registry import did_you_mean
from tamingplat.stages.finished.files import read_map, read_own
from tamingplat.stages.sampled_classes import ClassesOfSamples

_FROM_FILES = ("image", "segmentation", "depth", "keypoints")


@dataclass(frozen=True)
class Wanted:
    """What a user says of the condition.

    Attributes:
        classes: Names or numbers; sample i has the one at i modulo their number.
        files: A file for each of some columns of the dataset, or of what a conditioner finds in images and takes ready too
            (``edges``, ``low-resolution``); the same for all samples.
    """

    classes: Sequence[str | int] = ()
    files: Mapping[str, Path] = field(default_factory=dict)

    def __bool__(self) -> bool:
        return bool(self.classes or self.files)


@dataclass(frozen=True)
class OwnConditions:
    """Conditions of samples, from what a user says and, where nothing is said, from the examples of a split.

    Attributes:
        dataset: Whose columns they are made of.
        split: Sample i takes what is not said from example i mod n of this split.
        size: Height and width of the samples in pixels.
        conditioner: Knows its columns and its layout at this size; nothing is encoded with it.
        wanted: What the user says.
    """

    dataset: Dataset
    split: str
    size: tuple[int, int]
    conditioner: Conditioner
    wanted: Wanted

    def problems(self) -> Iterator[Problem]:
        """What is wrong with the classes and files, and what is missing; reads no file."""
        contents, names = self.conditioner.contents, self.dataset.info.label_names
        own, needed = self.conditioner.own_maps, self.conditioner.contents_beside(tuple(self.wanted.files))
        made_of = ", ".join(contents) or "nothing: the cell has no condition"
        made_of += f"; in place of an image it takes {' or '.join(own)}" if own else ""
        if self.wanted.classes and ("label" not in contents or names is None):
            yield Problem("--class", "the condition does not name a class", f"it is made of {made_of}")
        else:
            for wanted in self.wanted.classes:
                try:
                    self._number(wanted)
                except TamingplatError as error:
                    yield Problem("--class", str(error))
        for name, path in self.wanted.files.items():
            where = f"--condition {name}={path}"
            if name not in contents and name not in own:
                yield Problem(where, f"the condition is not made of {name}", f"it is made of {made_of}")
            elif name not in own and name not in needed:
                beside = " and ".join(other for other in self.wanted.files if other in own)
                yield Problem(where, f"with {beside}, the condition does not look at it", "leave one of them out")
            elif name not in own and name not in _FROM_FILES:
                yield Problem(where, f"{name} does not come from a file", "leave it out")
            elif not path.is_file():
                yield Problem(where, "there is no such file")
        if self.size != self.dataset.info.image_size:
            missing = [name for name in needed if name in _FROM_FILES and name not in self.wanted.files]
            for name in missing:
                size = f"{self.size[0]} rows of {self.size[1]} pixels"
                ways = [name, *(other for other in own if name not in self.conditioner.contents_beside((other,)))]
                remedy = f"say {' or '.join(f'--condition {way}=FILE' for way in ways)}"
                yield Problem("--size", f"the dataset has no {name} with {size}", remedy)

    @cached_property
    def files(self) -> Example:
        """What the files of columns hold.

        Raises:
            DataError: One cannot be read, or is not what its column needs.
        """
        columns = {name: path for name, path in self.wanted.files.items() if name not in self.conditioner.own_maps}
        return read_own(self.dataset, columns, self.size) if columns else {}

    @cached_property
    def maps(self) -> dict[str, Tensor]:
        """What stands in place of what the conditioner would find, uint8 (1, C, h, w); errors as of ``files``."""
        own = self.conditioner.own_maps
        return {
            name: torch.from_numpy(read_map(path, own[name], self.size))[None]
            for name, path in self.wanted.files.items()
            if name in own
        }

    @cached_property
    def _needed(self) -> tuple[str, ...]:
        """The columns whose content matters."""
        return self.conditioner.contents_beside(tuple(self.maps))

    def example(self, index: int) -> Example:
        """The columns that the condition of sample ``index`` is made of."""
        columns = self.conditioner.columns
        example: Example = {name: value for name, value in self.files.items() if name in columns}
        if "label" in columns and self.wanted.classes:
            example["label"] = np.array(self._label(index), dtype=np.int64)
        same_size = self.size == self.dataset.info.image_size
        if "coordinates" in columns and not same_size:
            example["coordinates"] = _coordinates(self.size)
        missing = [name for name in self._needed if name not in example]
        if missing:
            assert same_size or missing == ["label"], f"{missing} were found to be missing before"
            row = self.dataset.only(missing).read(self.split, index % self.dataset.info.splits[self.split])
            example |= {name: row[name] for name in missing}
        if "image" in columns and "image" not in example:
            # Only the number of images matters, or not even that.
            example["image"] = np.zeros((self.dataset.info.channels, *self.size), dtype=np.uint8)
        return example

    def encoder(self, conditioner: Conditioner, device: torch.device) -> Callable[[Sequence[int]], Tensor]:
        """What gives the conditions of samples, int64 (B, P), with a conditioner that has its weights."""
        known: dict[Any, Tensor] = {}

        def encode(indices: Sequence[int]) -> Tensor:
            rows = []
            for index in indices:
                key = self._same(index)
                if key not in known:
                    columns = {name: torch.from_numpy(np.asarray(value))[None] for name, value in self.example(index).items()}
                    derived = {name: value.to(device) for name, value in conditioner.derive_beside(columns, self.maps).items()}
                    with torch.inference_mode():
                        known[key] = conditioner.encode(derived).cpu()
                rows.append(known[key])
            return torch.cat(rows)

        return encode

    def classes(self, samples: int) -> ClassesOfSamples | None:
        """The classes of so many samples; ``None`` where the condition names none."""
        names, tokens = self.dataset.info.label_names, self.conditioner.class_tokens()
        if names is None or tokens is None:
            return None
        count = len(self.wanted.classes) or min(samples, self.dataset.info.splits[self.split])
        labels = [self._label(index) for index in range(count)]
        return ClassesOfSamples(names, tokens, np.array(labels, dtype=np.int64))

    def planned_classes(self, samples: int, layout: ConditionLayout, ordering: Ordering) -> PlannedClasses | None:
        """What can be said of these classes before anything is drawn; ``None`` where the condition names none.

        Args:
            samples: How many samples are drawn.
            layout: The condition's parts.
            ordering: In which order codes are visited.
        """
        info = replace(self.dataset.info, image_size=self.size)
        if info.label_names is None or self.conditioner.class_tokens() is None:
            return None

        def largest() -> int | None:
            try:
                classes = self.classes(samples)
            except UnavailableError:
                return None
            return None if classes is None else max(classes.counts(range(samples)))

        return PlannedClasses(info, layout_length(layout) == 1, ordering.random, largest)

    def _same(self, index: int) -> Any:
        """Equal for samples of equal conditions."""
        settled = {*self.wanted.files, *(["label"] if self.wanted.classes else [])}
        if self.size != self.dataset.info.image_size:
            settled |= {"coordinates"}
        if settled.issuperset(self._needed):
            return self._label(index) if self.wanted.classes else ()
        return ("example", index % self.dataset.info.splits[self.split], self._label(index) if self.wanted.classes else ())

    def _label(self, index: int) -> int:
        if self.wanted.classes:
            return self._number(self.wanted.classes[index % len(self.wanted.classes)])
        count = self.dataset.info.splits[self.split]
        return int(self.dataset.only(("label",)).read(self.split, index % count)["label"])

    def _number(self, wanted: str | int) -> int:
        names = self.dataset.info.label_names or ()
        if wanted in names:
            return names.index(str(wanted))
        if str(wanted).isdecimal():
            if int(wanted) < len(names):
                return int(wanted)
            raise TamingplatError(f"there is no class {wanted}: the dataset has {len(names)}, from 0 to {len(names) - 1}")
        hint = did_you_mean(str(wanted), names) or f"the classes are {', '.join(names[:20])}{', …' if len(names) > 20 else ''}"
        raise TamingplatError(f"there is no class {wanted}; {hint}")


def _coordinates(size: tuple[int, int]) -> npt.NDArray[np.float32]:
    """The raster index of every pixel of a whole image, divided by their number: (1, H, W) in [0, 1)."""
    count = size[0] * size[1]
    index: npt.NDArray[np.float32] = (np.arange(count) / count).astype(np.float32).reshape(1, *size)
    return index
