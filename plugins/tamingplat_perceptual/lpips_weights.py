"""Where LPIPS's weights are: the backbones are torchvision's, the linear layers come with the ``lpips`` package."""

from __future__ import annotations

from importlib import metadata
from pathlib import Path

from torchvision.models import WeightsEnum

from tamingplat.interfaces import UnavailableError
from tamingplat.interfaces.models import PublishedWeights
from tamingplat_perceptual.config import LpipsConfig


def why_missing(weights: WeightsEnum, config: LpipsConfig) -> str | None:
    """Why the backbone's weights cannot be had, and which file to put where; ``None`` where they can. Downloads nothing."""
    return _published(weights).why_missing(config.weights, download=config.download)


def backbone_file(weights: WeightsEnum, config: LpipsConfig) -> Path:
    """The file with the backbone's weights, downloaded if the settings say so.

    Raises:
        UnavailableError: It is not on this machine and not to be downloaded, or the download failed.
        DataError: No file is named, and the one in torch.hub's folder is not the published one; or the file that is named
            cannot be read.
    """
    return _published(weights).find(config.weights, download=config.download)


def _published(weights: WeightsEnum) -> PublishedWeights:
    return PublishedWeights(weights.url, "the backbone's weights")


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
