"""Finding fields of a settings class by path, through models, containers and alternatives."""

from __future__ import annotations

import types
import typing
from collections.abc import Iterator
from typing import Annotated, Any, Union

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from tamingplat.registry import KeyPath


def field_at(model: type[BaseModel], path: KeyPath) -> FieldInfo | None:
    """The field that a path leads to; ``None`` where it leads to no field of a model."""
    if not path:
        return None
    for inner in _models_at(model, path[:-1]):
        field = _field(inner, path[-1])
        if field is not None:
            return field
    return None


def fields_of(model: type[BaseModel], path: KeyPath) -> tuple[str, ...]:
    """Names of the fields of the model, or of all models, that a path leads to."""
    names: dict[str, None] = {}
    for inner in _models_at(model, path):
        names.update((field.alias or name, None) for name, field in inner.model_fields.items())
    return tuple(names)


def accepts_none(annotation: Any) -> bool:
    """Whether a type has ``None`` among its alternatives."""
    return type(None) in alternatives(annotation)


def alternatives(annotation: Any) -> tuple[Any, ...]:
    """The types of a union, without what ``Annotated`` adds to them; a type that is no union alone."""
    origin = typing.get_origin(annotation)
    if origin is Annotated:
        return alternatives(typing.get_args(annotation)[0])
    if origin in (Union, types.UnionType):
        return tuple(inner for argument in typing.get_args(annotation) for inner in alternatives(argument))
    return (annotation,)


def _models_at(model: type[BaseModel], path: KeyPath) -> Iterator[type[BaseModel]]:
    found: tuple[Any, ...] = (model,)
    for part in path:
        found = tuple(inner for annotation in found for step in _step(annotation, part) for inner in alternatives(step))
    return (annotation for annotation in found if _is_model(annotation))


def _step(annotation: Any, part: str | int) -> Iterator[Any]:
    arguments = typing.get_args(annotation)
    if _is_model(annotation):
        field = _field(annotation, part)
        if field is not None:
            yield field.annotation
    elif typing.get_origin(annotation) is tuple and Ellipsis not in arguments:
        if isinstance(part, int) and part < len(arguments):
            yield arguments[part]
    elif arguments:
        # The values of a table are its last argument; a list and a tuple of any length have one, and perhaps an ellipsis.
        yield [argument for argument in arguments if argument is not Ellipsis][-1]


def _field(model: type[BaseModel], part: str | int) -> FieldInfo | None:
    for name, field in model.model_fields.items():
        if part == (field.alias or name):
            return field
    return None


def _is_model(annotation: Any) -> bool:
    return isinstance(annotation, type) and issubclass(annotation, BaseModel)
