"""The reference's orders of codes: classes, and the index lists that they leave in a state dict.

Shape letters: N code positions.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

import torch
from torch import Tensor

from tamingplat_taming.section import Section
from tamingplat_taming.tokenizer_settings import class_name

_ORDERINGS: Mapping[str, str] = MappingProxyType(
    {
        "Identity": "raster",
        "Subsample": "subsample",
        "ZCurve": "z-curve",
        "SpiralOut": "spiral-out",
        "SpiralIn": "spiral-in",
        "AlternateParsing": "alternate",
    }
)

_FORWARD, _BACKWARD = "permuter.forward_shuffle_idx", "permuter.backward_shuffle_idx"
_CHECKED = "an index list, which the ordering gives again"


def read_permuter(section: Section, tensors: Mapping[str, Tensor], dropped: dict[str, str]) -> tuple[str, Tensor | None]:
    """The ordering's name, empty where the index list alone says it, and the position visited at each time, int64 (N,)."""
    target = section.text("target")
    name = class_name(target) or "Identity"
    known = name in _ORDERINGS or name == "Random"
    if not known:
        section.wrong(
            "target", f"there is no order {target}", f"those that can be read are {', '.join((*_ORDERINGS, 'Random'))}"
        )
    order, inverse = tensors.get(_FORWARD), tensors.get(_BACKWARD)
    for key in (_FORWARD, _BACKWARD):
        if key in tensors:
            dropped[key] = _CHECKED
    if order is None:
        if name == "Random":
            section.wrong("", f"the checkpoint has no {_FORWARD}, without which a random order is unknown")
        return _ORDERINGS.get(name, ""), None
    whole = torch.arange(order.numel())
    if order.dim() != 1 or order.is_floating_point() or not torch.equal(order.long().sort().values, whole):
        section.wrong("", f"{_FORWARD} is no list of every position once")
        return "", None
    order = order.long().clone()
    if inverse is not None and not (inverse.shape == order.shape and torch.equal(inverse.long()[order], whole)):
        section.wrong("", f"{_BACKWARD} is not the inverse of {_FORWARD}, so that the reference itself would misplace codes")
    # An index list beside a configuration without a permuter: the list is what the model was trained under.
    return ("" if name == "Identity" and not torch.equal(order, whole) else _ORDERINGS.get(name, "")), order


def grid_of_permuter(section: Section) -> tuple[int, ...] | None:
    """The code grid that a permuter's settings state, where they do."""
    params = section.section("params")
    if "H" in params and "W" in params:
        return params.integer("H"), params.integer("W")
    return None


def write_permuter(ordering: str, order: Tensor, grid: tuple[int, ...]) -> tuple[dict[str, Tensor], dict[str, object] | None]:
    """The index lists and the table of an order; nothing for raster, which is the reference's default."""
    if ordering == "raster":
        return {}, None
    names = {ours: theirs for theirs, ours in _ORDERINGS.items()}
    if ordering not in names or len(grid) != 2:
        # The list says it all; the reference would have to be told by a class of its own.
        table: dict[str, object] = {"target": "taming.modules.transformer.permuter.Random"}
    else:
        table = {"target": f"taming.modules.transformer.permuter.{names[ordering]}"}
    if len(grid) == 2:
        table["params"] = {"H": grid[0], "W": grid[1]}
    return {_FORWARD: order.clone(), _BACKWARD: torch.argsort(order)}, table
