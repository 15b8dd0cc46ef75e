"""Settings as axes: ``[axes]`` crosses values of a block's setting with the cells that use the block."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tamingplat.interfaces import Kind
from tamingplat.manifest.document import Document
from tamingplat.manifest.layers import Layer, nested
from tamingplat.manifest.paths import format_path, parse_key
from tamingplat.manifest.problems import Location, ProblemCollector
from tamingplat.manifest.schema import BLOCKS
from tamingplat.manifest.sentences import shown
from tamingplat.registry import KeyPath, did_you_mean

_TABLES = ("config", "train")
_FIELDS = ("preset", "views", "window")
_EXAMPLE = 'write "prior.NAME.train.learning_rate" or the like'

Assignment = Mapping[str, int | None]
"""Which value of each axis is taken, by the axis's name; ``None`` for the block as it is, without the axis."""


@dataclass(frozen=True)
class Axis:
    """A setting of a block, and the values that it takes.

    Attributes:
        name: As the manifest writes it.
        kind: Kind of the block.
        block: The block.
        setting: Path of the setting inside the block.
        values: Its values.
        places: Where each value stands in the document.
        path: Where the axis stands in the document.
    """

    name: str
    kind: Kind
    block: str
    setting: tuple[str, ...]
    values: tuple[Any, ...]
    places: tuple[KeyPath, ...]
    path: KeyPath

    def layer(self, document: Document, index: int) -> Layer:
        """A table with one value of the axis, to be laid over the block."""

        def locate(path: KeyPath, unknown: bool) -> Location:
            return document.locate(self.path if unknown else self.places[index])

        return Layer(nested(self.setting, self.values[index]), locate)


class AxisNeededError(Exception):
    """What is looked for depends on an axis for which no value is given yet."""

    def __init__(self, axis: Axis) -> None:
        super().__init__(axis.name)
        self.axis = axis


def read_axes(document: Document, blocks: Iterable[tuple[Kind, str]], problems: ProblemCollector) -> tuple[Axis, ...]:
    """The axes of a manifest. One that is wrong is noted and left out."""
    table = document.data.get("axes", {})
    if not isinstance(table, Mapping):
        problems.add(document.locate(("axes",)), f"must be a table, not {shown(table)}")
        return ()
    blocks = tuple(blocks)
    axes: list[Axis] = []
    for path, parts, values in _entries(table, ("axes",), (), document, problems):
        axis = _read_axis(document, path, parts, values, blocks, problems)
        if axis is None:
            continue
        rival = next((other for other in axes if _overlap(axis, other)), None)
        if rival is None:
            axes.append(axis)
        else:
            problems.add(document.locate(path), f"sets the same as the axis {rival.name}", "keep one of them")
    return tuple(axes)


def variant_label(block: str, axes: Sequence[Axis], assignment: Assignment) -> str:
    """A block's name with the settings in which this variant of it differs: ``gpt-s[learning_rate=0.001]``.

    Of a setting's path, as many parts are shown as tell it from the other settings.
    """
    chosen = [axis for axis in axes if assignment[axis.name] is not None]
    texts = []
    for axis in chosen:
        paths = [(other.kind, other.block, *other.setting) for other in chosen]
        own = (axis.kind, axis.block, *axis.setting)
        length = next(n for n in range(1, len(own) + 1) if sum(path[-n:] == own[-n:] for path in paths) == 1)
        index = assignment[axis.name]
        assert index is not None
        value = axis.values[index]
        text = value if isinstance(value, str) else json.dumps(value, default=str)
        texts.append(f"{format_path(own[-length:])}={text}")
    return f"{block}[{','.join(texts)}]" if texts else block


def _entries(
    table: Mapping[str, Any], path: KeyPath, outer: tuple[str, ...], document: Document, problems: ProblemCollector
) -> Iterator[tuple[KeyPath, tuple[str, ...], Any]]:
    """Every axis with its path in the document and its own parts, written as one quoted key or as nested tables."""
    for key, value in table.items():
        try:
            parts = (*outer, *parse_key(key))
        except ValueError:
            problems.add(document.locate((*path, key)), "is not a dotted path", _EXAMPLE)
            continue
        if isinstance(value, Mapping):
            yield from _entries(value, (*path, key), parts, document, problems)
        else:
            yield (*path, key), parts, value


def _read_axis(
    document: Document,
    path: KeyPath,
    parts: tuple[str, ...],
    values: Any,
    blocks: Sequence[tuple[Kind, str]],
    problems: ProblemCollector,
) -> Axis | None:
    location = document.locate(path)
    if not isinstance(values, list):
        problems.add(location, f"must be a list of values, not {shown(values)}", f"write [{shown(values)}]")
    elif not values:
        problems.add(location, "must not be empty", "give at least one value")
    if len(parts) < 3:
        problems.add(location, "must name a kind, a block and a setting", _EXAMPLE)
        return None
    kind = next((known for known in BLOCKS if known == parts[0]), None)
    block, setting = parts[1], parts[2:]
    if kind is None:
        problems.add(
            location, f'there is no kind "{parts[0]}"', did_you_mean(parts[0], BLOCKS) or f"the kinds are {', '.join(BLOCKS)}"
        )
        return None
    if (kind, block) not in blocks:
        names = [name for of_kind, name in blocks if of_kind == kind]
        remedy = did_you_mean(block, names) or f"write a table [{format_path((kind, block))}], even an empty one"
        problems.add(location, f"there is no block {format_path((kind, block))}", remedy)
        return None
    if not _is_setting(kind, setting):
        allowed = [f"{name}.SETTING" for name in _TABLES if name in BLOCKS[kind].model_fields]
        allowed += [name for name in _FIELDS if name in BLOCKS[kind].model_fields]
        problems.add(location, f"{format_path(setting)} of a {kind} block cannot be varied", f"vary {' or '.join(allowed)}")
        return None
    if not isinstance(values, list) or not values:
        return None
    written = [json.dumps(value, default=str) for value in values]
    indices = [index for index, text in enumerate(written) if text not in written[:index]]
    chosen = tuple(values[index] for index in indices)
    places: tuple[KeyPath, ...] = tuple((*path, index) for index in indices)
    return Axis(".".join(map(_quoted, parts)), kind, block, setting, chosen, places, path)


def _is_setting(kind: Kind, setting: tuple[str, ...]) -> bool:
    if setting[0] not in BLOCKS[kind].model_fields:
        return False
    return (setting[0] in _TABLES and len(setting) > 1) or (setting[0] in _FIELDS and len(setting) == 1)


def _overlap(axis: Axis, other: Axis) -> bool:
    length = min(len(axis.setting), len(other.setting))
    return (axis.kind, axis.block) == (other.kind, other.block) and axis.setting[:length] == other.setting[:length]


def _quoted(part: str) -> str:
    return format_path((part,))
