"""Sums and means over all processes, for statistics that have to agree between one process and several."""

from __future__ import annotations

import torch.distributed as dist
from torch import Tensor
from torch.distributed.nn.functional import all_reduce


def process_count() -> int:
    """Number of processes that train together; 1 outside distributed training."""
    return dist.get_world_size() if dist.is_available() and dist.is_initialized() else 1


def sum_over_processes(value: Tensor) -> Tensor:
    """The sum of each process's tensor; gradients flow back to every process's own."""
    return all_reduce(value) if process_count() > 1 else value  # type: ignore[no-untyped-call]


def mean_over_processes(value: Tensor) -> Tensor:
    """The mean of each process's tensor; gradients flow back to every process's own."""
    return sum_over_processes(value) / process_count()
