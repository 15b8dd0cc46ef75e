"""Settings classes as listings show them: every field with its type, default, limits and marker, in words."""

from __future__ import annotations

import types
import typing
from collections.abc import Iterator
from enum import Enum
from pathlib import Path
from typing import Annotated, Any, Literal, Union

import annotated_types as limits
from pydantic import BaseModel
from pydantic.fields import FieldInfo
from pydantic_core import to_jsonable_python

from tamingplat.interfaces import FileContent, Ref, Runtime, Selection, field_markers

_PLAIN: dict[Any, str] = {
    str: "text",
    int: "integer",
    float: "number",
    bool: "boolean",
    type(None): "none",
    Path: "path",
    Any: "anything",
    Selection: "component",
}
_CONTAINERS: dict[Any, str] = {list: "list", set: "set", frozenset: "set", dict: "table"}


def describe_fields(config: type[BaseModel], prefix: str = "") -> list[dict[str, Any]]:
    """Every field of a settings class, those of settings inside it under a dotted name.

    Each has ``name, type, required, default, description, constraints, marker``, ready for JSON. The marker is ``runtime``
    for what stays out of content keys, ``file`` for what enters them by its content, ``ref:KIND`` for what names another
    component, and empty for the rest.
    """
    markers = field_markers(config)
    described = []
    for name, field in config.model_fields.items():
        default = None if field.is_required() else field.get_default(call_default_factory=True, validated_data={})
        described.append(
            {
                "name": prefix + name,
                "type": readable_type(field.annotation),
                "required": field.is_required(),
                "default": to_jsonable_python(default, fallback=str),
                "description": field.description or "",
                "constraints": [*_constraints(field.metadata), *_constraints_inside(field.annotation)],
                "marker": " ".join(_marker(marker) for marker in markers[name]),
            }
        )
        for inner in _models_inside(field.annotation):
            described += describe_fields(inner, f"{prefix}{name}.")
    return described


def readable_type(annotation: Any) -> str:
    """A type in words: ``integer | none``, ``"cosine" | "linear"``, ``list of number``."""
    origin, arguments = typing.get_origin(annotation), typing.get_args(annotation)
    if origin is Annotated:
        return readable_type(arguments[0])
    if origin is Literal:
        return " | ".join(f'"{value}"' if isinstance(value, str) else str(value).lower() for value in arguments)
    if origin in (Union, types.UnionType):
        return " | ".join(dict.fromkeys(readable_type(argument) for argument in arguments))
    if origin is tuple:
        if len(arguments) == 2 and arguments[1] is Ellipsis:
            return f"list of {_grouped(arguments[0])}"
        return f"[{', '.join(readable_type(argument) for argument in arguments)}]"
    if origin is dict:
        return f"table of {_grouped(arguments[1])}"
    if origin in _CONTAINERS:
        return f"{_CONTAINERS[origin]} of {_grouped(arguments[0])}"
    if isinstance(annotation, type) and issubclass(annotation, Enum):
        return " | ".join(f'"{member.value}"' for member in annotation)
    if isinstance(annotation, type) and issubclass(annotation, BaseModel) and annotation is not Selection:
        return "table"
    named = _PLAIN.get(annotation) or _CONTAINERS.get(annotation)
    return named or str(getattr(annotation, "__name__", annotation))


def _grouped(annotation: Any) -> str:
    text = readable_type(annotation)
    return f"({text})" if " | " in text else text


def _marker(marker: Runtime | FileContent | Ref) -> str:
    match marker:
        case Runtime():
            return "runtime"
        case FileContent():
            return "file"
        case Ref(kind):
            return f"ref:{kind}"


def _constraints(metadata: list[Any] | tuple[Any, ...]) -> list[str]:
    texts: list[str] = []
    for item in metadata:
        if isinstance(item, FieldInfo):
            texts += _constraints(item.metadata)
        elif isinstance(item, limits.GroupedMetadata):
            texts += _constraints(tuple(item))
        elif isinstance(item, limits.Ge):
            texts.append(f">= {item.ge}")
        elif isinstance(item, limits.Gt):
            texts.append(f"> {item.gt}")
        elif isinstance(item, limits.Le):
            texts.append(f"<= {item.le}")
        elif isinstance(item, limits.Lt):
            texts.append(f"< {item.lt}")
        elif isinstance(item, limits.MultipleOf):
            texts.append(f"multiple of {item.multiple_of}")
        elif isinstance(item, limits.MinLen):
            texts.append(f"length >= {item.min_length}")
        elif isinstance(item, limits.MaxLen):
            texts.append(f"length <= {item.max_length}")
        elif getattr(item, "pattern", None):
            texts.append(f"matches {item.pattern}")
    return texts


def _constraints_inside(annotation: Any) -> list[str]:
    """Limits on a part of a type, such as the integers of a list, with the part that they limit."""
    arguments = typing.get_args(annotation)
    if typing.get_origin(annotation) is Annotated:
        own = _constraints(arguments[1:])
        subject = readable_type(arguments[0])
        return [*(f"{subject} {text}" for text in own), *_constraints_inside(arguments[0])]
    texts: list[str] = []
    for argument in arguments:
        texts += _constraints_inside(argument)
    return list(dict.fromkeys(texts))


def _models_inside(annotation: Any) -> Iterator[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        if annotation is not Selection:
            yield annotation
    else:
        for argument in typing.get_args(annotation):
            yield from _models_inside(argument)
