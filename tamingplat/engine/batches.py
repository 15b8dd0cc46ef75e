"""Which examples a step sees, and how they are loaded.

Each epoch is a permutation of its own, addressed by (seed, epoch). The epochs follow each other without a gap: every step takes
the next ``batch_size`` examples of that sequence, so that a batch can span two epochs and the step alone says where the data
stand.
"""

from __future__ import annotations

import signal
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import tee
from typing import Any, Generic, Protocol, TypeVar

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, get_worker_info

from tamingplat.interfaces import DataError, TamingplatError, derive_seed


class TrainingData(Protocol):
    """What the loop trains on. Objects can be sent to worker processes."""

    @property
    def length(self) -> int:
        """Number of training examples."""

    @property
    def validation_length(self) -> int:
        """Number of validation examples; with 0 nothing is validated."""

    def load(self, indices: Sequence[int], epoch: int) -> dict[str, Tensor]:
        """CPU tensors of some training examples, in that order, the examples along the first dimension.

        It depends on its arguments alone. It may run in a worker process.
        """

    def load_validation(self, indices: Sequence[int]) -> dict[str, Tensor]:
        """The same for validation examples, always plain."""

    def prepare(self, batch: dict[str, Tensor], *, address: int, rows: tuple[int, int], total: int) -> Any:
        """Loaded tensors, which the loop has moved to the device, as the batch that ``Trainable.forward`` takes.

        Args:
            batch: Rows ``rows[0]`` to ``rows[1]`` of a global batch of ``total`` examples.
            address: Of the batch's randomness: the step in training, −1 − k for validation batch k. What is random is drawn for
                the whole global batch and then sliced, so that it does not depend on the number of processes.
            rows: Which rows of the global batch these are.
            total: Size of the global batch.
        """


@dataclass(frozen=True)
class Rows:
    """Rows ``start`` to ``stop`` of global batch ``batch``: what one process loads at once."""

    batch: int
    start: int
    stop: int


class BatchOrder:
    """The examples of every step."""

    def __init__(self, length: int, batch_size: int, seed: int) -> None:
        self.length = length
        self.batch_size = batch_size
        self.seed = seed
        self._latest: tuple[int, npt.NDArray[np.int64]] | None = None

    def permutation(self, epoch: int) -> npt.NDArray[np.int64]:
        """Every example of an epoch once, in the epoch's order."""
        if self._latest is None or self._latest[0] != epoch:
            generator = np.random.Generator(np.random.Philox(derive_seed(self.seed, "order", epoch)))
            self._latest = (epoch, generator.permutation(self.length))
        return self._latest[1]

    def examples(self, rows: Rows) -> list[tuple[int, list[int]]]:
        """The examples of some rows of a step's batch, as (epoch, indices) pairs in the batch's order."""
        position = rows.batch * self.batch_size + rows.start
        stop = rows.batch * self.batch_size + rows.stop
        parts = []
        while position < stop:
            epoch, offset = divmod(position, self.length)
            count = min(stop - position, self.length - offset)
            parts.append((epoch, self.permutation(epoch)[offset : offset + count].tolist()))
            position += count
        return parts


class TrainingRows:
    """Loads rows of a step's batch, whatever epochs they lie in."""

    def __init__(self, data: TrainingData, order: BatchOrder) -> None:
        self.data = data
        self.order = order

    def __call__(self, rows: Rows) -> dict[str, Tensor]:
        parts = [self.data.load(indices, epoch) for epoch, indices in self.order.examples(rows)]
        if len(parts) == 1:
            return parts[0]
        return {name: torch.cat([part[name] for part in parts]) for name in parts[0]}


def training_schedule(
    steps: range, batch_size: int, *, process: int, processes: int, accumulation_steps: int
) -> Iterator[Rows]:
    """What one process loads, ``accumulation_steps`` times a step.

    Every part of a step's batch is contiguous, and each process has a contiguous share of each part: what all processes compute
    together for one part, batch statistics for instance, is the same for any number of processes.
    """
    size = batch_size // (processes * accumulation_steps)
    for step in steps:
        for part in range(accumulation_steps):
            start = (part * processes + process) * size
            yield Rows(step, start, start + size)


Item = TypeVar("Item")


@dataclass(frozen=True)
class _Failure:
    """An error of a worker process, as text: not every exception survives the way between processes."""

    message: str
    of_data: bool


class _Loaded(Dataset[Any], Generic[Item]):
    def __init__(self, load: Callable[[Item], dict[str, Tensor]]) -> None:
        self.load = load

    def __getitem__(self, item: Item) -> dict[str, Tensor] | _Failure:
        if get_worker_info() is None:
            return self.load(item)
        try:
            return self.load(item)
        except TamingplatError as error:
            return _Failure(str(error), isinstance(error, DataError))


def _leave_signals_to_the_training_process(_: int) -> None:
    # A terminal sends Ctrl-C to the workers too, but the step that is under way still needs its batch.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)


def load_batches(
    load: Callable[[Item], dict[str, Tensor]], items: Iterable[Item], *, workers: int, device: torch.device
) -> Generator[tuple[Item, dict[str, Tensor]]]:
    """Each item with what ``load`` returns for it, in order; ahead of time where there are worker processes.

    Memory is pinned where the device is CUDA, so that copying can run beside computing.

    Raises:
        TamingplatError: What ``load`` raised, also in a worker process.
    """
    loading, waiting = tee(items)
    loader: DataLoader[Any] = DataLoader(
        _Loaded(load),
        batch_size=None,
        sampler=loading,
        num_workers=workers,
        pin_memory=device.type == "cuda",
        worker_init_fn=_leave_signals_to_the_training_process,
        generator=torch.Generator(),  # the default one would be advanced
    )
    for item, batch in zip(waiting, loader, strict=True):
        if isinstance(batch, _Failure):
            raise (DataError if batch.of_data else TamingplatError)(batch.message)
        yield item, batch


def to_device(batch: dict[str, Tensor], device: torch.device) -> dict[str, Tensor]:
    """The same tensors on the device."""
    return {name: value.to(device, non_blocking=True) for name, value in batch.items()}
