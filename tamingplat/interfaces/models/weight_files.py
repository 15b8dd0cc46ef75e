"""Weight files of frozen networks: what is in them, and whether they are what they are taken for.

Files are read as tensors alone; nothing in them is executed.
"""

from __future__ import annotations

import functools
import hashlib
import pickle
import struct
import warnings
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file
from torch import Tensor

from tamingplat.interfaces.errors import DataError

# What torch.load raises for a file that is cut short, is no weight file, or holds more than tensors. What is no archive is
# taken for a pickle of before torch 1.6, in which every byte is an instruction: a text ends in a LookupError, among others.
_UNREADABLE = (
    *(OSError, EOFError, RuntimeError, ValueError, LookupError, TypeError, AttributeError),
    *(ArithmeticError, AssertionError, struct.error, pickle.UnpicklingError, SafetensorError),
)


def file_digest(path: Path) -> str:
    """SHA-256 of a file's content, 64 hexadecimal digits; read again only where its size or time is another one.

    Raises:
        DataError: The file cannot be read.
    """
    try:
        return _digest(path, *_state(path))
    except OSError as error:
        raise DataError(_not_readable(path, error)) from error


def unreadable(path: Path) -> str | None:
    """Why a file cannot be read by ``read_tensors``; ``None`` where it can. Looked at again only where it has changed.

    Of a safetensors file, and of one that torch wrote as an archive, names and shapes are read and not the numbers.
    """
    try:
        return _why_unreadable(path, *_state(path))
    except OSError as error:
        return _not_readable(path, error)


def read_tensors(path: Path) -> dict[str, Tensor]:
    """The tensors of a safetensors file, or of one that torch wrote, on the CPU.

    Raises:
        DataError: The file cannot be read, or holds something other than named tensors.
    """
    try:
        state = load_file(path) if path.suffix == ".safetensors" else _torchs(path, mapped=False)
    except _UNREADABLE as error:
        raise DataError(_not_readable(path, error)) from error
    if not _is_state_dict(state):
        raise DataError(_no_state_dict(path))
    return dict(state)


def _state(path: Path) -> tuple[int, int]:
    status = path.stat()
    return status.st_size, status.st_mtime_ns


@functools.cache
def _digest(path: Path, size: int, changed: int) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@functools.cache
def _why_unreadable(path: Path, size: int, changed: int) -> str | None:
    try:
        if path.suffix == ".safetensors":
            with safe_open(path, framework="pt"):
                return None
        # Files of before torch 1.6 are no archives and have to be read.
        state = _torchs(path, mapped=zipfile.is_zipfile(path))
    except _UNREADABLE as error:
        return _not_readable(path, error)
    return None if _is_state_dict(state) else _no_state_dict(path)


def _torchs(path: Path, *, mapped: bool) -> Any:
    with warnings.catch_warnings():
        # It announces that it would run a TorchScript archive, and then, asked for weights alone, refuses to.
        warnings.filterwarnings("ignore", category=UserWarning, message="'torch.load' received a zip file")
        return torch.load(path, map_location="cpu", weights_only=True, mmap=mapped)


def _is_state_dict(state: Any) -> bool:
    return isinstance(state, Mapping) and all(isinstance(value, Tensor) for value in state.values())


def _not_readable(path: Path, error: BaseException) -> str:
    return f"{path}: not a readable weight file ({type(error).__name__}: {str(error).partition(chr(10))[0]})"


def _no_state_dict(path: Path) -> str:
    return f"{path}: holds no state dict, a mapping of names to tensors"
