"""Depth maps.

Shape letters: B batch, C channels, H/W image.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from torch import Tensor

from tamingplat.interfaces import Config, DatasetInfo, MapsInfo
from tamingplat_conditioners.config import DepthConfig
from tamingplat_conditioners.tokenized import TokenizedCondition, as_channels


class DepthCondition(TokenizedCondition):
    """The depth of every pixel as the dataset normalised it, as a grey image."""

    part_name: ClassVar[str] = "depth"

    @classmethod
    def refusal(cls, config: Config, info: DatasetInfo) -> str | None:
        """A dataset without depth is refused."""
        if "depth" in info.columns:
            return None
        return (
            "the dataset gives no depth; set the dataset's setting depth, or take another conditioner for it (matrix.exclude "
            "leaves single cells out)"
        )

    @classmethod
    def maps_info(cls, config: Config, info: DatasetInfo) -> MapsInfo:
        """As large as the image, with ``channels`` channels."""
        assert isinstance(config, DepthConfig)
        return MapsInfo(info.image_size, config.channels)

    @property
    def columns(self) -> tuple[str, ...]:
        """The depth alone."""
        return ("depth",)

    def maps(self, batch: Mapping[str, Tensor]) -> Tensor:
        """``depth``, float (B, 1, H, W) in [0, 1], to float32 (B, C, H, W) in [-1, 1]."""
        assert isinstance(self.config, DepthConfig)
        return as_channels(batch["depth"].float().mul(2).sub(1), self.config.channels)
