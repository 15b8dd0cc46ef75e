"""Where LPIPS's weights are: the backbones are torchvision's, the linear layers come with the ``lpips`` package."""

from __future__ import annotations

from importlib import metadata
from pathlib import Path, PurePosixPath
from urllib.error import URLError

import torch
from torchvision.models import WeightsEnum

from tamingplat.interfaces import DataError, UnavailableError
from tamingplat.interfaces.models import file_digest, unreadable
from tamingplat_perceptual.config import LpipsConfig


def _file_name(weights: WeightsEnum) -> str:
    return PurePosixPath(weights.url).name


def _hub_folder() -> Path:
    return Path(torch.hub.get_dir()) / "checkpoints"


def why_missing(weights: WeightsEnum, config: LpipsConfig) -> str | None:
    """Why the backbone's weights cannot be had, and which file to put where; ``None`` where they can. Downloads nothing."""
    return _why_absent(weights, config) or _why_wrong(weights, config)


def _why_absent(weights: WeightsEnum, config: LpipsConfig) -> str | None:
    if config.weights is not None:
        return None if config.weights.is_file() else f"{config.weights}, which the setting weights names, is no file"
    if config.download or (_hub_folder() / _file_name(weights)).is_file():
        return None
    return (
        f"the backbone's weights, {_file_name(weights)}, are not on this machine; put that file, from {weights.url}, "
        f"into {_hub_folder()}, or name it with the setting weights, or set download = true where there is a network"
    )


def _why_wrong(weights: WeightsEnum, config: LpipsConfig) -> str | None:
    """Why the file that is there is not to be taken; ``None`` where it is, or is still to be downloaded."""
    if config.weights is not None:
        return unreadable(config.weights)
    path = _hub_folder() / _file_name(weights)
    try:
        if not path.is_file() or file_digest(path).startswith(_digits(path)):
            return None
    except DataError as error:
        return str(error)
    # Results are kept under the name of this file, so that it must be what the name says.
    return (
        f"{path}: its SHA-256 does not begin with {_digits(path)}; take the file from {weights.url}, "
        "or name weights of your own with the setting weights"
    )


def backbone_file(weights: WeightsEnum, config: LpipsConfig) -> Path:
    """The file with the backbone's weights, downloaded if the settings say so.

    Raises:
        UnavailableError: It is not on this machine and not to be downloaded, or the download failed.
        DataError: No file is named, and the one in torch.hub's folder is not the published one; or the file that is named
            cannot be read.
    """
    if reason := _why_absent(weights, config):
        raise UnavailableError(reason)
    path = config.weights or _hub_folder() / _file_name(weights)
    if not path.is_file():
        _download(weights, path)
    if reason := _why_wrong(weights, config):
        raise DataError(reason)
    return path


def _digits(path: Path) -> str:
    """The first eight digits of the published content's SHA-256, in which the name of a file of torchvision ends."""
    return path.stem.rpartition("-")[2]


def _download(weights: WeightsEnum, path: Path) -> None:
    # It is written beside and renamed, so that a second process meets a whole file or none.
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        torch.hub.download_url_to_file(weights.url, str(path), hash_prefix=_digits(path), progress=False)
    except (URLError, OSError, RuntimeError) as error:
        raise UnavailableError(
            f"{weights.url} could not be downloaded ({error}); "
            f"put the file into {path.parent}, or name it with the setting weights"
        ) from error


def linear_layers_file(net: str) -> Path:
    """The file of the ``lpips`` package with the linear layers, version 0.1, for one backbone.

    Raises:
        UnavailableError: The package is installed without it.
    """
    distribution = metadata.distribution("lpips")
    for file in distribution.files or ():
        if file.as_posix() == f"lpips/weights/v0.1/{net}.pth":
            return Path(str(distribution.locate_file(file)))
    raise UnavailableError(
        f"lpips {distribution.version} is installed without lpips/weights/v0.1/{net}.pth; "
        "pip install --force-reinstall --no-deps lpips"
    )
