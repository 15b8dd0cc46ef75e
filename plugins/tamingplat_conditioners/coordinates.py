"""Where in the whole image something is: what windows that slide over an aligned image are conditioned on.

Shape letters: B batch, H/W image, h/w token grid, P = h·w condition positions.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from tamingplat.interfaces import ConditionLayout, ConditionPart, Config, DatasetInfo
from tamingplat.interfaces.models import Conditioner
from tamingplat_conditioners.config import CoordinatesConfig


class CoordinatesCondition(Conditioner):
    """The raster index of every pixel divided by their number, averaged over each code's square and quantized.

    With K tokens the average v in [0, 1) becomes K·v, rounded as in the reference implementation, and at most K − 1. The null
    token is K.
    """

    def __init__(self, config: Config, parts: Mapping[str, Any], info: DatasetInfo) -> None:
        super().__init__(config, parts, info)
        assert isinstance(config, CoordinatesConfig)
        self._factor, self._tokens, self._frame = 2**config.downsampling, config.tokens, config.frame
        self._dropout = config.dropout

    @classmethod
    def refusal(cls, config: Config, info: DatasetInfo) -> str | None:
        """Images whose sides are no multiple of the square are refused, and a dataset that does not say where it cropped."""
        assert isinstance(config, CoordinatesConfig)
        (height, width), factor = info.image_size, 2**config.downsampling
        if height % factor or width % factor:
            return (
                f"images of {height}×{width} pixels are not divisible by {factor}, which is 2^downsampling; lower downsampling"
            )
        if config.frame == "original" and "coordinates" not in info.columns:
            return (
                "the dataset does not say what its images were cropped from; set the dataset's setting coordinates = true, or "
                'frame = "image" where its images are whole'
            )
        return None

    @property
    def dropout(self) -> float:
        """The settings' share."""
        return self._dropout

    @property
    def columns(self) -> tuple[str, ...]:
        """The dataset's coordinates, or the image for the number of examples."""
        return ("coordinates",) if self._frame == "original" else ("image",)

    @property
    def contents(self) -> tuple[str, ...]:
        """The dataset's coordinates; nothing of an image that is whole."""
        return ("coordinates",) if self._frame == "original" else ()

    def derive(self, batch: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """``coordinates``, float32 (B, 1, H, W) in [0, 1)."""
        if self._frame == "original":
            return {"coordinates": batch["coordinates"]}
        height, width = self.info.image_size
        index = torch.arange(height * width, dtype=torch.float64).div(height * width).float()
        return {"coordinates": index.view(1, 1, height, width).expand(len(batch["image"]), -1, -1, -1)}

    def layout(self, image_size: tuple[int, int]) -> ConditionLayout:
        """One part, a grid of a token for each square."""
        height, width = image_size
        return (ConditionPart("coordinates", self._tokens + 1, (height // self._factor, width // self._factor)),)

    def encode(self, batch: Mapping[str, Tensor]) -> Tensor:
        """``coordinates``, float (B, 1, H, W) in [0, 1), to int64 (B, P)."""
        averaged = F.avg_pool2d(batch["coordinates"], self._factor)
        return averaged.mul(self._tokens).round().long().clamp(0, self._tokens - 1).flatten(1)

    def null(self, batch: int) -> Tensor:
        """K at every position, int64 (B, P)."""
        (part,) = self.layout(self.info.image_size)
        return torch.full((batch, part.length), self._tokens)
