"""Files of a pretrained network: its weights, on this machine or downloaded, and the names of its classes."""

from __future__ import annotations

from pathlib import Path, PurePosixPath
from urllib.error import URLError

import torch
from torch import nn
from torchvision.models import WeightsEnum

from tamingplat.interfaces import DataError, UnavailableError
from tamingplat.interfaces.models import file_digest, read_tensors, unreadable
from tamingplat_classifiers.config import TorchvisionConfig


def _hub_file(weights: WeightsEnum) -> Path:
    return Path(torch.hub.get_dir()) / "checkpoints" / PurePosixPath(weights.url).name


def is_published(weights: WeightsEnum, path: Path) -> bool:
    """Whether a file's content is what torchvision publishes: its file's name ends in the first digits of the SHA-256.

    Raises:
        DataError: The file cannot be read.
    """
    return file_digest(path).startswith(_digits(weights))


def why_missing(weights: WeightsEnum, config: TorchvisionConfig) -> str | None:
    """Why the weights cannot be had, and which file to put where; ``None`` where they can. Downloads nothing."""
    return _why_absent(weights, config) or _why_wrong(weights, config)


def weight_file(weights: WeightsEnum, config: TorchvisionConfig) -> Path:
    """The file with the weights, downloaded if the settings say so.

    Raises:
        UnavailableError: It is not on this machine and not to be downloaded, or the download failed.
        DataError: No file is named, and the one in torch.hub's folder is not the published one; or the file that is named
            cannot be read.
    """
    if reason := _why_absent(weights, config):
        raise UnavailableError(reason)
    path = config.weights or _hub_file(weights)
    if not path.is_file():
        # It is written beside and renamed, so that a second process meets a whole file or none.
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            torch.hub.download_url_to_file(weights.url, str(path), hash_prefix=_digits(weights), progress=False)
        except (URLError, OSError, RuntimeError) as error:
            remedy = f"put the file into {path.parent}, or name it with the setting weights"
            raise UnavailableError(f"{weights.url} could not be downloaded ({error}); {remedy}") from error
    if reason := _why_wrong(weights, config):
        raise DataError(reason)
    return path


def _digits(weights: WeightsEnum) -> str:
    return PurePosixPath(weights.url).stem.rpartition("-")[2]


def _why_absent(weights: WeightsEnum, config: TorchvisionConfig) -> str | None:
    if config.weights is not None:
        return None if config.weights.is_file() else f"{config.weights}, which the setting weights names, is no file"
    path = _hub_file(weights)
    if config.download or path.is_file():
        return None
    return (
        f"the weights of {config.architecture}, {path.name}, are not on this machine; put that file, from {weights.url}, "
        f"into {path.parent}, or name it with the setting weights, or set download = true where there is a network"
    )


def _why_wrong(weights: WeightsEnum, config: TorchvisionConfig) -> str | None:
    """Why the file that is there is not to be taken; ``None`` where it is, or is still to be downloaded."""
    if config.weights is not None:
        return unreadable(config.weights)
    path = _hub_file(weights)
    try:
        if not path.is_file() or is_published(weights, path):
            return None
    except DataError as error:
        return str(error)
    # Results are kept under the name of this file, so that it must be what the name says.
    return (
        f"{path}: its SHA-256 does not begin with {_digits(weights)}; take the file from {weights.url}, or name weights of "
        "your own with the setting weights"
    )


def read_label_names(path: Path) -> tuple[str, ...]:
    """The names in a text file, one a line; empty lines at the end count for nothing.

    Raises:
        DataError: The file cannot be read, or names no class, or one twice.
    """
    try:
        names = tuple(line.strip() for line in path.read_text(encoding="utf-8").rstrip().splitlines())
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{path}: cannot be read as a list of classes ({error})") from error
    if not names or not all(names):
        raise DataError(f"{path}: every line must name a class")
    if repeated := sorted({name for name in names if names.count(name) > 1}):
        raise DataError(f"{path}: names {', '.join(repeated[:10])} more than once")
    return names


def fill(network: nn.Module, path: Path) -> None:
    """Give every parameter and buffer of a network on the meta device its tensor of a file, as float32.

    Raises:
        DataError: The file cannot be read, is no state dict, or is that of another network; the message lists what is wrong.
    """
    state = {_renamed(name): value for name, value in read_tensors(path).items()}
    wanted = network.state_dict()
    missing = [name for name in wanted if name not in state]
    misshapen = [
        f"{name} {tuple(state[name].shape)} instead of {tuple(tensor.shape)}"
        for name, tensor in wanted.items()
        if name in state and state[name].shape != tensor.shape
    ]
    if missing or misshapen:
        found = {"missing": missing, "misshapen": misshapen}
        lists = "; ".join(f"{what}: {', '.join(names[:10])}" for what, names in found.items() if names)
        raise DataError(f"{path}: not the weights of this network with these classes; {lists}")
    kept = {name: state[name].to(tensor.dtype) for name, tensor in wanted.items()}
    network.load_state_dict(kept, assign=True)


def _renamed(name: str) -> str:
    """Torchvision's DenseNet files are of its first version, whose layers are called norm.1 for what is norm1 now."""
    parts = name.split(".")
    if not any(part.startswith("denselayer") for part in parts):
        return name
    for place, part in enumerate(parts[:-2]):
        if part in ("norm", "conv") and parts[place + 1] in ("1", "2"):
            return ".".join([*parts[:place], part + parts[place + 1], *parts[place + 2 :]])
    return name
