"""The conditions of samples that a user asks for: classes, files, or those of a split.

Shape letters: B batch, C/H/W image, P condition positions, n examples of a split.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from tamingplat.interfaces import Problem, TamingplatError
from tamingplat.interfaces.models import Conditioner, Dataset, Example
from tamingplat.registry import did_you_mean
from tamingplat.stages.finished.files import read_own
from tamingplat.stages.sampled_classes import ClassesOfSamples

_FROM_FILES = ("image", "segmentation", "depth", "keypoints")


@dataclass(frozen=True)
class Wanted:
    """What a user says of the condition.

    Attributes:
        classes: Names or numbers; sample i has the one at i modulo their number.
        files: A file for each of some columns of the dataset, the same for all samples.
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
        made_of = ", ".join(contents) or "nothing: the cell has no condition"
        if self.wanted.classes and ("label" not in contents or names is None):
            yield Problem("--class", "the condition does not name a class", f"it is made of {made_of}")
        else:
            for wanted in self.wanted.classes:
                try:
                    self._number(wanted)
                except TamingplatError as error:
                    yield Problem("--class", str(error))
        for name, path in self.wanted.files.items():
            if name not in contents:
                yield Problem(f"--condition {name}={path}", f"the condition is not made of {name}", f"it is made of {made_of}")
            elif name not in _FROM_FILES:
                yield Problem(f"--condition {name}={path}", f"{name} does not come from a file", "leave it out")
            elif not path.is_file():
                yield Problem(f"--condition {name}={path}", "there is no such file")
        if self.size != self.dataset.info.image_size:
            missing = [name for name in contents if name in _FROM_FILES and name not in self.wanted.files]
            for name in missing:
                size = f"{self.size[0]} rows of {self.size[1]} pixels"
                yield Problem("--size", f"the dataset has no {name} with {size}", f"say --condition {name}=FILE")

    @cached_property
    def files(self) -> Example:
        """What the files hold.

        Raises:
            DataError: One cannot be read, or is not what its column needs.
        """
        return read_own(self.dataset, self.wanted.files, self.size) if self.wanted.files else {}

    def example(self, index: int) -> Example:
        """The columns that the condition of sample ``index`` is made of."""
        columns, contents = self.conditioner.columns, self.conditioner.contents
        example: Example = {name: value for name, value in self.files.items() if name in columns}
        if "label" in columns and self.wanted.classes:
            example["label"] = np.array(self._label(index), dtype=np.int64)
        same_size = self.size == self.dataset.info.image_size
        if "coordinates" in columns and not same_size:
            example["coordinates"] = _coordinates(self.size)
        missing = [name for name in contents if name not in example]
        if missing:
            assert same_size or missing == ["label"], f"{missing} were found to be missing before"
            row = self.dataset.only(missing).read(self.split, index % self.dataset.info.splits[self.split])
            example |= {name: row[name] for name in missing}
        if "image" in columns and "image" not in example:
            # Only the number of images matters.
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
                    derived = {name: value.to(device) for name, value in conditioner.derive(columns).items()}
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

    def _same(self, index: int) -> Any:
        """Equal for samples of equal conditions."""
        settled = {*self.wanted.files, *(["label"] if self.wanted.classes else [])}
        if self.size != self.dataset.info.image_size:
            settled |= {"coordinates"}
        if settled.issuperset(self.conditioner.contents):
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
