"""Content keys: the same specification has the same key on every machine, and another one has another."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping
from typing import Any


def canonical_json(value: object) -> str:
    """The one JSON text of a value made of mappings, lists, strings, numbers, booleans and ``None``.

    Names are sorted, nothing is padded, text stays as it is (no escapes beyond JSON's own), and a float is written as ``repr``
    writes it. Values that are equal in Python can therefore differ here: ``1`` and ``1.0``, ``0.0`` and ``-0.0``. A setting
    keeps its type through pydantic, so that one setting always has one text. A tuple and a list are the same.

    Raises:
        ValueError: A number is not finite, or a text has no UTF-8 encoding.
        TypeError: Something is of another type (a path, an enumeration, a NumPy scalar), or a name is not a string.
            Both messages say where, as in ``train.betas[1]``.
    """
    return json.dumps(_plain(value, ""), ensure_ascii=False, allow_nan=False, sort_keys=True, separators=(",", ":"))


def content_key(spec: Mapping[str, object]) -> str:
    """SHA-256 of the canonical JSON of a specification: 64 hexadecimal digits."""
    return hashlib.sha256(canonical_json(spec).encode()).hexdigest()


def _plain(value: object, where: str) -> Any:
    # Exact types: a subclass may print as something other than what it equals (a str enumeration, np.float64).
    if value is None or type(value) in (bool, int):
        return value
    if type(value) is str:
        return _encodable(value, where)
    if type(value) is float:
        if not math.isfinite(value):
            raise ValueError(f"{_place(where)} is {value}; a key takes finite numbers only")
        return value
    if isinstance(value, Mapping):
        for name in value:
            if type(name) is not str:
                raise TypeError(f"{_place(where)} has the name {name!r}, which is not a string")
        return {_encodable(name, where): _plain(item, f"{where}.{name}" if where else name) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item, f"{where}[{index}]") for index, item in enumerate(value)]
    raise TypeError(f"{_place(where)} is {value!r} of type {type(value).__qualname__}, which has no canonical JSON")


def _encodable(text: str, where: str) -> str:
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise ValueError(f"{_place(where)} holds {text!r}, which has no UTF-8 encoding") from error
    return text


def _place(where: str) -> str:
    return where or "the value"
