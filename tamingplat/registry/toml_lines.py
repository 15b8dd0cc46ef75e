"""The line on which each key of a TOML document stands, which ``tomllib`` does not tell."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping

KeyPath = tuple[str | int, ...]

_BLANK = re.compile(r"(?:[ \t\r\n]|#[^\n]*)*")
_SPACE = re.compile(r"[ \t]*")
_BARE_KEY = re.compile(r"[A-Za-z0-9_-]+")
_STRING = re.compile(r'"""(?:[^\\]|\\.)*?"{3,5}' r"|'''.*?'{3,5}" r'|"(?:[^"\\\n]|\\.)*"' r"|'[^'\n]*'", re.DOTALL)
_SCALAR = re.compile(r"[^,\]}#\r\n]+")


def key_lines(text: str) -> dict[KeyPath, int]:
    """Line, from 1, of every key and array element by its path.

    Args:
        text: A document that ``tomllib`` has already accepted; the scanner relies on its being valid.
    """
    return _Scanner(text).document()


def line_of(lines: Mapping[KeyPath, int], path: KeyPath) -> int:
    """The line of ``path``, else of the nearest table around it, else 1."""
    for length in range(len(path), 0, -1):
        if path[:length] in lines:
            return lines[path[:length]]
    return 1


class _Scanner:
    """Walks a valid document once and notes where each key begins."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.position = 0
        self.lines: dict[KeyPath, int] = {}
        self.counts: dict[KeyPath, int] = {}

    def document(self) -> dict[KeyPath, int]:
        table: KeyPath = ()
        self._skip(_BLANK)
        while self.position < len(self.text):
            table = self._header() if self._peek() == "[" else self._pair(table)
            self._skip(_BLANK)
        return self.lines

    def _header(self) -> KeyPath:
        start = self.position
        brackets = 2 if self.text.startswith("[[", start) else 1
        self.position += brackets
        path = self._inside_arrays(self._key(), exclude_last=brackets == 2)
        self._skip(_SPACE)
        self.position += brackets
        if brackets == 2:
            index = self.counts.get(path, 0)
            self.counts[path] = index + 1
            self._note(path, start)
            path = (*path, index)
        for length in range(1, len(path) + 1):
            self._note(path[:length], start)
        return path

    def _inside_arrays(self, key: KeyPath, *, exclude_last: bool) -> KeyPath:
        """A header's key with the index of the current element after each array of tables that it passes through."""
        path: KeyPath = ()
        for place, part in enumerate(key):
            path = (*path, part)
            if path in self.counts and not (exclude_last and place == len(key) - 1):
                path = (*path, self.counts[path] - 1)
        return path

    def _pair(self, table: KeyPath) -> KeyPath:
        """Scan ``key = value`` and return the table that it stands in."""
        start = self.position
        key = self._key()
        for length in range(1, len(key) + 1):
            self._note((*table, *key[:length]), start)
        self._skip(_SPACE)
        assert self._peek() == "=", f"no '=' at {self.position}"
        self.position += 1
        self._skip(_SPACE)
        self._value((*table, *key))
        return table

    def _key(self) -> KeyPath:
        parts: list[str] = []
        while True:
            self._skip(_SPACE)
            if self._peek() in "\"'":
                parts.append(tomllib.loads(f"key = {self._take(_STRING)}")["key"])
            else:
                parts.append(self._take(_BARE_KEY))
            self._skip(_SPACE)
            if self._peek() != ".":
                return tuple(parts)
            self.position += 1

    def _value(self, path: KeyPath) -> None:
        opening = self._peek()
        if opening == "[":
            self._members(path, "]")
        elif opening == "{":
            self._members(path, "}")
        else:
            self._take(_STRING if opening in "\"'" else _SCALAR)

    def _members(self, path: KeyPath, closing: str) -> None:
        self.position += 1
        index = 0
        self._skip(_BLANK)
        while self._peek() != closing:
            if closing == "}":
                self._pair(path)
            else:
                self._note((*path, index), self.position)
                self._value((*path, index))
                index += 1
            self._skip(_BLANK)
            if self._peek() == ",":
                self.position += 1
                self._skip(_BLANK)
        self.position += 1

    def _note(self, path: KeyPath, position: int) -> None:
        self.lines.setdefault(path, self.text.count("\n", 0, position) + 1)

    def _peek(self) -> str:
        assert self.position < len(self.text), "the document ends inside a value"
        return self.text[self.position]

    def _skip(self, pattern: re.Pattern[str]) -> None:
        found = pattern.match(self.text, self.position)
        assert found is not None, "a pattern of optional parts always matches"
        self.position = found.end()

    def _take(self, pattern: re.Pattern[str]) -> str:
        found = pattern.match(self.text, self.position)
        assert found is not None, f"nothing of the kind at {self.position}"
        self.position = found.end()
        return found.group()
