"""What all conditions share that go through a tokenizer of their own.

Shape letters: B batch, C/H/W map, P condition positions.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, ClassVar

import torch
from torch import Tensor

from tamingplat.interfaces import CodeSpace, ConditionLayout, ConditionPart, Config, DatasetInfo, MapsInfo
from tamingplat.interfaces.models import Conditioner, Tokenizer
from tamingplat_conditioners.config import SpatialConfig


class TokenizedCondition(Conditioner):
    """The codes of a map, one part for each grid of its tokenizer (Sec. 3.2 of the paper).

    With K codes, token K is the null token of every part.
    """

    settings_beside_maps = ("tokenizer", "dropout")
    part_name: ClassVar[str]

    def __init__(self, config: Config, parts: Mapping[str, Any], info: DatasetInfo) -> None:
        super().__init__(config, parts, info)
        assert isinstance(config, SpatialConfig)
        self._dropout = config.dropout
        self._tokenizer: Tokenizer = parts["tokenizer"]

    @classmethod
    @abstractmethod
    def maps_info(cls, config: Config, info: DatasetInfo) -> MapsInfo:
        """The images that the condition's tokenizer sees."""

    @property
    def dropout(self) -> float:
        """The settings' share."""
        return self._dropout

    def _space(self, image_size: tuple[int, int]) -> CodeSpace:
        """The codes of the map of an image of this size."""
        return self._tokenizer.code_space(self.maps_info(self.config, replace(self.info, image_size=image_size)).image_size)

    def layout(self, image_size: tuple[int, int]) -> ConditionLayout:
        """One part for each grid of the map's codes.

        Raises:
            TamingplatError: The tokenizer takes no maps of this size.
        """
        space = self._space(image_size)
        names = [self.part_name]
        if len(space.grids) > 1:
            names = [f"{self.part_name} {number}" for number in range(len(space.grids))]
        return tuple(ConditionPart(name, space.vocab_size + 1, grid) for name, grid in zip(names, space.grids, strict=True))

    def encode(self, batch: Mapping[str, Tensor]) -> Tensor:
        """What ``derive`` returns to int64 (B, P), the map's codes in canonical order."""
        return self._tokenizer.encode(self.maps(batch))

    def null(self, batch: int) -> Tensor:
        """K at every position, int64 (B, P)."""
        space = self._space(self.info.image_size)
        return torch.full((batch, space.length), space.vocab_size)


def as_channels(maps: Tensor, channels: int) -> Tensor:
    """float (B, 1, H, W) to (B, ``channels``, H, W), the same in each; a view."""
    return maps.expand(-1, channels, -1, -1)
