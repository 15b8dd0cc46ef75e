"""What a training will cost, found out on the meta device: operations and memory, without carrying anything out."""

from __future__ import annotations

import itertools
from collections import Counter
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from tamingplat.engine.devices import AUTOCAST_TYPES, check_division
from tamingplat.engine.meta_arithmetic import MetaArithmetic
from tamingplat.engine.operation_counter import KnownOperations, OperationCounter
from tamingplat.engine.phases import Phase, make_phases
from tamingplat.engine.saved_memory import SavedMemory
from tamingplat.interfaces import TrainingSettings
from tamingplat.interfaces.models import Trainable

_META = torch.device("meta")


@dataclass(frozen=True)
class TrainingEstimate:
    """What a training will cost.

    Attributes:
        flops: Operations of all forward and backward passes over all processes, as a ``TrainingRecord`` counts them.
        memory_bytes: Of one process: weights, gradients, the optimizer's moments, averaged weights, and what is kept for the
            backward pass. Kernels' workspace, the allocator's waste and libraries come on top.
        saved_bytes: The share of ``memory_bytes`` that is kept for the backward pass.
    """

    flops: int
    memory_bytes: int
    saved_bytes: int


def part_size(settings: TrainingSettings, processes: int = 1) -> int:
    """Images that one process sends through the model together.

    Raises:
        TamingplatError: The batch cannot be divided so.
    """
    check_division(settings, processes)
    return settings.batch_size // (settings.accumulation_steps * processes)


def estimate_training(
    model: Trainable,
    batch: Any,
    settings: TrainingSettings,
    *,
    processes: int = 1,
    known: KnownOperations | None = None,
) -> TrainingEstimate:
    """Estimate what it costs to train ``model`` from the first to the last step.

    Each set of phases is run once, on the batch of one accumulation part of one process; every step with these phases is
    taken to be like its first, as training itself counts.

    Args:
        model: On the meta device.
        batch: What the model is trained on, ``part_size`` images of it; its tensors are on the meta device.
        settings: Of the training.
        processes: How many share each batch.
        known: What earlier estimates found out, for speed.

    Raises:
        RuntimeError: The model cannot be run on the meta device: it looks at values, or an operation is not there.
    """
    assert all(parameter.is_meta for parameter in model.parameters()), "the model has memory"
    model.train()
    phases = make_phases(model, settings, _META)
    known = KnownOperations() if known is None else known
    flops = kept = transient = 0
    for names, (first, steps) in _phase_sets(model, settings.steps).items():
        counted = [_count_phase(model, phases[name], batch, settings, first, known) for name in names]
        parts = settings.accumulation_steps * processes
        flops += steps * parts * sum(operations for operations, _, _ in counted)
        kept = max(kept, *(saved for _, saved, _ in counted))
        transient = max(transient, *(saved + gradients for _, saved, gradients in counted))
    trained = sum(_bytes(parameter) for phase in phases.values() for parameter in phase.parameters)
    weights = sum(_bytes(tensor) for tensor in itertools.chain(model.parameters(), model.buffers()))
    averages = sum(_bytes(parameter) for parameter in model.parameters()) if settings.ema_decay is not None else 0
    return TrainingEstimate(flops, weights + 2 * trained + averages + transient, kept)


def _phase_sets(model: Trainable, steps: int) -> dict[tuple[str, ...], tuple[int, int]]:
    """Every set of phases that runs in some step: the first such step, and their number."""
    if type(model).phases_at is Trainable.phases_at:
        return {model.phases: (0, steps)} if steps else {}
    count = Counter[tuple[str, ...]]()
    first: dict[tuple[str, ...], int] = {}
    start = 0
    # There can be a million steps, and few changes among them.
    for names, group in itertools.groupby(map(model.phases_at, range(steps)), key=tuple):
        length = len(list(group))
        count[names] += length
        first.setdefault(names, start)
        start += length
    return {names: (first[names], count[names]) for names in count if names}


def _count_phase(
    model: Trainable, phase: Phase, batch: Any, settings: TrainingSettings, step: int, known: KnownOperations
) -> tuple[int, int, int]:
    """Operations of one phase on one batch, the bytes that it keeps for its backward pass, and those of its gradients."""
    kind = AUTOCAST_TYPES[settings.precision]
    memory = SavedMemory(itertools.chain(model.parameters(), model.buffers()))
    with phase.alone(step), OperationCounter(known) as counter, MetaArithmetic(), memory.counting():
        with torch.autocast("cpu", dtype=kind, enabled=kind is not None):
            terms = model(batch, step=step, phase=phase.name, generator=None)
        terms["total"].backward()
    gradients = sum(_bytes(parameter.grad) for parameter in phase.parameters if parameter.grad is not None)
    phase.optimizer.zero_grad(set_to_none=True)
    return counter.total, memory.peak, gradients


def _bytes(tensor: Tensor) -> int:
    return tensor.numel() * tensor.element_size()
