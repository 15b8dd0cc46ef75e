"""The two shift-tolerant networks, in the layout of their weight files.

Ghildyal and Liu, "Shift-tolerant Perceptual Similarity Metric", ECCV 2022: AlexNet and VGG16 in which no convolution and no
pooling has a stride; a blur with stride 2 takes its place, so that a shift by a pixel moves the features by a fraction of one.

Shape letters: B batch, C channels of a layer, H/W image, h/w feature map.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from itertools import count
from typing import Literal

import torch
from torch import Tensor, nn

from tamingplat_perceptual.distance import FeatureStack

Backbone = Literal["alex", "vgg"]

_VGG_GROUPS = ((64, 64), (128, 128), (256, 256, 256), (512, 512, 512), (512, 512, 512))


class Blur(nn.Module):
    """A fixed 3×3 blur of every channel with stride 2, the image reflected by two pixels at its border."""

    filt: Tensor

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.register_buffer("filt", torch.empty(channels, 1, 3, 3))

    def forward(self, features: Tensor) -> Tensor:
        """(B, C, h, w) to (B, C, ⌊h/2⌋+1, ⌊w/2⌋+1)."""
        padded = nn.functional.pad(features, (2, 2, 2, 2), mode="reflect")
        return nn.functional.conv2d(padded, self.filt, stride=2, groups=features.shape[1])


def _alex_slices() -> Sequence[Sequence[nn.Module]]:
    return (
        (nn.Conv2d(3, 64, 11, padding=2), Blur(64), nn.ReLU()),
        (nn.MaxPool2d(3, 1), Blur(64), nn.Conv2d(64, 192, 5, padding=2), nn.ReLU()),
        (nn.MaxPool2d(3, 1), Blur(192), nn.Conv2d(192, 384, 3, padding=1), nn.ReLU()),
        (nn.Conv2d(384, 256, 3, padding=1), nn.ReLU()),
        (nn.Conv2d(256, 256, 3, padding=1), nn.ReLU()),
    )


def _vgg_slices() -> Sequence[Sequence[nn.Module]]:
    slices: list[list[nn.Module]] = []
    channels = 3
    for group in _VGG_GROUPS:
        layers: list[nn.Module] = [nn.MaxPool2d(2, 1), Blur(channels)] if slices else []
        for width in group:
            layers += [nn.Conv2d(channels, width, 3, padding=1), nn.ReLU()]
            channels = width
        slices.append(layers)
    return slices


class Scaling(nn.Module):
    """Shift and scale from [-1, 1] to what the backbone was trained on."""

    shift: Tensor
    scale: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("shift", torch.empty(1, 3, 1, 1))
        self.register_buffer("scale", torch.empty(1, 3, 1, 1))

    def forward(self, images: Tensor) -> Tensor:
        """(B, 3, H, W) in [-1, 1] to the same, shifted and scaled per channel."""
        return (images - self.shift) / self.scale


class ShiftTolerantNetwork(FeatureStack):
    """AlexNet or VGG16 with blur-pooled downsampling.

    Args:
        backbone: Which of the two.
        layers: How many of the five slices to have; the feature maps after those are not computed.
    """

    def __init__(self, backbone: Backbone, layers: int = 5) -> None:
        super().__init__()
        slices = _alex_slices() if backbone == "alex" else _vgg_slices()
        number = count()
        self.scaling_layer = Scaling()
        self.net = nn.Sequential()
        self.lins = nn.ParameterList()
        for index, modules in enumerate(slices[:layers]):
            # Weight files number the modules through, over all slices.
            self.net.add_module(
                f"slice{index + 1}", nn.Sequential(OrderedDict((str(next(number)), module) for module in modules))
            )
            width = next(module.out_channels for module in reversed(modules) if isinstance(module, nn.Conv2d))
            self.lins.append(nn.Parameter(torch.empty(1, width, 1, 1)))

    def forward(self, images: Tensor) -> list[Tensor]:
        """float32 (B, 3, H, W) in [-1, 1] to the ReLU output of every slice, float32 (B, C, h, w)."""
        features = [self.scaling_layer(images)]
        for part in self.net:
            features.append(part(features[-1]))
        return features[1:]

    def channel_weights(self) -> list[Tensor]:
        """float32 (1, C, 1, 1) of each slice."""
        return list(self.lins)


def name_in_file(name: str) -> str:
    """The name in a weight file of a parameter or buffer of ``ShiftTolerantNetwork``."""
    group, _, layer = name.partition(".")
    # The weights stand behind a dropout in the file.
    return f"lin{layer}.model.1.weight" if group == "lins" else name
