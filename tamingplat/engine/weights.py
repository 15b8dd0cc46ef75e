"""Weights in safetensors files.

A file holds every tensor of a module's state once. Tensors that a module holds under several names, as tied weights are, are
written under the first of them and found again under all.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from pathlib import Path

from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from tamingplat.engine.files import sync, write_tensors
from tamingplat.interfaces import DataError

_NAMED = 10


def save_weights(module: nn.Module, path: Path) -> None:
    """Write a module's parameters and persistent buffers; the file appears whole or not at all."""
    save_tensors(module_tensors(module), path)


def load_weights(module: nn.Module, path: Path) -> None:
    """Read what ``save_weights`` wrote into a module of the same make, on whatever device it is.

    Raises:
        DataError: The file cannot be read, or does not fit the module: missing, unexpected and misshapen tensors are named, the
            first ten of each.
    """
    fill_module(module, load_tensors(path), where=str(path))


def module_tensors(module: nn.Module) -> dict[str, Tensor]:
    """A module's state by name, each shared tensor under the first of its names."""
    state = _tensors_of_state(module)
    return {names[0]: state[names[0]] for names in _names_by_tensor(state)}


def fill_module(module: nn.Module, tensors: Mapping[str, Tensor], *, where: str) -> None:
    """Copy tensors by name into a module, all or none.

    Args:
        module: Keeps its own devices and precisions.
        tensors: Every tensor of the module's state, a shared one under at least one of its names.
        where: Where they come from, for the message.

    Raises:
        DataError: They do not fit.
    """
    state = _tensors_of_state(module)
    complete = dict(tensors)
    for names in _names_by_tensor(state):
        given = next((name for name in names if name in tensors), None)
        if given is not None:
            complete.update({name: tensors[given] for name in names if name not in tensors})
    misfits = [
        f"{name} is {_describe(complete[name])} and not {_describe(own)}"
        for name, own in state.items()
        if name in complete and not _fits(complete[name], own)
    ]
    complaints = [
        *_complaint("missing", (name for name in state if name not in complete)),
        *_complaint("unexpected", (name for name in tensors if name not in state)),
        *_complaint("misshapen", misfits),
    ]
    if complaints:
        raise DataError(f"{where}: the tensors do not fit {type(module).__name__}: {'; '.join(complaints)}")
    module.load_state_dict(complete, strict=True)


def save_tensors(tensors: Mapping[str, Tensor], path: Path) -> None:
    """Write tensors under their names; the file appears whole, and on the disk, or not at all."""
    partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
    try:
        write_tensors(tensors, partial)
        partial.replace(path)
        sync(path.parent)
    finally:
        partial.unlink(missing_ok=True)


def load_tensors(path: Path) -> dict[str, Tensor]:
    """Read what ``save_tensors`` wrote, to the CPU.

    Raises:
        DataError: The file is absent or is no whole safetensors file.
    """
    try:
        return load_file(path)
    except FileNotFoundError:
        raise DataError(f"{path}: there is no such file") from None
    except (SafetensorError, OSError) as error:
        raise DataError(f"{path}: not a whole safetensors file ({error})") from error


def _tensors_of_state(module: nn.Module) -> dict[str, Tensor]:
    state = module.state_dict()
    others = [name for name, value in state.items() if not isinstance(value, Tensor)]
    assert not others, f"{type(module).__name__} keeps state that is no tensor: {', '.join(others)}"
    return state


def _names_by_tensor(state: Mapping[str, Tensor]) -> list[list[str]]:
    """Names that stand for one and the same tensor, together. A tensor that is a part of another one stays by itself."""
    groups: dict[object, list[str]] = {}
    for name, tensor in state.items():
        key: object = name
        if tensor.numel() and not tensor.is_meta:
            key = (tensor.device, tensor.data_ptr(), tensor.dtype, tensor.shape, tensor.stride())
        groups.setdefault(key, []).append(name)
    return list(groups.values())


def _fits(tensor: Tensor, own: Tensor) -> bool:
    return tensor.shape == own.shape and tensor.is_floating_point() == own.is_floating_point()


def _describe(tensor: Tensor) -> str:
    return f"{str(tensor.dtype).removeprefix('torch.')} {tuple(tensor.shape)}"


def _complaint(kind: str, entries: Iterable[str]) -> list[str]:
    every = list(entries)
    if not every:
        return []
    more = f" and {len(every) - _NAMED} more" if len(every) > _NAMED else ""
    return [f"{kind}: {', '.join(every[:_NAMED])}{more}"]
