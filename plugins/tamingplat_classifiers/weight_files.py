"""Files of a pretrained network: its weights, on this machine or downloaded, and the names of its classes."""

from __future__ import annotations

from pathlib import Path

from torch import nn
from torchvision.models import WeightsEnum

from tamingplat.interfaces import DataError
from tamingplat.interfaces.models import PublishedWeights, read_tensors
from tamingplat_classifiers.config import TorchvisionConfig


def is_published(weights: WeightsEnum, path: Path) -> bool:
    """Whether a file's content is what torchvision publishes: its file's name ends in the first digits of the SHA-256.

    Raises:
        DataError: The file cannot be read.
    """
    return PublishedWeights(weights.url).is_published(path)


def why_missing(weights: WeightsEnum, config: TorchvisionConfig) -> str | None:
    """Why the weights cannot be had, and which file to put where; ``None`` where they can. Downloads nothing."""
    return _published(weights, config).why_missing(config.weights, download=config.download)


def weight_file(weights: WeightsEnum, config: TorchvisionConfig) -> Path:
    """The file with the weights, downloaded if the settings say so.

    Raises:
        UnavailableError: It is not on this machine and not to be downloaded, or the download failed.
        DataError: No file is named, and the one in torch.hub's folder is not the published one; or the file that is named
            cannot be read.
    """
    return _published(weights, config).find(config.weights, download=config.download)


def _published(weights: WeightsEnum, config: TorchvisionConfig) -> PublishedWeights:
    return PublishedWeights(weights.url, f"the weights of {config.architecture}")


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
