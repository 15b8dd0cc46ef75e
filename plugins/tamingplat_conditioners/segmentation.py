"""Segmentation maps.

Shape letters: B batch, C classes, H/W image.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

import torch
from torch import Tensor

from tamingplat.interfaces import Config, DatasetInfo, MapsInfo
from tamingplat_conditioners.tokenized import TokenizedCondition


class SegmentationCondition(TokenizedCondition):
    """The class of every pixel, which the condition's tokenizer sees as one channel for each class."""

    part_name: ClassVar[str] = "segmentation"

    @classmethod
    def refusal(cls, config: Config, info: DatasetInfo) -> str | None:
        """A dataset without segmentation maps is refused."""
        if "segmentation" in info.columns and info.segmentation_classes is not None:
            return None
        return (
            "the dataset gives no segmentation; set the dataset's setting segmentation, or take another conditioner for it "
            "(matrix.exclude leaves single cells out)"
        )

    @classmethod
    def maps_info(cls, config: Config, info: DatasetInfo) -> MapsInfo:
        """As large as the image, with a channel for each class."""
        assert info.segmentation_classes is not None, "refused without segmentation"
        return MapsInfo(info.image_size, info.segmentation_classes)

    @property
    def columns(self) -> tuple[str, ...]:
        """The class map alone."""
        return ("segmentation",)

    def maps(self, batch: Mapping[str, Tensor]) -> Tensor:
        """``segmentation``, integers (B, H, W), to one-hot float32 (B, C, H, W) in {0, 1}."""
        assert self.info.segmentation_classes is not None
        numbers = batch["segmentation"].long()[:, None]
        # Written where it belongs: F.one_hot would make 8 bytes of every class and pixel, and then a copy of 4.
        shape = (len(numbers), self.info.segmentation_classes, *numbers.shape[2:])
        return torch.zeros(shape, dtype=torch.float32, device=numbers.device).scatter_(1, numbers, 1.0)
