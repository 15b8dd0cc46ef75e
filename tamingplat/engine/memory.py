"""How much memory a machine has, and what to say where that is not enough."""

from __future__ import annotations

import os
from pathlib import Path

import torch

_LIMITS = (Path("/sys/fs/cgroup/memory.max"), Path("/sys/fs/cgroup/memory/memory.limit_in_bytes"))
_REMEDY = (
    "take less at a time: train.batch_size with train.accumulation_steps for a training, evaluate.batch_size for everything "
    "else, a tokenizer's encode_batch_size or tile for large images, --size, --batch-size or --tile of a command that has it"
)


def total_memory(device: torch.device) -> int | None:
    """Bytes of memory that a device has, of a CPU what the container leaves of it; ``None`` where it cannot be found out."""
    if device.type == "cuda":
        return int(torch.cuda.get_device_properties(device).total_memory)
    if device.type != "cpu" or not hasattr(os, "sysconf") or "SC_PHYS_PAGES" not in os.sysconf_names:
        return None
    found = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    for path in _LIMITS:
        try:
            limit = path.read_text(encoding="ascii").strip()
        except OSError:  # no such kind of container
            continue
        if limit.isdigit():
            found = min(found, int(limit))
    return found


def memory_shortage(needed: int, available: int | None, remedy: str = _REMEDY) -> str | None:
    """Why a need of so many bytes cannot be met, with the remedy; ``None`` where it can, or where nothing is known."""
    if available is None or needed <= available:
        return None
    return f"needs about {needed / 2**30:.1f} GiB of memory, and this machine has {available / 2**30:.1f} GiB; {remedy}"


def out_of_memory(error: BaseException) -> str | None:
    """What to say of an error that means that memory has run out, with the remedy; ``None`` for any other error."""
    ours = isinstance(error, MemoryError | torch.OutOfMemoryError)
    # On a CPU torch has no type of its own for it.
    if not ours and not (isinstance(error, RuntimeError) and "can't allocate memory" in str(error)):
        return None
    first = str(error).partition("\n")[0]
    return f"out of memory{f' ({first})' if first else ''}; {_REMEDY}"
