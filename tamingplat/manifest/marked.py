"""Walking through a component's settings by the markers of their fields."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel

from tamingplat.interfaces import FileContent, Kind, Ref, Selection, field_markers
from tamingplat.interfaces.config import Marker
from tamingplat.manifest.model_fields import accepts_none
from tamingplat.registry import KeyPath

M = TypeVar("M", bound=BaseModel)


@dataclass(frozen=True)
class MarkedPath:
    """The path of a file or folder somewhere in a component's settings, and where it stands in them."""

    path: KeyPath
    value: Path


@dataclass(frozen=True)
class MarkedReference:
    """A reference to a component somewhere in another one's settings.

    Attributes:
        path: Where it stands in the settings.
        value: The reference.
        kind: Kind of the component that is referred to.
        optional: Whether ``None`` could stand there.
    """

    path: KeyPath
    value: Selection
    kind: Kind
    optional: bool


Change = Callable[[MarkedPath | MarkedReference], object]


def change_marked(config: M, change: Change, path: KeyPath = ()) -> M:
    """The settings with every marked path and reference replaced by what ``change`` returns for it.

    Those inside other models, lists and tables are found too. The result is not validated again.
    """
    markers = field_markers(type(config))
    changed = {}
    for name, field in type(config).model_fields.items():
        value = getattr(config, name)
        new = _change(value, markers[name], change, (*path, name), accepts_none(field.annotation))
        if new is not value:
            changed[name] = new
    return config.model_copy(update=changed) if changed else config


def part_name(path: KeyPath) -> str:
    """The name under which a component gets the part that a reference at this path names: ``inner``, ``parts.0``."""
    return ".".join(map(str, path))


def reference_kind(markers: Iterable[Marker]) -> Kind | None:
    """The kind that a field with these markers refers to, if it refers to any."""
    return next((marker.kind for marker in markers if isinstance(marker, Ref)), None)


def names_file(markers: Iterable[Marker]) -> bool:
    """Whether a field with these markers names a file or a folder."""
    return any(isinstance(marker, FileContent) for marker in markers)


def _change(value: Any, markers: tuple[Marker, ...], change: Change, path: KeyPath, optional: bool) -> Any:
    kind = reference_kind(markers)
    if isinstance(value, Selection) and kind is not None:
        return change(MarkedReference(path, value, kind, optional))
    if isinstance(value, Path) and names_file(markers):
        return change(MarkedPath(path, value))
    if isinstance(value, BaseModel):
        return change_marked(value, change, path)
    if isinstance(value, Mapping):
        items = {key: _change(inner, markers, change, (*path, key), False) for key, inner in value.items()}
        return value if all(items[key] is inner for key, inner in value.items()) else items
    if isinstance(value, list | tuple | set | frozenset):
        elements = [_change(inner, markers, change, (*path, index), False) for index, inner in enumerate(value)]
        unchanged = all(new is old for new, old in zip(elements, value, strict=True))
        return value if unchanged else type(value)(elements)
    return value
