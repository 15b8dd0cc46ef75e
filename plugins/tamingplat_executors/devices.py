"""What this machine has to run on."""

from __future__ import annotations

import os


def core_count() -> int:
    """Cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def visible_gpus() -> tuple[str, ...]:
    """Every GPU that this process may use, as ``CUDA_VISIBLE_DEVICES`` names it."""
    import torch  # takes seconds, and is not needed by whoever asked for the CPU

    count = torch.cuda.device_count()
    mask = os.environ.get("CUDA_VISIBLE_DEVICES")
    if mask is None:
        return tuple(str(number) for number in range(count))
    return tuple(name.strip() for name in mask.split(",") if name.strip())[:count]


def thread_variables(threads: int) -> dict[str, str]:
    """The environment that limits a process to so many CPU threads."""
    return dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"), str(threads))
