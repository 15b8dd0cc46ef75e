"""Reading every image once, so that a corrupt one is found before anything is trained."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Any

from torch.utils.data import DataLoader, Dataset

from tamingplat.engine import Progress
from tamingplat.interfaces import DataError, Problem, ProblemsError
from tamingplat.interfaces.models import Dataset as ImageDataset
from tamingplat.manifest import ResolvedComponent
from tamingplat.stages.build import Builder
from tamingplat.stages.stage import Stage, StageContext

_MOST_PROBLEMS = 20
_FEW_IMAGES = 10_000
_CHUNK = 256


@dataclass(frozen=True)
class _Chunks(Dataset[Any]):
    """The problems of some images at a time, found in worker processes where there are many."""

    dataset: ImageDataset
    split: str

    def __len__(self) -> int:
        return -(-self.dataset.info.splits[self.split] // _CHUNK)

    def __getitem__(self, chunk: int) -> list[str]:
        count = self.dataset.info.splits[self.split]
        problems = []
        for index in range(chunk * _CHUNK, min((chunk + 1) * _CHUNK, count)):
            try:
                self.dataset.read(self.split, index)
            except DataError as error:
                problems.append(str(error))
        return problems


@dataclass(frozen=True, eq=False, repr=False)
class CheckDataset(Stage):
    """Every image of some splits has been read. The artifact has no files: that it exists says that all are whole."""

    builder: Builder
    dataset: ResolvedComponent
    splits: tuple[str, ...]

    kind = "check_dataset"

    @property
    def label(self) -> str:
        return f"check the images of {self.dataset.label}"

    def identity(self) -> dict[str, Any]:
        return {"dataset": self.builder.identity(self.dataset), "splits": sorted(self.splits)}

    def run(self, context: StageContext) -> dict[str, Any]:
        """Read every image.

        Raises:
            ProblemsError: Some cannot be read; each with its place, the first twenty of them.
        """
        dataset = context.builder.dataset(self.dataset)
        problems: list[str] = []
        for split in self.splits:
            chunks = _Chunks(dataset, split)
            workers = 0 if dataset.info.splits[split] <= _FEW_IMAGES else min(os.cpu_count() or 1, 16)
            loader = DataLoader(chunks, batch_size=None, num_workers=workers)
            for number, found in enumerate(loader):
                problems += found
                context.report(Progress(stage=f"reading {split}", step=number + 1, steps=len(chunks)))
        if problems:
            listed = [Problem("", problem) for problem in problems[:_MOST_PROBLEMS]]
            if len(problems) > _MOST_PROBLEMS:
                listed.append(Problem("", f"and {len(problems) - _MOST_PROBLEMS} more images cannot be read"))
            raise ProblemsError(listed)
        return {"images": {split: dataset.info.splits[split] for split in self.splits}}
