"""Poses: the joints of figures, drawn.

The paper conditions on poses in the same way as on any map (Sec. 4.2 iii), with as many tokens for the pose as for the image
(Tab. 3: 340 = 2 · 170 for DeepFashion). The keypoints are drawn, and the drawing is an image with a tokenizer of its own. The
skeleton in colours is the default: limbs say which joint belongs to which figure and side in three channels, which every
image tokenizer and every perceptual loss takes; one channel for each joint is there for tokenizers that take any number.

Shape letters: B batch, M figures, J joints, C channels, H/W image.
"""

from __future__ import annotations

import colorsys
from collections.abc import Mapping
from typing import ClassVar

import cv2
import numpy as np
import torch
from torch import Tensor

from tamingplat.interfaces import Config, DatasetInfo, MapsInfo
from tamingplat_conditioners.config import KeypointsConfig
from tamingplat_conditioners.tokenized import TokenizedCondition


class KeypointsCondition(TokenizedCondition):
    """The joints of all figures of an image, as one drawing; what is absent or hidden by the image's border is left out."""

    part_name: ClassVar[str] = "keypoints"

    @classmethod
    def refusal(cls, config: Config, info: DatasetInfo) -> str | None:
        """A dataset without keypoints is refused, and one whose joints are not those of the skeleton."""
        assert isinstance(config, KeypointsConfig)
        if "keypoints" not in info.columns or info.joints is None:
            return (
                "the dataset gives no keypoints; set the dataset's setting keypoints, or take another conditioner for it "
                "(matrix.exclude leaves single cells out)"
            )
        if config.drawing == "skeleton" and not _limbs(config, info.joints):
            return (
                f"none of config.limbs joins two of the dataset's joints, which are {', '.join(info.joints)}; name limbs of "
                'these, or set drawing = "joints"'
            )
        return None

    @classmethod
    def maps_info(cls, config: Config, info: DatasetInfo) -> MapsInfo:
        """As large as the image, with 3 channels for a skeleton and else one for each joint."""
        assert isinstance(config, KeypointsConfig) and info.joints is not None
        return MapsInfo(info.image_size, 3 if config.drawing == "skeleton" else len(info.joints))

    @property
    def columns(self) -> tuple[str, ...]:
        """The keypoints alone."""
        return ("keypoints",)

    def derive(self, batch: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """``keypoints``, float (B, M, J, 3), to ``drawing``, uint8 (B, C, H, W)."""
        assert isinstance(self.config, KeypointsConfig) and self.info.joints is not None
        size = self.info.image_size
        thickness = self.config.thickness or max(1, round(min(size) / 64))
        if self.config.drawing == "skeleton":
            limbs = _limbs(self.config, self.info.joints)
            drawings = [_skeleton(figures, limbs, size, thickness) for figures in batch["keypoints"].numpy()]
        else:
            drawings = [_discs(figures, size, thickness) for figures in batch["keypoints"].numpy()]
        return {"drawing": torch.from_numpy(np.stack(drawings))}

    def maps(self, batch: Mapping[str, Tensor]) -> Tensor:
        """``drawing``, uint8 (B, C, H, W), to float32 in [-1, 1]."""
        return batch["drawing"].float().div(127.5).sub(1)


def _limbs(config: KeypointsConfig, joints: tuple[str, ...]) -> list[tuple[int, int]]:
    """The limbs between joints that there are, by the joints' numbers."""
    return [(joints.index(one), joints.index(other)) for one, other in config.limbs if one in joints and other in joints]


def _places(figure: np.ndarray) -> list[tuple[int, int] | None]:
    """Column and row of every joint of (J, 3), ``None`` for an absent one."""
    return [(round(float(x)), round(float(y))) if seen > 0 else None for x, y, seen in figure]


def _skeleton(figures: np.ndarray, limbs: list[tuple[int, int]], size: tuple[int, int], thickness: int) -> np.ndarray:
    """Float (M, J, 3) to uint8 (3, H, W): limbs in evenly spaced hues and joints in white, on black."""
    drawing = np.zeros((*size, 3), np.uint8)
    for figure in figures:
        places = _places(figure)
        for number, (one, other) in enumerate(limbs):
            start, end = places[one], places[other]
            if start is not None and end is not None:
                colour = [round(255 * part) for part in colorsys.hsv_to_rgb(number / len(limbs), 1, 1)]
                cv2.line(drawing, start, end, colour, thickness)
        for place in places:
            if place is not None:
                cv2.circle(drawing, place, thickness // 2, (255, 255, 255), -1)
    return np.ascontiguousarray(drawing.transpose(2, 0, 1))


def _discs(figures: np.ndarray, size: tuple[int, int], radius: int) -> np.ndarray:
    """Float (M, J, 3) to uint8 (J, H, W): 255 within ``radius`` pixels of a joint and 0 elsewhere."""
    drawing = np.zeros((figures.shape[1], *size), np.uint8)
    for figure in figures:
        for channel, place in zip(drawing, _places(figure), strict=True):
            if place is not None:
                cv2.circle(channel, place, radius, 255, -1)
    return drawing
