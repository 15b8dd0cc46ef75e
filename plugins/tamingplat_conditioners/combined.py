"""Several conditions, one after the other.

Shape letters: B batch, P condition positions.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

import torch
from torch import Tensor

from tamingplat.interfaces import ConditionLayout, Config, DatasetInfo, MapsInfo, TamingplatError
from tamingplat.interfaces.models import Conditioner
from tamingplat_conditioners.config import CombinedConfig


class CombinedCondition(Conditioner):
    """The parts of several conditions in order; all of them are given, or none is.

    Raises:
        TamingplatError: Two conditions are of the same name, or one has an unconditional share of its own.
    """

    def __init__(self, config: Config, parts: Mapping[str, Any], info: DatasetInfo) -> None:
        super().__init__(config, parts, info)
        assert isinstance(config, CombinedConfig)
        self._dropout = config.dropout
        self._parts: list[Conditioner] = [parts[f"parts.{number}"] for number in range(len(config.parts))]
        for part, selection in zip(self._parts, config.parts, strict=True):
            if part.dropout:
                raise TamingplatError(
                    f"its part {selection.use} has a dropout of its own, and parts are left out together; set dropout of "
                    "combined in place of it"
                )
        names = [part.name for part in self.layout(info.image_size)]
        repeated = sorted({name for name in names if names.count(name) > 1})
        if repeated:
            raise TamingplatError(f"its parts give {', '.join(repeated)} more than once; name each condition once")

    @property
    def dropout(self) -> float:
        """The settings' share."""
        return self._dropout

    @property
    def columns(self) -> tuple[str, ...]:
        """What any of the parts reads."""
        return tuple(dict.fromkeys(name for part in self._parts for name in part.columns))

    @property
    def contents(self) -> tuple[str, ...]:
        """What the content of matters to any of the parts."""
        return tuple(dict.fromkeys(name for part in self._parts for name in part.contents))

    @property
    def own_maps(self) -> Mapping[str, MapsInfo]:
        """Those of all parts."""
        return {name: maps for part in self._parts for name, maps in part.own_maps.items()}

    def contents_beside(self, own: Collection[str]) -> tuple[str, ...]:
        """What still matters to any of the parts."""
        return tuple(dict.fromkeys(name for part in self._parts for name in part.contents_beside(own)))

    def derive(self, batch: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """What each part makes of the batch, under its own name behind the part's number."""
        return self.derive_beside(batch, {})

    def derive_beside(self, batch: Mapping[str, Tensor], own: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """The same, with what is given for some of the parts."""
        derived: dict[str, Tensor] = {}
        for number, part in enumerate(self._parts):
            given = {name: value for name, value in own.items() if name in part.own_maps}
            made = part.derive_beside(batch, given) if given else part.derive(batch)
            derived |= {f"{number}.{name}": value for name, value in made.items()}
        return derived

    def layout(self, image_size: tuple[int, int]) -> ConditionLayout:
        """The parts of all conditions."""
        return tuple(part for condition in self._parts for part in condition.layout(image_size))

    def encode(self, batch: Mapping[str, Tensor]) -> Tensor:
        """The tokens of all conditions, int64 (B, P)."""
        tokens = []
        for number, part in enumerate(self._parts):
            start = f"{number}."
            own = {name.removeprefix(start): value for name, value in batch.items() if name.startswith(start)}
            if part.layout(self.info.image_size):
                tokens.append(part.encode(own))
        return torch.cat(tokens, dim=1)

    def class_tokens(self) -> Tensor | None:
        """Those of the part that names the class, int64 (L,); ``None`` where none does."""
        found = [tokens for part in self._parts if (tokens := part.class_tokens()) is not None]
        return found[0] if found else None

    def null(self, batch: int) -> Tensor:
        """The null tokens of all conditions, int64 (B, P)."""
        return torch.cat([part.null(batch) for part in self._parts], dim=1)
