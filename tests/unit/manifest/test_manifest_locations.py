"""Every path of a generated document is located on the line where its key stands, however TOML lets it be written."""

from __future__ import annotations

import json
import tomllib
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from tamingplat.registry import KeyPath, key_lines

_TEXT = st.text(st.sampled_from(["a", "é", " ", "#", "[", "]", "{", "}", "=", ",", "'", '"', "\\", "\n", "."]), max_size=6)
_KEYS = st.one_of(st.sampled_from(["a", "b", "c-1", "3"]), _TEXT.filter(lambda text: "\n" not in text))
_SCALARS = st.one_of(st.integers(-99, 99), st.booleans(), st.floats(allow_nan=False, allow_infinity=False), _TEXT)
_VALUES = st.recursive(
    _SCALARS,
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(_KEYS, inner, max_size=3)),
    max_leaves=12,
)
_DOCUMENTS = st.dictionaries(_KEYS, _VALUES, max_size=5)


class Writer:
    """Writes a document in a style that is drawn, and notes on which line each path is named first."""

    def __init__(self, data: st.DataObject) -> None:
        self.draw = lambda choices: data.draw(st.sampled_from(choices))
        self.text = ""
        self.lines: dict[KeyPath, int] = {}

    def note(self, path: KeyPath) -> None:
        for length in range(1, len(path) + 1):
            self.lines.setdefault(path[:length], self.text.count("\n") + 1)

    def end_line(self) -> None:
        self.text += self.draw(["", " ", "  # ] } = [x]", '\t# """']) + "\n" + self.draw(["", "\n", "# [a]\n"])

    def key(self, key: str) -> str:
        if key and all(character in "abc-13" for character in key) and self.draw([True, False]):
            return key
        if "'" not in key and self.draw([True, False]):
            return f"'{key}'"
        return json.dumps(key, ensure_ascii=self.draw([True, False]))

    def table(self, table: dict[str, Any], path: KeyPath) -> None:
        """The pairs of a table, then the tables inside it under headers of their own."""
        sections = []
        for key, value in table.items():
            tables = isinstance(value, list) and value and all(isinstance(item, dict) for item in value)
            if (isinstance(value, dict) or tables) and self.draw([True, False]):
                sections.append((key, value))
            else:
                self.pair([key], value, path)
        for key, value in sections:
            if isinstance(value, dict):
                self.section(value, (*path, key), "[]")
            else:
                for index, item in enumerate(value):
                    self.note((*path, key))
                    self.section(item, (*path, key, index), "[[]]")

    def section(self, table: dict[str, Any], path: KeyPath, brackets: str) -> None:
        half = len(brackets) // 2
        names = [part for part in path if isinstance(part, str)]
        self.note(path)
        space = self.draw(["", " "])
        self.text += brackets[:half] + space + f"{space}.{space}".join(map(self.key, names)) + space + brackets[half:]
        self.end_line()
        self.table(table, path)

    def pair(self, keys: list[str], value: Any, path: KeyPath) -> None:
        if isinstance(value, dict) and value and self.draw([True, False]):
            for key, inner in value.items():
                self.pair([*keys, key], inner, path)
            return
        self.note((*path, *keys))
        self.text += self.draw([".", " . "]).join(map(self.key, keys)) + self.draw(["=", " = "])
        self.value(value, (*path, *keys))
        self.end_line()

    def value(self, value: Any, path: KeyPath) -> None:
        if isinstance(value, dict):
            self.text += "{"
            for place, (key, inner) in enumerate(value.items()):
                self.text += ", " if place else " "
                self.note((*path, key))
                self.text += f"{self.key(key)} = "
                self.value(inner, (*path, key))
            self.text += "}"
        elif isinstance(value, list):
            self.text += "["
            for index, inner in enumerate(value):
                self.text += self.draw(["", " ", "\n", " # x, ]\n  "])
                self.note((*path, index))
                self.value(inner, (*path, index))
                self.text += "," if index < len(value) - 1 else self.draw(["", ",", "\n", ",\n# end\n"])
            self.text += "]"
        elif isinstance(value, str):
            self.text += self.string(value)
        elif isinstance(value, bool):
            self.text += str(value).lower()
        else:
            self.text += str(value)

    def string(self, value: str) -> str:
        styles = [json.dumps(value)]
        if "'" not in value and "\n" not in value:
            styles.append(f"'{value}'")
        if "'" not in value:
            styles.append(f"'''\n{value}'''")
        if '"' not in value:
            styles.append('"""\n' + json.dumps(value)[1:-1].replace("\\n", "\n") + '"""')
        return str(self.draw(styles))


def _paths(value: Any, path: KeyPath = ()) -> set[KeyPath]:
    inner: list[tuple[str | int, Any]] = []
    if isinstance(value, dict):
        inner = list(value.items())
    elif isinstance(value, list):
        inner = list(enumerate(value))
    return {(*path, key) for key, _ in inner}.union(*(_paths(child, (*path, key)) for key, child in inner))


@settings(max_examples=100, deadline=None)
@given(_DOCUMENTS, st.data(), st.booleans())
def test_every_path_of_a_document_is_located(document: dict[str, Any], data: st.DataObject, windows: bool) -> None:
    writer = Writer(data)
    writer.table(document, ())
    text = writer.text.replace("\n", "\r\n") if windows else writer.text
    assert tomllib.loads(text) == document
    assert key_lines(text) == writer.lines
    assert set(writer.lines) == _paths(document)


def test_strings_that_end_in_quotation_marks_do_not_hide_what_follows() -> None:
    text = 'a = """x"""""\nb = \'\'\'y\'\'\'\'\'\nc = ["""\n]""", 1979-05-27 07:32:00,\n2]\nd = "\\\\"\ne = """\\"""" \nf = 1\n'
    assert list(tomllib.loads(text)) == list("abcdef")
    expected = {"a": 1, "b": 2, "c": 3, "d": 6, "e": 7, "f": 8}
    assert key_lines(text) == {**{(key,): line for key, line in expected.items()}, ("c", 0): 3, ("c", 1): 4, ("c", 2): 5}
