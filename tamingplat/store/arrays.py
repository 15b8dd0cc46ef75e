"""Arrays in files that are mapped into memory, so that resident memory does not grow with the number of images."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from numpy.lib.format import open_memmap

from tamingplat.interfaces import DataError


def smallest_integer(vocab_size: int) -> np.dtype[Any]:
    """The smallest of uint8, uint16 and int32 that holds every code in ``[0, vocab_size)``."""
    assert 1 <= vocab_size <= 2**31, f"a vocabulary of {vocab_size} codes"
    if vocab_size <= 2**8:
        return np.dtype(np.uint8)
    return np.dtype(np.uint16) if vocab_size <= 2**16 else np.dtype(np.int32)


def create_array(path: Path, shape: Sequence[int], dtype: npt.DTypeLike) -> np.memmap[Any, np.dtype[Any]]:
    """A new ``.npy`` file full of zeros, mapped for writing. Its bytes are reserved where the
    system can do that, so that a full disk is noticed here.

    Raises:
        DataError: The file exists, or cannot be made.
    """
    if path.exists():
        raise DataError(f"{path}: the file exists, and an array is never written over another")
    try:
        array = open_memmap(path, mode="w+", dtype=np.dtype(dtype), shape=tuple(shape))
        if hasattr(os, "posix_fallocate"):
            with path.open("r+b") as file:
                # Writing to a page that has no place on the disk would kill the process with SIGBUS.
                os.posix_fallocate(file.fileno(), 0, path.stat().st_size)
    except OSError as error:
        path.unlink(missing_ok=True)
        raise DataError(f"{path}: the array of shape {tuple(shape)} cannot be made: {error.strerror}") from error
    return array


def open_array(path: Path) -> npt.NDArray[Any]:
    """A ``.npy`` file mapped for reading.

    Raises:
        DataError: The file is missing, unreadable, shorter than it says, or holds something other than one plain array.
    """
    try:
        array = np.load(path, mmap_mode="r", allow_pickle=False)
    except OSError as error:
        raise DataError(f"{path}: the array cannot be read: {error.strerror or error}") from error
    except (ValueError, EOFError) as error:
        raise DataError(f"{path}: the file is no readable array: {error}") from error
    if not isinstance(array, np.ndarray):
        array.close()
        raise DataError(f"{path}: the file is an archive of arrays, not one array")
    return array
