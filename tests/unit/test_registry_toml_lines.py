"""The line of every key of a TOML document, for all of TOML's ways to write one."""

from __future__ import annotations

import tomllib
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from tamingplat.registry import KeyPath, key_lines, line_of

DOCUMENT = '''\
# a comment with [brackets] and = signs
schema = 1   # line 2

[plugin.tamingplat_vq]
provides = [
    "tokenizer:vqvae",   # line 6
    "tokenizer:vqgan",
]
"quoted \\u00e9 key" = 'literal ] }'
a.b . "c d" = 1979-05-27 07:32:00

[preset."tokenizer:vqgan".small]
config = { width = 3, inner = { depth = [1, 2] } }
text = """
[not.a.table]
not = "a key" \\"""
"""
raw = \'\'\'
x = 1\'\'\'

[[cells]]
name = "first"
[cells.options]
on = true
[[cells]]
name = "second"
[[cells.parts]]
size = -1.5e3
'''


def _paths(value: Any, path: KeyPath = ()) -> list[KeyPath]:
    if isinstance(value, dict):
        return [path, *(inner for key, child in value.items() for inner in _paths(child, (*path, key)))]
    if isinstance(value, list):
        return [path, *(inner for index, child in enumerate(value) for inner in _paths(child, (*path, index)))]
    return [path]


def test_every_key_of_a_document_has_its_line() -> None:
    lines = key_lines(DOCUMENT)
    expected = {
        ("schema",): 2,
        ("plugin", "tamingplat_vq"): 4,
        ("plugin", "tamingplat_vq", "provides"): 5,
        ("plugin", "tamingplat_vq", "provides", 0): 6,
        ("plugin", "tamingplat_vq", "provides", 1): 7,
        ("plugin", "tamingplat_vq", "quoted é key"): 9,
        ("plugin", "tamingplat_vq", "a", "b", "c d"): 10,
        ("preset", "tokenizer:vqgan", "small"): 12,
        ("preset", "tokenizer:vqgan", "small", "config", "inner", "depth", 1): 13,
        ("preset", "tokenizer:vqgan", "small", "text"): 14,
        ("preset", "tokenizer:vqgan", "small", "raw"): 18,
        ("cells",): 21,
        ("cells", 0): 21,
        ("cells", 0, "name"): 22,
        ("cells", 0, "options"): 23,
        ("cells", 0, "options", "on"): 24,
        ("cells", 1): 25,
        ("cells", 1, "name"): 26,
        ("cells", 1, "parts", 0, "size"): 28,
    }
    assert {path: lines.get(path) for path in expected} == expected
    assert set(_paths(tomllib.loads(DOCUMENT))) - {()} == set(lines)


def test_an_absent_key_has_the_line_of_the_table_around_it() -> None:
    lines = key_lines(DOCUMENT)
    assert line_of(lines, ("plugin", "tamingplat_vq", "distribution")) == 4
    assert line_of(lines, ("alias",)) == 1
    assert line_of({}, ()) == 1


_KEYS = st.text(st.characters(codec="utf-8", exclude_categories=["Cs", "Cc"]), max_size=6)
_VALUES = st.recursive(
    st.one_of(st.integers(-9, 9), st.booleans(), st.text(st.characters(exclude_categories=["Cs", "Cc"]), max_size=6)),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(_KEYS, inner, max_size=3)),
    max_leaves=8,
)


def _text(value: str) -> str:
    return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'


def _toml(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str):
        return _text(value)
    if isinstance(value, list):
        return "[" + ",\n".join(map(_toml, value)) + "\n]"
    if isinstance(value, dict):
        return "{ " + ", ".join(f"{_text(key)} = {_toml(inner)}" for key, inner in value.items()) + " }"
    return str(value)


@given(st.dictionaries(_KEYS, _VALUES, max_size=4))
def test_no_key_is_missed_and_none_invented(values: dict[str, Any]) -> None:
    document = "".join(f"{_text(key)} = {_toml(value)}\n" for key, value in values.items())
    assert tomllib.loads(document) == values
    lines = key_lines(document)
    assert set(lines) == set(_paths(values)) - {()}
    written = document.split("\n")
    for key in values:
        assert written[lines[key,] - 1].startswith(f"{_text(key)} =")
