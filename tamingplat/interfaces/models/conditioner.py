"""Conditioners: what is given, as tokens that come before the codes.

Shape letters: B batch, C/H/W map, P condition positions, L classes.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Collection, Mapping
from typing import Any, ClassVar

from torch import Tensor

from tamingplat.interfaces.config import Config
from tamingplat.interfaces.spaces import ConditionLayout, DatasetInfo, MapsInfo


class Conditioner(ABC):
    """Turns a batch's label, map or image into condition tokens.

    Built as ``cls(config, parts, info)``, where ``info`` describes the dataset.

    A spatial condition goes through a tokenizer of its own: a setting refers to one (``Ref("tokenizer")``), ``maps_info``
    says what images that tokenizer sees, and ``maps`` makes them. It is trained on these before anything is encoded. In
    ``parts`` it is the trained tokenizer where ``encode`` is called; everywhere else it may have no memory for its weights,
    and only its ``code_space`` may be asked.
    """

    settings_beside_maps: ClassVar[tuple[str, ...]] = ()
    """Settings that ``maps`` does not depend on, so that changing them retrains no tokenizer."""

    def __init__(self, config: Config, parts: Mapping[str, Any], info: DatasetInfo) -> None:
        self.config = config
        self.info = info

    @classmethod
    def refusal(cls, config: Config, info: DatasetInfo) -> str | None:
        """Why this conditioner cannot be used with such a dataset, with the remedy; ``None`` where it can."""
        return None

    @classmethod
    def maps_info(cls, config: Config, info: DatasetInfo) -> MapsInfo | None:
        """The images that the condition's own tokenizer sees, for a dataset that is not refused; ``None`` without one."""
        return None

    @property
    def dropout(self) -> float:
        """Share of training examples whose condition is replaced by the null index, in [0, 1): what guidance needs."""
        return 0.0

    @property
    def columns(self) -> tuple[str, ...]:
        """The dataset's columns that ``derive`` reads."""
        return ()

    @property
    def contents(self) -> tuple[str, ...]:
        """Those of ``columns`` whose content matters; of the others only the number of examples does."""
        return self.columns

    def derive(self, batch: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """What ``maps`` and ``encode`` are made of: by default the dataset's ``columns`` as they are.

        Called on the CPU, where data are loaded and perhaps in a worker process, for what is better computed there and small
        enough to be sent to a device. Deterministic, and each example's result depends on that example alone.
        """
        return {name: batch[name] for name in self.columns}

    @property
    def own_maps(self) -> Mapping[str, MapsInfo]:
        """What ``derive`` finds in images and a user may have already, by name, with size and channels of such an image.

        A sketch in place of the edges of a photo, for instance. Empty, as by default, where there is no such thing.
        """
        return {}

    def contents_beside(self, own: Collection[str]) -> tuple[str, ...]:
        """Those of ``contents`` that still matter where the ``own_maps`` of these names are given."""
        return self.contents

    def derive_beside(self, batch: Mapping[str, Tensor], own: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """What ``derive`` returns, with what is given in place of what it would find.

        Args:
            batch: Examples as for ``derive``; what does not matter beside ``own`` may be anything of its shape.
            own: Some of ``own_maps``, uint8 (B, C, H, W).
        """
        return self.derive(batch)

    def maps(self, batch: Mapping[str, Tensor]) -> Tensor:
        """The images that the condition's own tokenizer sees, float (B, C, H, W) as ``maps_info`` says.

        Args:
            batch: What ``derive`` or ``derive_beside`` returns, on the device of the tokenizer.
        """
        raise AssertionError(f"{type(self).__name__} has a tokenizer of its own, but maps is not implemented")

    @abstractmethod
    def layout(self, image_size: tuple[int, int]) -> ConditionLayout:
        """The parts of the condition for an image of this size, in order; empty for no condition."""

    @abstractmethod
    def encode(self, batch: Mapping[str, Tensor]) -> Tensor:
        """The condition of a batch, int64 (B, P) in layout order.

        Args:
            batch: What ``derive`` returns, on the device of the tokenizer where there is one.
        """

    def class_tokens(self) -> Tensor | None:
        """The token of each of the dataset's classes, int64 (L,), for a condition that names the image's class.

        Classes with one token are not told apart. ``None`` for a condition that names no class.
        """
        return None

    @abstractmethod
    def null(self, batch: int) -> Tensor:
        """The absent condition, int64 (B, P): in every part an index of its own that ``encode`` never gives."""
