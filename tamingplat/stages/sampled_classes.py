"""The classes of samples, for conditions that name the class of an image.

Shape letters: n examples of a split, B batch, L classes of the dataset.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from tamingplat.interfaces import ConditionLayout, UnavailableError, layout_length
from tamingplat.interfaces.models import Dataset, Ordering, PlannedClasses, SampledClasses


def read_labels(dataset: Dataset, split: str, count: int) -> npt.NDArray[np.int64]:
    """The labels of the first ``count`` examples of a split, or of all where it has no more; int64 (n,)."""
    labels = dataset.only(("label",))
    count = min(count, dataset.info.splits[split])
    return np.array([int(labels.read(split, index)["label"]) for index in range(count)], dtype=np.int64)


@dataclass(frozen=True)
class ClassesOfSamples:
    """What class the condition of every sample names: sample i has that of example i mod n.

    Attributes:
        names: The dataset's classes in order.
        tokens: int64 (L,), the condition's token of each class.
        labels: int64 (n,), the classes of the examples.
    """

    names: tuple[str, ...]
    tokens: Tensor
    labels: npt.NDArray[np.int64]

    @cached_property
    def _groups(self) -> npt.NDArray[np.int64]:
        """The token of every example, int64 (n,)."""
        return self.tokens.cpu().numpy()[self.labels]

    @cached_property
    def _ranks(self) -> list[int]:
        """How many examples before it have an example's token."""
        seen: Counter[int] = Counter()
        ranks = []
        for group in self._groups.tolist():
            ranks.append(seen[group])
            seen[group] += 1
        return ranks

    @cached_property
    def _sizes(self) -> Counter[int]:
        return Counter(self._groups.tolist())

    def of(self, indices: Sequence[int]) -> SampledClasses:
        """The classes of the samples with these numbers."""
        count, tokens = len(self.labels), self.tokens.cpu()
        groups = self._groups[[index % count for index in indices]]
        ordinals = [
            index // count * self._sizes[group] + self._ranks[index % count]
            for index, group in zip(indices, groups.tolist(), strict=True)
        ]
        members = tokens[None] == torch.from_numpy(groups)[:, None]
        return SampledClasses(self.names, members, torch.tensor(ordinals, dtype=torch.int64))

    def counts(self, indices: range) -> list[int]:
        """How many of these samples each class has that some have; one of several that are not told apart stands for them."""
        count = len(self.labels)
        return list(Counter(self._groups[index % count] for index in indices).values())


def planned_classes(
    dataset: Dataset,
    tokens: Tensor | None,
    layout: ConditionLayout,
    ordering: Ordering,
    *,
    split: str,
    samples: int,
) -> PlannedClasses | None:
    """The classes of the samples of a cell, before it is sampled; ``None`` where its condition names none.

    Args:
        dataset: Where the conditions are taken from.
        tokens: The condition's token of each class, int64 (L,), or ``None``.
        layout: The condition's parts.
        ordering: In which order codes are visited.
        split: Of the examples whose conditions the samples have.
        samples: How many samples are drawn.
    """
    names = dataset.info.label_names
    if tokens is None or names is None:
        return None

    def largest() -> int | None:
        try:
            labels = read_labels(dataset, split, samples)
        except UnavailableError:
            return None
        return max(ClassesOfSamples(names, tokens, labels).counts(range(samples)))

    return PlannedClasses(dataset.info, layout_length(layout) == 1, ordering.random, largest)
