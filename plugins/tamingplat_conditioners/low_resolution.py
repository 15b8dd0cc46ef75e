"""The image at a lower resolution, for stochastic super-resolution.

Shape letters: B batch, C channels, H/W image, h/w map.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
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

    @property
    def own_maps(self) -> Mapping[str, MapsInfo]:
        """``low-resolution``: the small image, with the image's channels."""
        assert isinstance(self.config, LowResolutionConfig)
        height, width = self.info.image_size
        return {"low-resolution": MapsInfo((height // self.config.factor, width // self.config.factor), self.info.channels)}

    def contents_beside(self, own: Collection[str]) -> tuple[str, ...]:
        """Nothing where there is a small image."""
        return () if "low-resolution" in own else self.contents

    def derive_beside(self, batch: Mapping[str, Tensor], own: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """``low-resolution``, uint8 (B, C, H/factor, W/factor), where it is given."""
        return {"low-resolution": own["low-resolution"]} if "low-resolution" in own else self.derive(batch)

    def maps(self, batch: Mapping[str, Tensor]) -> Tensor:
        """``image``, uint8 (B, C, H, W), or what it averages to, to float32 (B, C, h, w) in [-1, 1]."""
        assert isinstance(self.config, LowResolutionConfig)
        factor, given = self.config.factor, batch.get("low-resolution")
        small = F.avg_pool2d(batch["image"].float(), factor) if given is None else given.float()
        averaged = small.div(127.5).sub(1)
        return F.interpolate(averaged, scale_factor=factor, mode="nearest") if self.config.enlarge else averaged
