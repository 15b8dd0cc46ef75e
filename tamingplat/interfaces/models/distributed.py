"""Sums and means over all processes, for statistics that have to agree between one process and several."""

from __future__ import annotations

from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor


def process_count() -> int:
    """Number of processes that train together; 1 outside distributed training."""
    return dist.get_world_size() if dist.is_available() and dist.is_initialized() else 1


def process_index() -> int:
    """Number of this process among those that train together, from 0; 0 outside distributed training."""
    return dist.get_rank() if dist.is_available() and dist.is_initialized() else 0


class _SumOverProcesses(torch.autograd.Function):
    """Every process's loss depends on every process's summand, so that gradients are summed just as values are."""

    @staticmethod
    def forward(ctx: Any, value: Tensor) -> Tensor:
        total = value.clone(memory_format=torch.contiguous_format)
        dist.all_reduce(total)
        return total

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Tensor:
        total = gradients[0].clone(memory_format=torch.contiguous_format)
        dist.all_reduce(total)
        return total


def sum_over_processes(value: Tensor) -> Tensor:
    """The sum of each process's tensor; gradients flow back to every process's own."""
    if process_count() == 1:
        return value
    total: Tensor = _SumOverProcesses.apply(value)
    return total


def mean_over_processes(value: Tensor) -> Tensor:
    """The mean of each process's tensor; gradients flow back to every process's own."""
    return sum_over_processes(value) / process_count()


def of_first_process(value: Tensor) -> Tensor:
    """Process 0's tensor on every process, of the same shape and type on all of them; no gradients flow.

    For a result that every process computes alike up to rounding and has to hold bit for bit.
    """
    if process_count() == 1:
        return value.detach()
    return sum_over_processes(value.detach() if process_index() == 0 else torch.zeros_like(value))
