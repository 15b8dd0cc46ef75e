"""How much of a device's arithmetic a training used: model FLOPs utilisation, for ``make gpu-check`` and benchmarks."""

from __future__ import annotations

import time

import torch

from tamingplat.engine.clock import synchronize
from tamingplat.engine.devices import AUTOCAST_TYPES
from tamingplat.engine.record import Precision, TrainingRecord


def training_rate(record: TrainingRecord) -> float:
    """Floating-point operations per second of all processes together, between the first and the last logged training step.

    What happens once (starting loaders, choosing kernels, compiling) lies before the first.
    """
    points = [point for point in record.curve if point.split == "train"]
    first, last = points[0], points[-1]
    assert first.flops is not None and last.flops is not None and last.step > first.step, "two logged steps are needed"
    return (last.flops - first.flops) / (last.seconds - first.seconds)


def matmul_rate(device: torch.device, precision: Precision, *, size: int = 4096, seconds: float = 1.0) -> float:
    """Floating-point operations per second of square matrix products on one device: about the most that a model can reach.

    Args:
        device: Where to multiply.
        precision: Of the factors.
        size: Rows and columns.
        seconds: How long to measure, at least.
    """
    factor = torch.randn(size, size, device=device, dtype=AUTOCAST_TYPES[precision] or torch.float32)
    for _ in range(3):
        factor @ factor
    synchronize(device)
    start, count = time.perf_counter(), 0
    while time.perf_counter() - start < seconds:
        for _ in range(4):
            factor @ factor
        synchronize(device)
        count += 4
    return 2 * size**3 * count / (time.perf_counter() - start)


def model_flops_utilisation(record: TrainingRecord, device: torch.device, *, size: int = 4096, seconds: float = 1.0) -> float:
    """Share of the device's measured matrix-product rate, in the record's precision, that training reached per process.

    ``size`` and ``seconds`` are those of ``matmul_rate``.
    """
    return training_rate(record) / record.processes / matmul_rate(device, record.precision, size=size, seconds=seconds)
