"""Edges of the image.

Canny, "A Computational Approach to Edge Detection", IEEE Transactions on Pattern Analysis and Machine Intelligence, 1986.

Shape letters: B batch, C channels, H/W image.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import ClassVar

import cv2
import numpy as np
import torch
from torch import Tensor

from tamingplat.interfaces import Config, DatasetInfo, MapsInfo
from tamingplat_conditioners.config import EdgesConfig
from tamingplat_conditioners.tokenized import TokenizedCondition, as_channels


class EdgesCondition(TokenizedCondition):
    """Canny edges of the image's grey values, found by OpenCV in integers, so that every machine finds the same."""

    part_name: ClassVar[str] = "edges"

    @classmethod
    def maps_info(cls, config: Config, info: DatasetInfo) -> MapsInfo:
        """As large as the image, with ``channels`` channels."""
        assert isinstance(config, EdgesConfig)
        return MapsInfo(info.image_size, config.channels)

    @property
    def columns(self) -> tuple[str, ...]:
        """The image alone."""
        return ("image",)

    def derive(self, batch: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """``image``, uint8 (B, C, H, W), to ``edges``, uint8 (B, 1, H, W): 1 on an edge and 0 elsewhere."""
        assert isinstance(self.config, EdgesConfig)
        # OpenCV's threads do not survive a fork: a worker process that used them would wait forever.
        cv2.setNumThreads(0)
        edges = [_edges(image, self.config) for image in batch["image"].numpy()]
        return {"edges": torch.from_numpy(np.stack(edges)[:, None])}

    @property
    def own_maps(self) -> Mapping[str, MapsInfo]:
        """``edges``: an image of one channel, white on black, such as a sketch."""
        return {"edges": MapsInfo(self.info.image_size, 1)}

    def contents_beside(self, own: Collection[str]) -> tuple[str, ...]:
        """Nothing where there are edges."""
        return () if "edges" in own else self.contents

    def derive_beside(self, batch: Mapping[str, Tensor], own: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """``edges`` where they are given: what is brighter than grey is one."""
        return {"edges": (own["edges"] > 127).to(torch.uint8)} if "edges" in own else self.derive(batch)

    def maps(self, batch: Mapping[str, Tensor]) -> Tensor:
        """``edges``, uint8 (B, 1, H, W), to float32 (B, C, H, W): 1 on an edge and −1 elsewhere."""
        assert isinstance(self.config, EdgesConfig)
        return as_channels(batch["edges"].float().mul(2).sub(1), self.config.channels)


def _edges(image: np.ndarray, config: EdgesConfig) -> np.ndarray:
    """uint8 (C, H, W) to uint8 (H, W) in {0, 1}; an alpha channel does not matter."""
    grey = image[0] if len(image) < 3 else cv2.cvtColor(np.ascontiguousarray(image[:3].transpose(1, 2, 0)), cv2.COLOR_RGB2GRAY)
    if config.blur:
        grey = cv2.GaussianBlur(grey, (0, 0), config.blur)
    return (cv2.Canny(np.ascontiguousarray(grey), config.low, config.high) > 0).astype(np.uint8)
