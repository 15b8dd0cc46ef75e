"""Checking a table against a pydantic model, so that what is wrong reads as a sentence at an exact path."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from pydantic import BaseModel, TypeAdapter, ValidationError
from pydantic_core import ErrorDetails

from tamingplat.manifest import model_fields, sentences
from tamingplat.registry import KeyPath

_SCALAR_TYPES = frozenset({"int_type", "float_type", "bool_type", "string_type"})
"""Errors of pydantic's strict mode that hold for TOML too: in its lax mode it takes "3", true and 3.0 for the integer 3."""

M = TypeVar("M", bound=BaseModel)


@dataclass(frozen=True)
class Fault:
    """One thing that is wrong in a table.

    Attributes:
        path: Where, inside the table.
        what: What is wrong.
        remedy: What to do about it; may be empty.
        unknown: Whether the field does not exist, so that its value does not matter.
    """

    path: KeyPath
    what: str
    remedy: str = ""
    unknown: bool = False


@dataclass(frozen=True)
class Checked(Generic[M]):
    """A table after the check.

    Attributes:
        faults: Everything that is wrong.
        value: The model; ``None`` where anything is wrong.
        partial: The model without the fields that are wrong, to look further; ``None`` where not even that can be made.
    """

    faults: tuple[Fault, ...]
    value: M | None
    partial: M | None

    def wrong(self, *fields: str) -> bool:
        """Whether something is wrong in any of these fields."""
        return any(fault.path[:1] == (field,) for fault in self.faults for field in fields)


def check(model: type[M], table: Mapping[str, Any], owner: str) -> Checked[M]:
    """Check a table of a manifest.

    TOML has no null, so that a field which may be none is switched off by the text "none", unless that means something there.

    Args:
        model: What may stand in the table.
        table: As ``tomllib`` returns it.
        owner: Whose fields they are, for "unknown field of …".
    """
    table = _with_none(model, table)
    errors = _errors(model, table)
    if not errors:
        value = model.model_validate(table)
        return Checked((), value, value)
    faults = tuple(_fault(model, table, owner, path, details) for path, details in errors.items())
    wrong = {path[0] for path in errors if path}
    rest = {key: value for key, value in table.items() if key not in wrong}
    further = _errors(model, rest)
    partial = model.model_validate(rest) if not further else _field_by_field(model, rest) if set(further) == {()} else None
    return Checked(faults, None, partial)


def value_at(table: Any, path: KeyPath) -> Any:
    """What stands at a path, or ``None``."""
    for part in path:
        if isinstance(table, Mapping):
            table = table.get(str(part))
        elif isinstance(table, list | tuple) and isinstance(part, int) and part < len(table):
            table = table[part]
        else:
            return None
    return table


def has(table: Any, path: KeyPath) -> bool:
    """Whether something stands at a path."""
    outer, last = value_at(table, path[:-1]), path[-1]
    if isinstance(outer, Mapping):
        return last in outer
    return isinstance(outer, list | tuple) and isinstance(last, int) and last < len(outer)


def _fault(model: type[BaseModel], table: Mapping[str, Any], owner: str, path: KeyPath, details: list[ErrorDetails]) -> Fault:
    field = model_fields.field_at(model, path)
    if details[0]["type"] == "extra_forbidden":
        siblings = model_fields.fields_of(model, path[:-1])
        return Fault(path, *sentences.unknown_field(str(path[-1]), siblings, owner), unknown=True)
    return Fault(path, *sentences.describe(details, value_at(table, path), field))


def _field_by_field(model: type[M], table: Mapping[str, Any]) -> M | None:
    """The model without what it demands of its fields together."""
    values = {}
    for name, field in model.model_fields.items():
        if (field.alias or name) in table:
            try:
                values[name] = TypeAdapter(field.rebuild_annotation()).validate_python(table[field.alias or name])
            except ValidationError:
                return None
    return model.model_construct(**values)


def _with_none(model: type[BaseModel], table: Mapping[str, Any]) -> Mapping[str, Any]:
    for path in [path for path in _errors(model, table) if path and value_at(table, path) == "none"]:
        trial = copy.deepcopy(dict(table))
        container = value_at(trial, path[:-1])
        container[path[-1]] = None
        if path not in _errors(model, trial):
            table = trial
    return table


def _errors(model: type[BaseModel], table: Mapping[str, Any]) -> dict[KeyPath, list[ErrorDetails]]:
    """Pydantic's errors by the path in the table that they are about."""
    errors = _by_path(_validate(lambda: model.model_validate(table)), table)
    text = json.dumps(table, default=str)
    # Through JSON, in which strict mode takes lists for tuples and texts for paths. The models' own validators may hand on
    # what strict mode would refuse, so that of its errors only those are taken that are about plain values.
    strict = _by_path(_validate(lambda: model.model_validate_json(text, strict=True)), table)
    for path, details in strict.items():
        scalar = not isinstance(value_at(table, path), Mapping | list | tuple)
        refused = any(item["type"].endswith(("_type", "_parsing")) for item in errors.get(path, ()))
        if scalar and not refused and all(item["type"] in _SCALAR_TYPES for item in details):
            errors[path] = details
    return errors


def _validate(validation: Callable[[], object]) -> list[ErrorDetails]:
    try:
        validation()
    except ValidationError as error:
        return error.errors(include_url=False)
    return []


def _by_path(errors: Iterable[ErrorDetails], table: Mapping[str, Any]) -> dict[KeyPath, list[ErrorDetails]]:
    placed = [(*_path_of(details, table), details) for details in errors]
    # Where one alternative of a union took a value and found faults inside it, the others have nothing to add.
    entered = {union for path, unions, _ in placed for union in unions if len(path) > len(union)}
    grouped: dict[KeyPath, list[ErrorDetails]] = {}
    for path, unions, details in placed:
        if not (path in entered and path in unions):
            grouped.setdefault(path, []).append(details)
    return grouped


def _path_of(details: ErrorDetails, table: Mapping[str, Any]) -> tuple[KeyPath, frozenset[KeyPath]]:
    """The path that an error is about, and those of the unions on the way, whose alternatives pydantic names in between."""
    path: KeyPath = ()
    unions: set[KeyPath] = set()
    missing = details["type"] == "missing"
    for part in details["loc"][:-1] if missing else details["loc"]:
        if has(table, (*path, part)):
            path = (*path, part)
        else:
            unions.add(path)
    if missing and isinstance(value_at(table, path), Mapping):  # in a list, elements are missing from the list itself
        path = (*path, details["loc"][-1])
    return path, frozenset(unions)
