"""Models without memory are made without the work of filling them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import torch
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode

from tamingplat.stages.skeletons import without_memory


class Recorded(TorchDispatchMode):
    """The names of all operations."""

    def __init__(self) -> None:
        super().__init__()
        self.names: set[str] = set()

    def __torch_dispatch__(
        self, func: Any, types: Iterable[type], args: tuple[Any, ...] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        self.names.add(func._schema.name.removeprefix("aten::"))
        return func(*args, **(kwargs or {}))


def test_nothing_is_drawn_or_filled() -> None:
    with without_memory(), Recorded() as recorded:
        module = nn.ModuleList(
            [nn.Linear(3, 4), nn.Conv2d(3, 4, 3), nn.Embedding(5, 6), nn.LayerNorm(7), nn.BatchNorm2d(3), nn.GroupNorm(1, 2)]
        )
        weight = module[0].weight
        for fill in (nn.init.normal_, nn.init.uniform_, nn.init.zeros_, nn.init.ones_, nn.init.kaiming_uniform_):
            assert fill(weight) is weight
        nn.init.constant_(weight, 2)
        nn.init.normal_(tensor=weight, std=0.02)
        weight.data.uniform_(-1, 1)
    assert {parameter.device.type for parameter in module.parameters()} == {"meta"}
    assert weight.shape == (4, 3)
    assert recorded.names.isdisjoint({"normal_", "uniform_", "random_", "fill_", "zero_"})


def test_what_has_memory_is_filled() -> None:
    with without_memory():
        filled = nn.init.constant_(torch.empty(3, device="cpu"), 2)
    assert filled.tolist() == [2, 2, 2]
