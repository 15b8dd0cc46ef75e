"""Torchvision's pretrained classifiers.

Shape letters: B batch, H/W image, D features, L labels.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torchvision.models import WeightsEnum, get_model, get_model_weights
from torchvision.transforms.functional import InterpolationMode, center_crop, normalize, resize

from tamingplat.interfaces import Config, DataError, TamingplatError
from tamingplat.interfaces.models import Classifier, without_autocast
from tamingplat_classifiers.config import TorchvisionConfig
from tamingplat_classifiers.weight_files import fill, is_published, read_label_names, weight_file, why_missing

_OF_LPIPS = ("alexnet", "vgg16")


class TorchvisionClassifier(Classifier):
    """A network of torchvision by the name of its architecture, whose weights are read at first use.

    Images are resized and cropped as its training wanted them, with an antialiased filter, and normalised.

    Raises:
        TamingplatError: Torchvision has no such weights of the architecture, or it does not take images of the size.
        DataError: The file with the classes cannot be read.
    """

    config: TorchvisionConfig

    def __init__(self, config: Config, parts: Mapping[str, Any]) -> None:
        super().__init__(config, parts)
        assert isinstance(config, TorchvisionConfig)
        self._weights = _find(config)
        if reason := _wrong_size(config, self._weights):
            raise TamingplatError(reason)
        given = config.label_file
        names = self._weights.meta["categories"] if given is None else read_label_names(given)
        self._label_names: tuple[str, ...] = tuple(names)
        self._network: tuple[nn.Module, nn.Linear] | None = None

    @property
    def label_names(self) -> tuple[str, ...]:
        """Those of the file with the classes, else torchvision's ImageNet names, of which two occur twice."""
        return self._label_names

    @property
    def families(self) -> frozenset[str]:
        """LPIPS has torchvision's weights of two architectures, whatever their file is called here.

        Weights of one's own are told from them by their content; a file that cannot be read has them.
        """
        if self.config.architecture not in _OF_LPIPS:
            return frozenset()
        try:
            other = self.config.weights is not None and not is_published(self._weights, self.config.weights)
        except DataError:
            other = False
        return frozenset(() if other else {"lpips"})

    @property
    def seen_splits(self) -> tuple[str, ...]:
        """What the settings say."""
        return self.config.trained_on

    @property
    def dimensions(self) -> int:
        """Inputs of the last linear layer."""
        return self._skeleton()[1].in_features

    def missing(self) -> str | None:
        """Why the weights cannot be had here, and what to do; ``None`` where they can."""
        return why_missing(self._weights, self.config)

    def features(self, images: Tensor) -> Tensor:
        """uint8 (B, 3, H, W) to float32 (B, D), in float32 also under autocast.

        Raises:
            UnavailableError: The weights are not on this machine.
            DataError: The weight file cannot be read, or is of another network.
            TamingplatError: The images have not three channels.
        """
        if images.dim() != 4 or images.shape[1] != 3:
            raise TamingplatError(f"{self.config.architecture} takes colour images (B, 3, H, W), not {tuple(images.shape)}")
        body, _ = self._on(images.device)
        with torch.no_grad(), without_autocast(images.device):
            features: Tensor = body(self._prepared(images))
            return features

    def log_probabilities(self, images: Tensor) -> Tensor:
        """uint8 (B, 3, H, W) to float32 (B, L); errors as in ``features``."""
        features = self.features(images)
        _, head = self._on(images.device)
        with torch.no_grad(), without_autocast(images.device):
            logits: Tensor = head(features)
            return logits.log_softmax(1)

    def _prepared(self, images: Tensor) -> Tensor:
        """uint8 (B, 3, H, W) as the network wants them, float32."""
        preset = self._weights.transforms()
        side, crop = preset.resize_size[0], preset.crop_size[0]
        interpolation = preset.interpolation
        if self.config.size is not None:
            side = crop = self.config.size
            interpolation = InterpolationMode.BILINEAR
        if min(images.shape[2:]) != side:
            images = resize(images, [side], interpolation=interpolation, antialias=True)
        cropped = center_crop(images, [crop])
        prepared: Tensor = normalize(cropped.float().div(255), mean=preset.mean, std=preset.std)
        return prepared

    def _skeleton(self) -> tuple[nn.Module, nn.Linear]:
        """The network without its last layer, and that layer; without memory for weights."""
        with torch.device("meta"):
            network = get_model(self.config.architecture, weights=None, num_classes=len(self._label_names))
        return _cut(network)

    def _on(self, device: torch.device) -> tuple[nn.Module, nn.Linear]:
        """The network without its last layer, and that layer, on a device and in eval mode."""
        if self._network is None:
            # Made in inference mode, weights could not be moved to another device in place later on.
            with torch.inference_mode(False):
                with torch.device("meta"):
                    network = get_model(self.config.architecture, weights=None, num_classes=len(self._label_names))
                fill(network, weight_file(self._weights, self.config))
                self._network = _cut(network.eval().requires_grad_(False))
        body, head = self._network
        if head.weight.device != device:
            with torch.inference_mode(False):
                self._network = body.to(device), head.to(device)
        return self._network


def _find(config: TorchvisionConfig) -> WeightsEnum:
    """The weights that the settings name."""
    known = get_model_weights(config.architecture)
    for weights in known:
        if weights.name == config.pretraining:
            return weights
    there = ", ".join(weights.name for weights in known)
    raise TamingplatError(f"torchvision has no {config.pretraining} of {config.architecture}, but {there}; set pretraining")


def _wrong_size(config: TorchvisionConfig, weights: WeightsEnum) -> str | None:
    """Why an architecture does not take images of the size that the settings name; ``None`` where it does."""
    if config.size is None or config.architecture.startswith("swin"):
        return None
    least = max(weights.meta["min_size"])
    if config.architecture.startswith("vit"):
        # Its positions are learned ones, of one grid.
        wanted = weights.transforms().crop_size[0]
        return None if config.size == wanted else f"{config.architecture} takes {wanted}×{wanted} pixels alone; leave size out"
    if config.size < least:
        return f"{config.architecture} needs {least}×{least} pixels; set size to {least} or more, or leave it out"
    return None


def _cut(network: nn.Module) -> tuple[nn.Module, nn.Linear]:
    """A network whose last linear layer is taken out, and that layer."""
    name, head = [(name, module) for name, module in network.named_modules() if isinstance(module, nn.Linear)][-1]
    network.set_submodule(name, nn.Identity())
    return network, head
