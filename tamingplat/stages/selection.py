"""Choosing cells of a plan: ``tokenizer=vqgan-f4,prior=gpt-s,seed=0``."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from tamingplat.interfaces import TamingplatError
from tamingplat.manifest import MATRIX_KINDS
from tamingplat.registry import did_you_mean
from tamingplat.stages.plan import Plan, PlannedCell, PlannedTokenizer

FIELDS = (*MATRIX_KINDS, "seed", "tokenizer_seed")
"""What a selection can say."""

Combination = PlannedCell | PlannedTokenizer

_FIELD = re.compile(r"(?:^|,)\s*([A-Za-z_]+)\s*=")
_SHOWN = 20


def parse_selection(text: str) -> dict[str, str]:
    """The fields of a selection. Values can have commas and brackets, as the labels of axes do.

    Raises:
        TamingplatError: It is malformed, or a field is unknown or stands there twice.
    """
    found = list(_FIELD.finditer(text))
    if not found or text[: found[0].start()].strip():
        raise TamingplatError(f"--select {text}: must read FIELD=NAME[,FIELD=NAME…]; the fields are {', '.join(FIELDS)}")
    fields: dict[str, str] = {}
    open_brackets = 0
    previous = ""
    for number, match in enumerate(found):
        end = found[number + 1].start() if number + 1 < len(found) else len(text)
        name, value = match[1], text[match.end() : end].strip()
        if open_brackets > 0:
            # A setting inside the brackets of a label, such as [steps=1, seed=2], is no field.
            fields[previous] += text[match.start() : end]
        elif name not in FIELDS:
            hint = did_you_mean(name, FIELDS) or f"the fields are {', '.join(FIELDS)}"
            raise TamingplatError(f"--select {text}: there is no field {name}; {hint}")
        elif name in fields:
            raise TamingplatError(f"--select {text}: {name} stands there twice")
        else:
            fields[name], previous = value, name
        open_brackets = fields[previous].count("[") - fields[previous].count("]")
    return fields


def matching_cells(plan: Plan, fields: Mapping[str, str], selection: str) -> list[Combination]:
    """The cells that fit every field; ``selection`` is how the user wrote them, for messages.

    Raises:
        TamingplatError: No cell has a field's value.
    """
    cells = list(plan.combinations)
    for name, value in fields.items():
        left = [cell for cell in cells if str(cell.cell.labels.get(name, "")) == value]
        if not left:
            values = list(dict.fromkeys(str(cell.cell.labels.get(name, "")) for cell in cells))
            hint = did_you_mean(value, values) or f"there {'are' if len(values) > 1 else 'is'} {', '.join(values)}"
            beside = "" if len(cells) == len(plan.combinations) else " beside the fields before it"
            raise TamingplatError(f"--select {selection}: no cell has {name} {value}{beside}; {hint}")
        cells = left
    return cells


def listed(labels: Sequence[str]) -> str:
    """Labels, each in a line, the first of many."""
    more = [f"  and {len(labels) - _SHOWN} more"] if len(labels) > _SHOWN else []
    return "\n".join([*(f"  {label}" for label in labels[:_SHOWN]), *more])
