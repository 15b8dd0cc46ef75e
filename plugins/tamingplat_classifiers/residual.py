"""A small residual network that is trained on the labels of a dataset.

He, Zhang, Ren and Sun, "Identity Mappings in Deep Residual Networks", ECCV 2016: normalisation and nonlinearity come before
each convolution. Group normalisation stands in for batch normalisation, so that an image's features never depend on its batch.

Shape letters: B batch, C channels, H/W image, h/w feature map, D features, L labels.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from tamingplat.interfaces import Config, DatasetInfo
from tamingplat.interfaces.models import ParameterGroup, TrainedClassifier, without_autocast
from tamingplat_classifiers.config import ResidualConfig


class ResidualBlock(nn.Module):
    """Twice: normalise, swish, 3×3 convolution; added to the input, which a 1×1 convolution fits where shapes differ."""

    def __init__(self, channels: int, width: int, stride: int, groups: int) -> None:
        super().__init__()
        self.norm1 = nn.GroupNorm(groups, channels)
        self.conv1 = nn.Conv2d(channels, width, 3, stride, padding=1, bias=False)
        self.norm2 = nn.GroupNorm(groups, width)
        self.conv2 = nn.Conv2d(width, width, 3, padding=1, bias=False)
        fits = channels == width and stride == 1
        self.shortcut = None if fits else nn.Conv2d(channels, width, 1, stride, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, h, w) to (B, width, h/stride, w/stride)."""
        inner = F.silu(self.norm1(x))
        shortcut: Tensor = x if self.shortcut is None else self.shortcut(inner)
        added: Tensor = self.conv2(F.silu(self.norm2(self.conv1(inner))))
        return shortcut + added


class ResidualClassifier(TrainedClassifier):
    """Stages of residual blocks, the mean over space, and a linear layer; trained with the cross-entropy of the labels."""

    def __init__(self, config: Config, parts: Mapping[str, Any], info: DatasetInfo) -> None:
        super().__init__(config, parts, info)
        assert isinstance(config, ResidualConfig)
        self._config = config
        channels = config.width
        self.stem = nn.Conv2d(info.channels, channels, 3, padding=1, bias=False)
        blocks: list[nn.Module] = []
        for stage in range(config.stages):
            width = config.width * 2**stage
            for block in range(config.blocks):
                blocks.append(ResidualBlock(channels, width, 2 if stage and not block else 1, config.norm_groups))
                channels = width
        self.blocks = nn.Sequential(*blocks)
        self.norm = nn.GroupNorm(config.norm_groups, channels)
        self.head = nn.Linear(channels, len(self.label_names))
        self._dimensions = channels

    @property
    def dimensions(self) -> int:
        """D, the width of the last stage."""
        return self._dimensions

    def phase_parameters(self, phase: str) -> Iterable[ParameterGroup]:
        """Weights decay; gains and biases do not."""
        assert phase in self.phases, phase
        trained = [parameter for parameter in self.parameters() if parameter.requires_grad]
        yield ParameterGroup(tuple(parameter for parameter in trained if parameter.dim() > 1))
        yield ParameterGroup(tuple(parameter for parameter in trained if parameter.dim() == 1), decay=False)

    def forward(self, batch: Any, *, step: int, phase: str, generator: torch.Generator | None) -> dict[str, Tensor]:
        """``total``, the cross-entropy in nats per image, and ``accuracy``, the share of images whose likeliest class is right.

        Args:
            batch: ``image``, float (B, C, H, W) in [-1, 1], and ``label``, int64 (B,).
            step: Of no influence.
            phase: ``main``.
            generator: Draws the dropout, which ``None`` turns off.
        """
        features, labels = self._features(batch["image"]), batch["label"]
        share = self._config.dropout
        if self.training and share and generator is not None:
            features = features * torch.empty_like(features).bernoulli_(1 - share, generator=generator) / (1 - share)
        logits = self.head(features).float()
        smoothing = self._config.label_smoothing if self.training else 0.0
        return {
            "total": F.cross_entropy(logits, labels, label_smoothing=smoothing),
            "accuracy": (logits.detach().argmax(1) == labels).float().mean(),
        }

    @torch.no_grad()
    def features(self, images: Tensor) -> Tensor:
        """uint8 (B, C, H, W) to float32 (B, D), in float32 also under autocast."""
        with without_autocast(images.device):
            return self._features(images.float().div(127.5).sub(1))

    @torch.no_grad()
    def log_probabilities(self, images: Tensor) -> Tensor:
        """uint8 (B, C, H, W) to float32 (B, L), in float32 also under autocast."""
        with without_autocast(images.device):
            logits: Tensor = self.head(self.features(images))
            return logits.log_softmax(1)

    def _features(self, images: Tensor) -> Tensor:
        """float (B, C, H, W) in [-1, 1] to (B, D)."""
        features: Tensor = F.silu(self.norm(self.blocks(self.stem(images)))).mean((2, 3))
        return features
