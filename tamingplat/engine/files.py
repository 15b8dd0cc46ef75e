"""Writing files so that they survive a crash of the machine."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping
from pathlib import Path

from safetensors.torch import save_file
from torch import Tensor


def write_tensors(tensors: Mapping[str, Tensor], path: Path) -> None:
    """Write a safetensors file, each tensor laid out contiguously, and wait until it is on the disk."""
    path.touch()
    mode = path.stat().st_mode  # what the umask gives to a new file; the library would keep it from everybody else
    save_file(_separate(tensors), path)
    path.chmod(mode)
    sync(path)


def _separate(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The tensors, each contiguous and in memory of its own, as the format asks."""
    storages: set[int] = set()
    separate = {}
    for name, tensor in tensors.items():
        value = tensor.detach().contiguous()
        storage = value.untyped_storage().data_ptr()
        separate[name] = value.clone() if storage in storages else value
        storages.add(storage)
    return separate


def sync(path: Path) -> None:
    """Wait until a file, or the entries of a folder, are on the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def sha256(path: Path) -> str:
    """Hexadecimal digest of a file's content."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
