"""The image's class as one token.

Shape letters: B batch, L classes.
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from tamingplat.interfaces import ConditionLayout, ConditionPart, Config, DataError, DatasetInfo
from tamingplat.interfaces.models import Conditioner
from tamingplat_conditioners.config import ClassConfig


class ClassCondition(Conditioner):
    """One token per image: its class.

    With C classes told apart the tokens are 0 … C−1 in order; where ``classes`` leaves some of the dataset's out, all of
    those are token C. The last index of the vocabulary is the null token, which no image has.
    """

    def __init__(self, config: Config, parts: Mapping[str, Any], info: DatasetInfo) -> None:
        super().__init__(config, parts, info)
        assert isinstance(config, ClassConfig)
        assert info.label_names is not None, "refused without classes"
        self._dropout = config.dropout
        names = config.classes if config.classes is not None else info.label_names
        token_of_name = {name: token for token, name in enumerate(names)}
        tokens = [token_of_name.get(name, len(names)) for name in info.label_names]
        self._tokens = torch.tensor(tokens, dtype=torch.int64)
        self._null = max(tokens) + 1

    @classmethod
    def refusal(cls, config: Config, info: DatasetInfo) -> str | None:
        """A dataset without classes, or without those that the settings name, is refused."""
        assert isinstance(config, ClassConfig)
        if not info.label_names:
            return (
                "the dataset gives no classes; set the dataset's label column, or take the conditioner none"
                " for this dataset (matrix.exclude leaves single cells out)"
            )
        unknown = [name for name in config.classes or () if name not in info.label_names]
        if not unknown:
            return None
        hints = {name: difflib.get_close_matches(name, info.label_names, n=1) for name in unknown}
        told = ", ".join(f"{name} (did you mean {close[0]}?)" if close else name for name, close in hints.items())
        return f"config.classes names classes that the dataset does not have: {told}; it has {', '.join(info.label_names)}"

    @property
    def dropout(self) -> float:
        """The settings' share."""
        return self._dropout

    @property
    def columns(self) -> tuple[str, ...]:
        """The label alone."""
        return ("label",)

    def layout(self, image_size: tuple[int, int]) -> ConditionLayout:
        """One part of one token, whatever the image's size."""
        return (ConditionPart("class", self._null + 1),)

    def encode(self, batch: Mapping[str, Tensor]) -> Tensor:
        """``label``, int64 (B,), to int64 (B, 1).

        Raises:
            DataError: A label is outside the dataset's classes.
        """
        labels = batch["label"].long()
        wrong = labels[(labels < 0) | (labels >= len(self._tokens))]
        if len(wrong):
            raise DataError(
                f"label {int(wrong[0])} is outside the dataset's {len(self._tokens)} classes; mend the label column"
            )
        return self._tokens.to(labels.device)[labels][:, None]

    def class_tokens(self) -> Tensor:
        """The token of each of the dataset's classes, int64 (L,)."""
        return self._tokens

    def null(self, batch: int) -> Tensor:
        """The last index of the vocabulary, int64 (B, 1)."""
        return torch.full((batch, 1), self._null)
