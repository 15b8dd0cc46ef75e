from __future__ import annotations

import hashlib
import json
import random
from enum import StrEnum
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tamingplat.store import canonical_json, content_key

TEXT = st.text(st.characters(codec="utf-8"))
PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | TEXT,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXT, inner, max_size=4),
    max_leaves=12,
)


def test_the_text_is_fixed() -> None:
    value = {"b": [1, 1.0, True, None], "a": {"é": "ü\n", "Z": 1e-7, "z": 0.1}, "c": (2, 3)}
    assert canonical_json(value) == '{"a":{"Z":1e-07,"z":0.1,"é":"ü\\n"},"b":[1,1.0,true,null],"c":[2,3]}'


def test_the_key_is_the_hash_of_the_text() -> None:
    assert content_key({"x": 1}) == hashlib.sha256(b'{"x":1}').hexdigest()
    assert content_key({"x": 1}) != content_key({"x": 1.0})


@given(PLAIN)
def test_it_reads_back_as_what_it_was(value: object) -> None:
    read = json.loads(canonical_json(value))
    assert read == value
    assert canonical_json(read) == canonical_json(value)


@given(st.dictionaries(TEXT, st.integers(), min_size=2, max_size=6), st.randoms())
def test_the_order_of_names_does_not_matter(value: dict[str, int], shuffler: random.Random) -> None:
    items = list(value.items())
    shuffler.shuffle(items)
    assert content_key(dict(items)) == content_key(value)


@pytest.mark.parametrize("number", [float("nan"), float("inf"), float("-inf")])
def test_what_is_not_finite_is_refused_where_it_stands(number: float) -> None:
    with pytest.raises(ValueError, match=r"train\.betas\[1\] is .*finite"):
        canonical_json({"train": {"betas": [0.9, number]}})


class Colour(StrEnum):
    RED = "red"


@pytest.mark.parametrize("value", [Path("a"), b"a", {1}, np.float64(1.0), np.int64(1), Colour.RED, object()])
def test_other_types_are_refused_where_they_stand(value: object) -> None:
    with pytest.raises(TypeError, match=r"a\.b is .* of type"):
        canonical_json({"a": {"b": value}})


def test_names_that_are_not_strings_are_refused() -> None:
    with pytest.raises(TypeError, match="a has the name 1"):
        canonical_json({"a": {1: 2}})
    with pytest.raises(TypeError, match="the value has the name None"):
        canonical_json({None: 2})


def test_text_without_an_encoding_is_refused() -> None:
    with pytest.raises(ValueError, match=r"a\[0\] holds .* no UTF-8"):
        canonical_json({"a": ["\udc80"]})
    with pytest.raises(ValueError, match="no UTF-8"):
        canonical_json({"\udc80": 1})
