"""Tensors from checkpoints that others wrote: zip and legacy files of ``torch.save``, and safetensors.

Nothing in a file is executed, and the training framework whose objects lie beside the tensors need not be there.

The file is mapped into memory, so that a tensor takes none before it is used; it must not change meanwhile.
"""

from __future__ import annotations

import io
import math
import struct
import sys
import tarfile
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import IO, Any

import numpy as np
import torch
from torch import Tensor

from tamingplat.engine.inert_objects import Placeholder, TensorReference
from tamingplat.engine.inert_pickle import DAMAGES, load_inert
from tamingplat.engine.weights import load_tensors
from tamingplat.interfaces import DataError

_LEGACY_MAGIC = 0x1950A86A20F9469CFC6C
_LEGACY_PROTOCOL = 1001
_LARGEST_PICKLE = 2**30
_NAMED = 10

_KINDS: Mapping[type, str] = MappingProxyType(
    {TensorReference: "a tensor", dict: "a dictionary", list: "a list", tuple: "a list", str: "text", int: "a number"}
)

Bytes = np.ndarray[Any, np.dtype[np.uint8]]
FindBytes = Callable[[str], Bytes]


@dataclass(frozen=True)
class CheckpointFile:
    """What a checkpoint holds.

    Attributes:
        tensors: Its state dict.
        beside: What lies beside the state dict, by name: ``a number``, ``a dictionary``, ….
        container: ``zip``, ``legacy`` or ``safetensors``.
    """

    tensors: dict[str, Tensor]
    beside: dict[str, str]
    container: str


def read_checkpoint(path: Path) -> CheckpointFile:
    """Read the state dict of a checkpoint.

    Raises:
        DataError: The file is absent, damaged, or none of the formats, or has no state dict of plain tensors.
    """
    try:
        with path.open("rb") as file:
            head = file.read(512)
    except OSError as error:
        reason = "there is no such file" if isinstance(error, FileNotFoundError) else f"cannot be read: {error.strerror}"
        raise DataError(f"{path}: {reason}") from error
    if path.suffix == ".safetensors" or head[8:9] == b"{":
        return CheckpointFile(load_tensors(path), {}, "safetensors")
    if not head:
        raise DataError(f"{path}: the file is empty")
    content: Bytes = np.asarray(np.memmap(path, dtype=np.uint8, mode="c"))
    if head.startswith(b"PK"):
        return _state_dict(path, *_read_zip(path, content), "zip")
    if tarfile.is_tarfile(path):
        raise DataError(f"{path}: this is the tar format of torch before 0.1.10; save it again with a newer torch")
    return _state_dict(path, *_read_legacy(path, content), "legacy")


def _read_zip(path: Path, content: Bytes) -> tuple[Any, FindBytes]:
    try:
        with zipfile.ZipFile(path) as archive:
            entries = {entry.filename: entry for entry in archive.infolist()}
    except (zipfile.BadZipFile, ValueError, OSError, NotImplementedError) as error:
        raise DataError(f"{path}: the file is damaged or cut off ({error})") from error
    names = [name for name in entries if name == "data.pkl" or name.endswith("/data.pkl")]
    folder = names[0].removesuffix("data.pkl") if names else ""
    if f"{folder}constants.pkl" in entries:
        raise DataError(f"{path}: this is a TorchScript program and no checkpoint; save the model's state dict instead")
    if len(names) != 1:
        raise DataError(f"{path}: this zip file was not written by torch.save")

    def find(name: str) -> Bytes:
        entry = entries.get(f"{folder}{name}")
        if entry is None:
            raise DataError(f"{path}: the file is damaged: it has no {name!r}")
        if entry.compress_type != zipfile.ZIP_STORED:
            raise DataError(f"{path}: {name!r} is compressed, which torch.save never does")
        # The lengths of the name and of the padding stand in the entry's own header and may differ from the directory's.
        header = content[entry.header_offset : entry.header_offset + 30]
        start = entry.header_offset + 30 + sum(struct.unpack("<HH", header[26:30].tobytes())) if len(header) == 30 else -1
        if start < 0 or header[:4].tobytes() != b"PK\x03\x04" or start + entry.file_size > len(content):
            raise DataError(f"{path}: the file is damaged: {name!r} lies outside of it")
        return content[start : start + entry.file_size]

    if f"{folder}byteorder" in entries and find("byteorder").tobytes() != sys.byteorder.encode():
        raise DataError(f"{path}: its numbers are in another byte order than this machine's")
    pickled = find("data.pkl")
    if len(pickled) > _LARGEST_PICKLE:
        raise DataError(f"{path}: the objects in it take {len(pickled)} bytes, more than a checkpoint's ever do")
    return _unpickle(path, io.BytesIO(pickled.tobytes()))[0], lambda key: find(f"data/{key}")


