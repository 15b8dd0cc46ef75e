"""Shift-tolerant LPIPS, and features of its VGG16, from the weights that the package stlpips-pytorch carries.

The package is taken for its weight files alone: it is found through its metadata, and its modules, which need packages that it
does not declare, are never imported.

Shape letters: B batch, H/W image.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from tamingplat.interfaces import Config, DataError, UnavailableError
from tamingplat.interfaces.models import FeatureExtractor, file_digest, read_tensors, unreadable, without_autocast
from tamingplat_perceptual.config import ShiftTolerantConfig
from tamingplat_perceptual.distance import LayeredPerceptual
from tamingplat_perceptual.frozen import FrozenModule, check_images, fill
from tamingplat_perceptual.shift_tolerant_network import Backbone, ShiftTolerantNetwork, name_in_file

_DISTRIBUTION = "stlpips-pytorch"
_VERSION = "0.0.2"
_INSTALL = "pip install 'tamingplat[st]'"

# Between pictures these distances have LPIPS's scale. The package's authors publish 0.778 (alex) for the first example pair of
# LPIPS's repository, and we compute 0.778 and 0.132 for its two pairs (vgg: 0.652, 0.136). Between the embedded dataset's
# images of 24 to 64 pixels and the same enlarged from a quarter of their side we measure 0.44 to 0.56 (vgg: 0.34 to 0.44),
# between different images 0.18 to 0.21 (vgg: 0.12 to 0.18). Only white noise, which the blur takes away, counts for far less
# than with LPIPS, some fifty times less, and a weight of fifty would suit noise alone: a VQGAN trained for 250 steps on the
# embedded dataset with st-alex weighed 50 instead of 1 reconstructs validation images with an absolute error of 0.59 instead
# of 0.36, a distance by st-vgg of 0.30 instead of 0.28, and one by st-alex itself of 0.14 instead of 0.15.
_WEIGHT = 1.0


@dataclass(frozen=True)
class PackagedFile:
    """A weight file of the distribution.

    Attributes:
        path: Inside the distribution.
        sha256: Of its content.
    """

    path: str
    sha256: str


_FILES: Mapping[Backbone, PackagedFile] = {
    "alex": PackagedFile(
        "stlpips_pytorch/weights/vST0.0/alex_shift_tolerant.pth",
        "b356b382f96010f77d085ee8343ecd9fd322d0a56e8de2b2d0549fafcad8b9ee",
    ),
    "vgg": PackagedFile(
        "stlpips_pytorch/weights/vST0.0/vgg_shift_tolerant.pth",
        "44597da68f49c1837c100ff52299050f274d102eb102e5837178c79be6f0e250",
    ),
}


def _packaged(backbone: Backbone) -> Path:
    remedy = f"{_INSTALL}, or name the file {Path(_FILES[backbone].path).name} with the setting weights"
    try:
        distribution = metadata.distribution(_DISTRIBUTION)
    except metadata.PackageNotFoundError as error:
        raise UnavailableError(f"the weights come with {_DISTRIBUTION} {_VERSION}, which is not installed; {remedy}") from error
    if distribution.version != _VERSION:
        raise UnavailableError(
            f"the weights come with {_DISTRIBUTION} {_VERSION}, and {distribution.version} is installed; {remedy}"
        )
    for file in distribution.files or ():
        if file.as_posix() == _FILES[backbone].path:
            path = Path(str(distribution.locate_file(file)))
            if path.is_file():
                return path
    raise UnavailableError(f"{_DISTRIBUTION} {_VERSION} is installed without {_FILES[backbone].path}; {remedy}")


def _find(backbone: Backbone, config: Config) -> Path:
    """The file with the weights.

    Raises:
        UnavailableError: It is not on this machine, or the distribution has another one.
        DataError: The file that the settings name, or the distribution's, cannot be read.
    """
    assert isinstance(config, ShiftTolerantConfig)
    if config.weights is None:
        path = _packaged(backbone)
        if file_digest(path) != _FILES[backbone].sha256:
            raise UnavailableError(
                f"{path} is not the file of {_DISTRIBUTION} {_VERSION}; "
                f"pip install --force-reinstall --no-deps {_DISTRIBUTION}=={_VERSION}"
            )
        return path
    if not config.weights.is_file():
        raise UnavailableError(f"{config.weights}, which the setting weights names, is no file")
    if reason := unreadable(config.weights):
        raise DataError(reason)
    return config.weights


def _missing(backbone: Backbone, config: Config) -> str | None:
    try:
        _find(backbone, config)
    except (UnavailableError, DataError) as error:
        return str(error)
    return None


def _load(backbone: Backbone, config: Config, layers: int = 5) -> ShiftTolerantNetwork:
    path = _find(backbone, config)
    with torch.device("meta"):
        network = ShiftTolerantNetwork(backbone, layers)
    fill(network, read_tensors(path), path, name_in_file)
    return network


class ShiftTolerantVGG(LayeredPerceptual):
    """Shift-tolerant LPIPS with a VGG16."""

    name = "st-vgg"
    smallest = 24

    def skeleton(self) -> ShiftTolerantNetwork:
        """The network without its weights."""
        return ShiftTolerantNetwork("vgg")

    def load(self) -> ShiftTolerantNetwork:
        """The network with its weights; errors as in ``LayeredPerceptual.load``."""
        return _load("vgg", self.config)

    def missing(self) -> str | None:
        """Why the weights cannot be had here, and what to do; ``None`` where they can."""
        return _missing("vgg", self.config)

    @property
    def default_weight(self) -> float:
        """The weight that gives this distance about the scale of LPIPS."""
        return _WEIGHT


class ShiftTolerantAlex(LayeredPerceptual):
    """Shift-tolerant LPIPS with an AlexNet."""

    name = "st-alex"
    smallest = 24

    def skeleton(self) -> ShiftTolerantNetwork:
        """The network without its weights."""
        return ShiftTolerantNetwork("alex")

    def load(self) -> ShiftTolerantNetwork:
        """The network with its weights; errors as in ``LayeredPerceptual.load``."""
        return _load("alex", self.config)

    def missing(self) -> str | None:
        """Why the weights cannot be had here, and what to do; ``None`` where they can."""
        return _missing("alex", self.config)

    @property
    def default_weight(self) -> float:
        """The weight that gives this distance about the scale of LPIPS."""
        return _WEIGHT


class ShiftTolerantVGGFeatures(FeatureExtractor):
    """Spatial means of relu3_3 of the shift-tolerant VGG16; images whose shorter side is under 32 pixels are enlarged to it."""

    _SIDE = 32

    def __init__(self, config: Config, parts: Mapping[str, Any]) -> None:
        super().__init__(config, parts)
        self._network = FrozenModule(
            load=lambda: _load("vgg", config, layers=3), skeleton=lambda: ShiftTolerantNetwork("vgg", layers=3)
        )

    def missing(self) -> str | None:
        """Why the weights cannot be had here, and what to do; ``None`` where they can."""
        return _missing("vgg", self.config)

    @property
    def dimensions(self) -> int:
        """256, the channels of relu3_3."""
        return 256

    def features(self, images: Tensor) -> Tensor:
        """uint8 (B, 3, H, W) to float32 (B, 256).

        Raises:
            TamingplatError: The images have not three channels.
            UnavailableError: The weights are not on this machine.
            DataError: The weight file cannot be read, or is of another network.
        """
        check_images("st-vgg", images, 1)
        network = self._network.on(images.device)
        height, width = images.shape[2:]
        with torch.no_grad(), without_autocast(images.device):
            scaled = images.float() / 127.5 - 1
            if min(height, width) < self._SIDE:
                enlarge = self._SIDE / min(height, width)
                size = (round(height * enlarge), round(width * enlarge))
                scaled = nn.functional.interpolate(scaled, size=size, mode="bilinear", align_corners=False)
            relu3_3: Tensor = network(scaled)[2]
            return relu3_3.mean(dim=(2, 3))
