"""The image at a lower resolution, for stochastic super-resolution.

Shape letters: B batch, C channels, H/W image, h/w map.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

import torch.nn.functional as F
from torch import Tensor

from tamingplat.interfaces import Config, DatasetInfo, MapsInfo
from tamingplat_conditioners.config import LowResolutionConfig
from tamingplat_conditioners.tokenized import TokenizedCondition


class LowResolutionCondition(TokenizedCondition):
    """The image, every ``factor`` × ``factor`` pixels averaged into one."""

    part_name: ClassVar[str] = "low-resolution"

    @classmethod
    def refusal(cls, config: Config, info: DatasetInfo) -> str | None:
        """Images whose sides are no multiple of the factor are refused."""
        assert isinstance(config, LowResolutionConfig)
        height, width = info.image_size
        if height % config.factor or width % config.factor:
            return f"images of {height}×{width} pixels are not divisible by factor {config.factor}; change size or factor"
        return None

    @classmethod
    def maps_info(cls, config: Config, info: DatasetInfo) -> MapsInfo:
        """The image's channels and, unless it is enlarged again, its size divided by the factor."""
        assert isinstance(config, LowResolutionConfig)
        height, width = info.image_size
        size = (height, width) if config.enlarge else (height // config.factor, width // config.factor)
        return MapsInfo(size, info.channels)

    @property
    def columns(self) -> tuple[str, ...]:
        """The image alone."""
        return ("image",)

    def maps(self, batch: Mapping[str, Tensor]) -> Tensor:
        """``image``, uint8 (B, C, H, W), to float32 (B, C, h, w) in [-1, 1]."""
        assert isinstance(self.config, LowResolutionConfig)
        factor = self.config.factor
        averaged = F.avg_pool2d(batch["image"].float(), factor).div(127.5).sub(1)
        return F.interpolate(averaged, scale_factor=factor, mode="nearest") if self.config.enlarge else averaged