def _read_legacy(path: Path, content: Bytes) -> tuple[Any, FindBytes]:
    with path.open("rb") as file:
        try:
            magic: Any = load_inert(file)[0]
        except DAMAGES:
            magic = None
        if magic != _LEGACY_MAGIC:
            raise DataError(f"{path}: this is no checkpoint: neither a zip nor a legacy file of torch.save, nor safetensors")
        if _unpickle(path, file)[0] != _LEGACY_PROTOCOL:
            raise DataError(f"{path}: the file is damaged: its protocol is unknown")
        system, _ = _unpickle(path, file)
        if not isinstance(system, dict) or system.get("little_endian") is not (sys.byteorder == "little"):
            raise DataError(f"{path}: its numbers are in another byte order than this machine's")
        value, widths = _unpickle(path, file)
        keys, _ = _unpickle(path, file)
        position = file.tell()
    if not isinstance(keys, list) or not all(isinstance(key, str) for key in keys):
        raise DataError(f"{path}: the file is damaged: the names of its storages cannot be read")
    parts: dict[str, Bytes] = {}
    for key in keys:
        count = content[position : position + 8]
        length = struct.unpack("<q", count.tobytes())[0] * widths.get(key, -1) if len(count) == 8 else -1
        if length < 0 or position + 8 + length > len(content):
            raise DataError(f"{path}: the file is damaged or cut off: not all of its numbers are there")
        parts[key] = content[position + 8 : position + 8 + length]
        position += 8 + length

    def find(key: str) -> Bytes:
        if key not in parts:
            raise DataError(f"{path}: the file is damaged: it has no numbers named {key!r}")
        return parts[key]

    return value, find


def _unpickle(path: Path, file: IO[bytes]) -> tuple[Any, dict[str, int]]:
    try:
        return load_inert(file)
    except DAMAGES as error:
        reason = _shown(f"{type(error).__name__}: {error}")
        raise DataError(f"{path}: the file is damaged or no checkpoint ({reason})") from error


def _state_dict(path: Path, value: Any, find: FindBytes, container: str) -> CheckpointFile:
    if not isinstance(value, dict):
        raise DataError(f"{path}: it holds {_kind(value)} and no state dict; save {{'state_dict': model.state_dict()}} instead")
    beside: dict[str, str] = {}
    state = value
    if isinstance(value.get("state_dict"), dict):
        state = value["state_dict"]
        beside = {_name(name): _kind(item) for name, item in value.items() if name != "state_dict"}
    odd = [f"{_name(name)} is {_kind(item)}" for name, item in state.items() if not _is_plain(name, item)]
    if odd or not state:
        shown = ", ".join(odd[:_NAMED]) + (f" and {len(odd) - _NAMED} more" if len(odd) > _NAMED else "")
        raise DataError(f"{path}: it has no state dict of plain tensors: {shown or 'it is empty'}")
    tensors = {name: _tensor(path, name, reference, find) for name, reference in state.items()}
    return CheckpointFile(tensors, beside, container)


def _is_plain(name: object, item: object) -> bool:
    # A name that cannot be printed is nobody's, and could do anything to the terminal that it is printed on.
    return isinstance(name, str) and name.isprintable() and isinstance(item, TensorReference)


def _tensor(path: Path, name: str, reference: TensorReference, find: FindBytes) -> Tensor:
    """The tensor that a file describes, where all that it says of it is true."""
    storage, width = reference.storage, reference.dtype.itemsize
    content = find(storage.key)
    start, stop = storage.start * storage.dtype.itemsize, (storage.start + storage.numel) * storage.dtype.itemsize
    numbers = (stop - start) // width
    empty = 0 in reference.size
    reach = sum((size - 1) * stride for size, stride in zip(reference.size, reference.stride, strict=False))
    if (
        stop > len(content)
        or len(reference.size) != len(reference.stride)
        or (not empty and reference.offset + reach >= numbers)
        # More elements than numbers would be a view that repeats them: no weights are, and it may be made to be enormous.
        or (not empty and math.prod(reference.size) > numbers)
    ):
        raise DataError(f"{path}: the file is damaged: {name} claims more numbers than there are")
    if empty:
        if sum(size.bit_length() for size in reference.size) > 62:
            raise DataError(f"{path}: the file is damaged: {name} has impossible sizes")
        return torch.empty(reference.size, dtype=reference.dtype)
    part = content[start : start + numbers * width]
    if part.ctypes.data % width:
        part = part.copy()
    flat = torch.from_numpy(part).view(reference.dtype)
    return torch.as_strided(flat, reference.size, reference.stride, reference.offset)


def _name(key: object) -> str:
    """What a person is shown of a key of a dictionary, whatever it is."""
    if isinstance(key, str):
        return _shown(key)
    return str(key) if type(key) is int and abs(key) < 2**63 else "a key that is no text"


def _shown(text: str) -> str:
    """A text of the file, in which nothing is left that a terminal would obey."""
    return text if text.isprintable() else ascii(text)[1:-1]


def _kind(value: object) -> str:
    """What a person would call an object of a checkpoint."""
    if isinstance(value, type) and issubclass(value, Placeholder):
        return f"the class {_shown(value.__name__)}"
    if type(value) is Placeholder:
        return "a tensor of an unusual kind"
    if isinstance(value, Placeholder):
        return f"an object of {_shown(type(value).__name__)}"
    for kind, text in _KINDS.items():
        if isinstance(value, kind):
            return text
    return type(value).__name__
