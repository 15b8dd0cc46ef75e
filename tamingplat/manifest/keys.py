"""What of a component's settings makes its results what they are, for content keys."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from pydantic import BaseModel
from pydantic_core import to_jsonable_python

from tamingplat.interfaces import Runtime, Selection, TrainingSettings, field_markers
from tamingplat.interfaces.config import Marker
from tamingplat.manifest.marked import names_file, part_name, reference_kind
from tamingplat.manifest.resolved import ResolvedComponent
from tamingplat.registry import KeyPath

HashPath = Callable[[Path], str]


def component_identity(resolved: ResolvedComponent, hash_path: HashPath) -> dict[str, Any]:
    """What identifies a component and its settings, ready for JSON. How it is trained is not in it.

    Settings that only change rounding are left out, a file or folder counts by its content, and a reference by the identity
    of the component that it names.

    Args:
        resolved: The component.
        hash_path: Hash of the content of a file or of a folder.
    """
    return {
        "kind": resolved.component.kind,
        "name": resolved.component.name,
        "revision": resolved.component.revision,
        "config": _Identity(hash_path, resolved.parts).of_model(resolved.config),
    }


def training_identity(settings: TrainingSettings) -> dict[str, Any]:
    """What of the training settings changes what is learned, ready for JSON."""
    return settings_identity(settings, _no_file)


def settings_identity(settings: BaseModel, hash_path: HashPath) -> dict[str, Any]:
    """What of some settings changes results, ready for JSON: all but the fields that only change rounding. No references."""
    return _Identity(hash_path, {}).of_model(settings)


class _Identity:
    def __init__(self, hash_path: HashPath, parts: Mapping[str, ResolvedComponent]) -> None:
        self._hash_path = hash_path
        self._parts = parts

    def of_model(self, model: BaseModel, path: KeyPath = ()) -> dict[str, Any]:
        markers = field_markers(type(model))
        return {
            name: self._of_value(getattr(model, name), markers[name], (*path, name))
            for name in type(model).model_fields
            if not any(isinstance(marker, Runtime) for marker in markers[name])
        }

    def _of_value(self, value: Any, markers: tuple[Marker, ...], path: KeyPath) -> Any:
        if isinstance(value, Path) and names_file(markers):
            return self._hash_path(value)
        if isinstance(value, Selection) and reference_kind(markers) is not None:
            return component_identity(self._parts[part_name(path)], self._hash_path)
        if isinstance(value, BaseModel):
            return self.of_model(value, path)
        if isinstance(value, Mapping):
            return {str(to_jsonable_python(key)): self._of_value(inner, markers, (*path, key)) for key, inner in value.items()}
        if isinstance(value, list | tuple):
            return [self._of_value(inner, markers, (*path, index)) for index, inner in enumerate(value)]
        if isinstance(value, set | frozenset):
            elements = [self._of_value(inner, markers, (*path, index)) for index, inner in enumerate(value)]
            return sorted(elements, key=lambda element: json.dumps(element, sort_keys=True))
        return to_jsonable_python(value)


def _no_file(path: Path) -> str:
    raise AssertionError(f"training settings name no file, and yet there is {path}")
