"""Loss terms of validation examples."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch
from accelerate import Accelerator
from torch import Tensor

from tamingplat.engine.batches import Rows, TrainingData, load_batches, to_device
from tamingplat.engine.randomness import AddressedRandomness
from tamingplat.engine.terms import stack_terms, term_names
from tamingplat.interfaces import TrainingSettings
from tamingplat.interfaces.models import Trainable


@torch.no_grad()
def validation_terms(
    model: Trainable,
    data: TrainingData,
    settings: TrainingSettings,
    *,
    accelerator: Accelerator,
    autocast: Callable[[], torch.autocast],
    randomness: AddressedRandomness,
    step: int,
    stopped: Callable[[], bool] = lambda: False,
) -> dict[str, float] | None:
    """Means of every term over the first ``validation_images`` validation examples, each example counting alike.

    The model is put into eval mode, and back into training mode afterwards. Every process computes its share of each batch and
    calls ``forward`` equally often, so that a model may exchange numbers with its copies.

    Args:
        model: The model itself, not the wrapped one: gradients and buffers need no synchronising here.
        data: Has validation examples.
        settings: How many examples, in which batches.
        accelerator: Knows the processes and the device.
        autocast: The arithmetic of the forward pass.
        randomness: Addressed for a model that draws from the default generators even now; it is handed no generator.
        step: Optimizer steps taken.
        stopped: Asked before every batch where there is one process.

    Returns:
        The terms, named as in training; ``None`` where it was stopped.
    """
    phases = tuple(model.phases_at(step))
    if not phases:
        return {}
    count = min(data.validation_length, settings.validation_images)
    size = settings.batch_size // settings.accumulation_steps
    schedule = list(_shares(count, size, accelerator.process_index, accelerator.num_processes))
    names: list[str] = []
    vectors: list[Tensor] = []
    was_training = model.training
    model.eval()
    batches = load_batches(_ValidationRows(data, size), schedule, workers=settings.workers, device=accelerator.device)
    try:
        for share, loaded in batches:
            if accelerator.num_processes == 1 and stopped():
                return None
            rows, moved = share.rows, to_device(loaded, accelerator.device)
            batch = data.prepare(moved, address=-1 - rows.batch, rows=(rows.start, rows.stop), total=share.total)
            names, parts = [], []
            for phase in phases:
                randomness.at("validation", step, phase, accelerator.process_index, rows.batch)
                with autocast():
                    terms = model(batch, step=step, phase=phase, generator=None)
                names += term_names(phase, terms, several=len(model.phases) > 1)
                parts.append(stack_terms(terms))
            vectors.append(torch.cat(parts))
    finally:
        batches.close()
        model.train(was_training)
    weights = torch.tensor([float(share.examples) for share in schedule], device=accelerator.device)
    table = accelerator.gather(torch.cat([torch.stack(vectors), weights[:, None]], dim=1)).tolist()
    return _weighted_means(names, table)


@dataclass(frozen=True)
class _Share:
    """One process's rows of one batch, the batch's size, and the number of examples for which these rows count."""

    rows: Rows
    total: int
    examples: int


def _shares(count: int, size: int, process: int, processes: int) -> Iterator[_Share]:
    """One process's share of every batch of the first ``count`` examples.

    A last batch can be too small for every process to have a row of its own: a process without one takes the last row, which
    then counts for nothing.
    """
    for batch, first in enumerate(range(0, count, size)):
        total = min(size, count - first)
        start, stop = (min(edge * size // processes, total) for edge in (process, process + 1))
        rows = Rows(batch, start, stop) if start < stop else Rows(batch, total - 1, total)
        yield _Share(rows, total, stop - start)


def _weighted_means(names: list[str], table: list[list[float]]) -> dict[str, float]:
    rows = [row for row in table if row[-1]]
    total = math.fsum(row[-1] for row in rows)
    means = {name: math.fsum(row[column] * row[-1] for row in rows) / total for column, name in enumerate(names)}
    return {name: mean for name, mean in means.items() if math.isfinite(mean)}


class _ValidationRows:
    """Loads one process's rows of a validation batch."""

    def __init__(self, data: TrainingData, size: int) -> None:
        self.data = data
        self.size = size

    def __call__(self, share: _Share) -> dict[str, Tensor]:
        first = share.rows.batch * self.size
        return self.data.load_validation(range(first + share.rows.start, first + share.rows.stop))
