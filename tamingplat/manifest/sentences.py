"""Pydantic's errors as plain sentences about a manifest."""

from __future__ import annotations

import json
import math
import re
import typing
from collections.abc import Mapping, Sequence
from typing import Any

import annotated_types as limits
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails

from tamingplat.interfaces import Selection
from tamingplat.manifest.model_fields import accepts_none, alternatives
from tamingplat.registry import did_you_mean

_EXPECTED: Mapping[str, str] = {
    "int_type": "an integer",
    "int_parsing": "an integer",
    "int_from_float": "an integer",
    "float_type": "a number",
    "float_parsing": "a number",
    "bool_type": "true or false",
    "bool_parsing": "true or false",
    "string_type": "text",
    "path_type": "a path",
    "list_type": "a list",
    "tuple_type": "a list",
    "set_type": "a list",
    "frozen_set_type": "a list",
    "dict_type": "a table",
    "mapping_type": "a table",
    "model_type": "a table",
    "model_attributes_type": "a table",
    "dataclass_type": "a table",
}
"""What pydantic wanted, by the type of its error."""

_CHOICES = ("literal_error", "enum")
_LIMITS = ("greater_than", "greater_than_equal", "less_than", "less_than_equal")
_LONGEST = 60


def unknown_field(name: str, fields: Sequence[str], owner: str) -> tuple[str, str]:
    """What is wrong with a field that does not exist, and what to do."""
    remedy = did_you_mean(name, fields)
    if not remedy:
        remedy = f"its fields are {', '.join(fields)}" if fields else "it has none"
    return f"unknown field of {owner}", remedy


def describe(details: Sequence[ErrorDetails], value: Any, field: FieldInfo | None) -> tuple[str, str]:
    """What is wrong with a value, and what to do, which may be empty.

    Args:
        details: Pydantic's errors about it; several where none of several types fits.
        value: The value as TOML gave it.
        field: The field that it is the value of, if it is one.
    """
    if isinstance(value, float) and not math.isfinite(value):
        return f"must be a finite number, not {shown(value)}", ""
    telling = [error for error in details if error["type"] not in (*_EXPECTED, *_CHOICES)]
    if telling:
        return _telling(telling[0], value, field)
    expected = list(dict.fromkeys(text for error in details for text in _expectations(error)))
    if field is not None and accepts_none(field.annotation) and "text" not in expected:
        expected.append('"none"')
    remedy = did_you_mean(value, [text[1:-1] for text in expected if text[0] == '"']) if isinstance(value, str) else ""
    return f"must be {_either(expected)}, not {shown(value)}", remedy or _written_otherwise(expected, value)


def shown(value: Any) -> str:
    """A value as TOML writes it; a long one is cut, and a list or a table only named."""
    if isinstance(value, Mapping):
        return "a table"
    if isinstance(value, list | tuple):
        return "a list" if value else "an empty list"
    if isinstance(value, bool | str):
        text = json.dumps(value, ensure_ascii=False)
        return text if len(text) <= _LONGEST else f'{text[:_LONGEST]}…"'
    return str(value)


def _expectations(error: ErrorDetails) -> list[str]:
    if error["type"] == "model_type" and error["ctx"]["class_name"] == Selection.__name__:
        return ["a name", "a table"]
    if error["type"] in _EXPECTED:
        return [_EXPECTED[error["type"]]]
    expected = str(error["ctx"]["expected"])  # 'adam', 'adamw' or 3
    return [text.replace("'", '"') for text in re.findall(r"'[^']*'|[^\s,']+", expected) if text != "or"]


def _telling(error: ErrorDetails, value: Any, field: FieldInfo | None) -> tuple[str, str]:
    kind, context = error["type"], error.get("ctx", {})
    if kind in _LIMITS:
        return f"must be {_range(kind, context, field)}, not {shown(value)}", ""
    if kind == "missing":
        return _wrong_length(value, field) if isinstance(value, list | tuple) else ("is required", "")
    if kind in ("too_short", "too_long"):
        if not value:
            return "must not be empty", ""
        return _wrong_length(value, field, context)
    if kind == "string_too_short" and not value:
        return "must not be empty", ""
    if kind == "finite_number":
        return f"must be a finite number, not {shown(value)}", ""
    if kind == "multiple_of":
        return f"must be a multiple of {context['multiple_of']}, not {shown(value)}", ""
    if kind == "string_pattern_mismatch":
        return f"must match {context['pattern']}, not {shown(value)}", ""
    if kind in ("value_error", "assertion_error"):
        return str(context["error"]), ""
    message = (
        error["msg"].replace("Input should be", "must be").replace("String should", "must").replace("Value should", "must")
    )
    return f"{message[:1].lower()}{message[1:]}, not {shown(value)}", ""


def _range(kind: str, context: Mapping[str, Any], field: FieldInfo | None) -> str:
    """The allowed range: the limit that was passed, with the opposite one where the field states both."""
    bounds = {name: context[key] for name, key in zip(_LIMITS, ("gt", "ge", "lt", "le"), strict=True) if name == kind}
    for item in field.metadata if field is not None else ():
        match item:
            case limits.Gt(gt=bound):
                bounds.setdefault("greater_than", bound)
            case limits.Ge(ge=bound):
                bounds.setdefault("greater_than_equal", bound)
            case limits.Lt(lt=bound):
                bounds.setdefault("less_than", bound)
            case limits.Le(le=bound):
                bounds.setdefault("less_than_equal", bound)
    texts = {name: shown(_plain(bound)) for name, bound in bounds.items()}
    if {"greater_than_equal", "less_than_equal"} <= texts.keys():
        return f"between {texts['greater_than_equal']} and {texts['less_than_equal']}"
    words = {"greater_than": "above", "greater_than_equal": "at least", "less_than": "below", "less_than_equal": "at most"}
    return " and ".join(f"{word} {texts[name]}" for name, word in words.items() if name in texts)


def _plain(bound: Any) -> Any:
    return int(bound) if isinstance(bound, float) and bound.is_integer() and abs(bound) < 1e15 else bound


def _wrong_length(value: Sequence[Any], field: FieldInfo | None, context: Mapping[str, Any] | None = None) -> tuple[str, str]:
    lengths = [
        len(typing.get_args(annotation))
        for annotation in (alternatives(field.annotation) if field is not None else ())
        if typing.get_origin(annotation) is tuple and Ellipsis not in typing.get_args(annotation)
    ]
    if lengths:
        wanted = f"{_either([str(length) for length in lengths])} values"
    elif context and "min_length" in context:
        wanted = f"at least {context['min_length']} values"
    elif context and "max_length" in context:
        wanted = f"at most {context['max_length']} values"
    else:
        wanted = "more values"
    return f"must have {wanted}, not {len(value)}", ""


def _either(options: Sequence[str]) -> str:
    *most, last = options
    return f"{', '.join(most)} or {last}" if most else last


def _written_otherwise(expected: Sequence[str], value: Any) -> str:
    if isinstance(value, float) and value.is_integer() and "an integer" in expected and abs(value) < 1e15:
        return f"write {int(value)}"
    if isinstance(value, str) and _reads_as(value, expected):
        return "write it without quotation marks"
    if "a list" in expected and isinstance(value, str | int | float):
        return f"write [{shown(value)}]"
    if "text" in expected and isinstance(value, bool | int | float):
        return "write it in quotation marks"
    return ""


def _reads_as(value: str, expected: Sequence[str]) -> bool:
    try:
        number = float(value)
    except ValueError:
        return "true or false" in expected and value in ("true", "false")
    return "a number" in expected or ("an integer" in expected and number.is_integer())
