"""Image tokenizers: images to codes and back.

Shape letters: B batch, C/H/W image, N code positions.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Iterable, Mapping
from typing import Any, ClassVar

import torch
from torch import Tensor

from tamingplat.interfaces.config import Config
from tamingplat.interfaces.models.trainable import Trainable
from tamingplat.interfaces.spaces import CodeSpace


class Tokenizer(Trainable):
    """Turns images into codes. Trained on batches ``{"image": float (B, C, H, W) in [-1, 1], …}``.

    Built as ``cls(config, parts, image_size=(H, W), channels=C)``; ``parts`` holds what the settings' ``Ref`` fields name,
    which never becomes part of the module's own state.
    """

    fitted: ClassVar[bool] = False
    """Whether ``fit`` takes the place of training by gradients."""

    tiles: ClassVar[bool] = False
    """Whether it heeds ``tile``."""

    tile: int | None = None
    """Side in pixels of the squares in which images larger than that are encoded and decoded, so that memory for one square is
    enough; ``None`` for whole images. Set when it was built. It changes rounding alone: statistics are of the whole image."""

    def __init__(self, config: Config, parts: Mapping[str, Any], *, image_size: tuple[int, int], channels: int) -> None:
        super().__init__()

    @classmethod
    def refusal(cls, config: Config, *, image_size: tuple[int, int], channels: int) -> str | None:
        """Why this tokenizer cannot take such images, with the remedy; ``None`` where it can. Allocates nothing."""
        return None

    @abstractmethod
    def code_space(self, image_size: tuple[int, int]) -> CodeSpace:
        """The codes of an image of height H and width W."""

    @abstractmethod
    def encode(self, images: Tensor) -> Tensor:
        """float (B, C, H, W) in [-1, 1] to int64 (B, N) in canonical order; deterministic in eval mode."""

    @abstractmethod
    def decode(self, codes: Tensor, image_size: tuple[int, int]) -> Tensor:
        """int64 (B, N) in canonical order to float (B, C, H, W), nominally in [-1, 1] and not clamped."""

    def fit(
        self,
        batches: Callable[[int], Iterable[Tensor]],
        *,
        generator: torch.Generator,
        log: Callable[[int, Mapping[str, float]], None],
    ) -> None:
        """Fit instead of training, on process 0; the result is broadcast.

        Args:
            batches: Given an epoch, that epoch's batches, float (B, C, H, W) in [-1, 1], in an order of its own.
            generator: All randomness of the fit.
            log: Takes a step and loss terms.
        """
        raise AssertionError(f"{type(self).__name__}.fitted is set, but fit is not implemented")
