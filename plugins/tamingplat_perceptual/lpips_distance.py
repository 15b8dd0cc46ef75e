"""LPIPS with the networks and linear layers of the ``lpips`` package and the backbone weights of torchvision.

Always in eval mode. LPIPS's linear layers carry a dropout of one half, which the reference implementation of VQGAN leaves
active while a tokenizer trains; here it never is.

Shape letters: B batch, C channels of a layer, H/W image, h/w feature map.
"""

from __future__ import annotations

import warnings
from typing import ClassVar, Literal

import lpips
import torch
from torch import Tensor
from torchvision import models

from tamingplat.interfaces.models import read_tensors
from tamingplat_perceptual.config import LpipsConfig
from tamingplat_perceptual.distance import FeatureStack, LayeredPerceptual
from tamingplat_perceptual.frozen import fill
from tamingplat_perceptual.lpips_weights import backbone_file, linear_layers_file, why_missing


class LpipsNetwork(FeatureStack):
    """The modules of ``lpips.LPIPS``.

    Args:
        net: The backbone.
    """

    def __init__(self, net: Literal["vgg", "alex", "squeeze"]) -> None:
        super().__init__()
        # Made without weights: the package would download the backbone's and print. It asks torchvision in a way that
        # torchvision warns of, which nobody who reads the warning could change.
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", category=UserWarning, module=r"torchvision\.models\._utils")
            self.lpips = lpips.LPIPS(pretrained=False, net=net, pnet_rand=True, verbose=False)

    def forward(self, images: Tensor) -> list[Tensor]:
        """float32 (B, 3, H, W) in [-1, 1] to one float32 (B, C, h, w) per layer."""
        return list(self.lpips.net(self.lpips.scaling_layer(images)))

    def channel_weights(self) -> list[Tensor]:
        """float32 (1, C, 1, 1) of each layer."""
        return [layer.model[-1].weight for layer in self.lpips.lins]


class Lpips(LayeredPerceptual):
    """LPIPS version 0.1; a class of its own for each backbone."""

    net: ClassVar[Literal["vgg", "alex", "squeeze"]]
    """The backbone, as the ``lpips`` package names it."""

    weights: ClassVar[models.WeightsEnum]
    """The backbone's weights, which LPIPS was trained on."""

    @property
    def _settings(self) -> LpipsConfig:
        assert isinstance(self.config, LpipsConfig)
        return self.config

    def missing(self) -> str | None:
        """Why the backbone's weights cannot be had here, and which file to put where; ``None`` where they can."""
        return why_missing(self.weights, self._settings)

    @property
    def default_weight(self) -> float:
        """One: LPIPS is the scale."""
        return 1.0

    def skeleton(self) -> LpipsNetwork:
        """The network without its weights."""
        return LpipsNetwork(self.net)

    def load(self) -> LpipsNetwork:
        """The network with its weights; errors as in ``LayeredPerceptual.load``."""
        backbone, layers = backbone_file(self.weights, self._settings), linear_layers_file(self.net)
        with torch.device("meta"):
            network = self.skeleton()
        # The package keeps torchvision's numbers and puts the modules into slices: slice3.10.weight is features.10.weight.
        fill(network.lpips.net, read_tensors(backbone), backbone, lambda name: f"features.{name.partition('.')[2]}")
        fill(network.lpips.lins, read_tensors(layers), layers, lambda name: f"lin{name}")
        return network


class LpipsVGG(Lpips):
    """LPIPS with VGG16."""

    name = "lpips-vgg"
    net = "vgg"
    weights = models.VGG16_Weights.IMAGENET1K_V1
    smallest = 16


class LpipsAlex(Lpips):
    """LPIPS with AlexNet."""

    name = "lpips-alex"
    net = "alex"
    weights = models.AlexNet_Weights.IMAGENET1K_V1
    smallest = 31


class LpipsSqueeze(Lpips):
    """LPIPS with SqueezeNet 1.1."""

    name = "lpips-squeeze"
    net = "squeeze"
    weights = models.SqueezeNet1_1_Weights.IMAGENET1K_V1
    smallest = 17
