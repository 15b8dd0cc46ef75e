"""Reading a manifest: the TOML document, the overrides laid over it, and the place of everything in both."""

from __future__ import annotations

import ast
import math
import re
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from tamingplat.interfaces import Problem, ProblemsError
from tamingplat.manifest.paths import format_path, split_assignment
from tamingplat.manifest.problems import Location, raise_problems
from tamingplat.registry import KeyPath, key_lines, line_of

_POSITION = re.compile(r" \(at (?:line (?P<line>\d+), column (?P<column>\d+)|end of document)\)$")
_DECLARED_TWICE = re.compile(r"Cannot declare (?P<keys>\(.*\)) twice")
_DEEPEST = 50
"""Most tables and lists inside each other."""


@dataclass(frozen=True)
class Override:
    """One ``--set key=value``.

    Attributes:
        text: As the user gave it.
        path: Where it puts its value.
        value: The parsed value.
    """

    text: str
    path: KeyPath
    value: Any

    @property
    def where(self) -> str:
        """What a message about it begins with."""
        return f"--set {self.text}"


@dataclass(frozen=True, eq=False)
class Document:
    """A manifest as it was written, with the overrides in it.

    Attributes:
        path: The file.
        data: Its tables, overrides included.
        lines: Where its keys stand.
        overrides: What was set beside the file, in the order given.
    """

    path: Path
    data: Mapping[str, Any]
    lines: Mapping[KeyPath, int]
    overrides: tuple[Override, ...] = ()

    @cached_property
    def _order(self) -> Mapping[KeyPath, int]:
        """The place of every path among all of them, in the order of the file."""
        paths = sorted(self.lines, key=self.lines.__getitem__)
        return {path: place for place, path in enumerate(paths)}

    @property
    def folder(self) -> Path:
        """The folder that relative paths of the manifest start from, absolute."""
        return self.path.absolute().parent

    def locate(self, path: KeyPath) -> Location:
        """The place of a path, which need not exist: then of the nearest table or list around it."""
        index = self._override(path)
        if index is None:
            around = (path[:length] for length in range(len(path), 0, -1))
            place = next((self._order[part] for part in around if part in self._order), -1)
            rank, text = (0, place), f"{self.path}:{line_of(self.lines, path)}"
        else:
            rank, text = (1, index), self.overrides[index].where
        return Location(rank, f"{text}: {format_path(path)}" if path else text)

    def _override(self, path: KeyPath) -> int | None:
        """Index of the override that a value comes from, or that made the table which a value is missing from."""
        covering = [index for index, override in enumerate(self.overrides) if path[: len(override.path)] == override.path]
        if covering:
            return covering[-1]
        for length in range(len(path), 0, -1):
            if path[:length] in self.lines:
                return None
            for index, override in enumerate(self.overrides):
                if override.path[:length] == path[:length]:
                    return index
        return None


def read_document(path: Path, overrides: Sequence[str] = ()) -> Document:
    """Read a manifest and lay overrides over it.

    Args:
        path: The file. Messages name it as it is given here.
        overrides: Texts ``key=value``: a dotted path into the document, in which a number counts along a list, and a TOML
            value; what is no TOML value is a text.

    Raises:
        ProblemsError: The file cannot be read or is not TOML, or an override cannot be read or has no place in the document;
            everything that is wrong.
    """
    parsed = [_parse_override(text) for text in overrides]
    unreadable = [item for item in parsed if isinstance(item, Problem)]
    text = _read_text(path)
    parsed_file = _parse(path, text) if isinstance(text, str) else text
    if isinstance(parsed_file, Problem):
        raise ProblemsError([parsed_file, *unreadable])
    data, lines = parsed_file
    placed = [_put(data, item) for item in parsed if isinstance(item, Override)]
    raise_problems([*unreadable, *(item for item in placed if isinstance(item, Problem))])
    return Document(path, data, lines, tuple(item for item in placed if isinstance(item, Override)))


def non_finite(value: Any, path: KeyPath = ()) -> Iterator[tuple[KeyPath, float]]:
    """Every NaN and infinity in a document, with its path."""
    if isinstance(value, float) and not math.isfinite(value):
        yield path, value
    elif isinstance(value, Mapping):
        for key, inner in value.items():
            yield from non_finite(inner, (*path, key))
    elif isinstance(value, list):
        for index, inner in enumerate(value):
            yield from non_finite(inner, (*path, index))


def _read_text(path: Path) -> str | Problem:
    try:
        content = path.read_bytes()
    except OSError as error:
        reason = "no such file" if isinstance(error, FileNotFoundError) else f"cannot be read: {error.strerror}"
        return Problem(str(path), reason)
    try:
        return content.decode("utf-8-sig").replace("\r\n", "\n")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        return Problem(f"{path}:{line}", "not UTF-8 text", "save the file as UTF-8")


def _parse(path: Path, text: str) -> tuple[dict[str, Any], dict[KeyPath, int]] | Problem:
    try:
        data = tomllib.loads(text)
        lines = key_lines(text)
    except RecursionError:
        return Problem(str(path), "lists or tables are nested too deeply")
    except ValueError as error:
        message = str(error)
        place = _POSITION.search(message)
        line, column = text.count("\n") + 1, ""
        if place is not None:
            message = message[: place.start()]
            if place["line"]:
                line, column = int(place["line"]), f" (column {place['column']})"
        return Problem(f"{path}:{line}", f"not valid TOML: {_in_words(message)}{column}")
    deepest = max(lines, key=len, default=())
    if len(deepest) > _DEEPEST:
        return Problem(f"{path}:{lines[deepest]}", "lists or tables are nested too deeply")
    return data, lines


def _in_words(message: str) -> str:
    twice = _DECLARED_TWICE.fullmatch(message)
    if twice is not None:
        return f"the table {format_path(ast.literal_eval(twice['keys']))} is declared twice"
    return message[:1].lower() + message[1:]


def _parse_override(text: str) -> Override | Problem:
    try:
        key, value = split_assignment(text)
    except ValueError:
        return Problem(f"--set {text}", "not key=value", "write --set prior.gpt.train.steps=100 or the like")
    value = value.strip()
    if not value:
        return Problem(f"--set {text}", "no value", f'for an empty text write {format_path(key)}=""')
    try:
        parsed = tomllib.loads(f"value = {value}")
    except (ValueError, RecursionError) as error:
        if value[0] in "[{\"'" or "\n" in value:
            return Problem(f"--set {text}", f"not a TOML value: {_POSITION.sub('', str(error))}")
        parsed = {"value": value}
    if len(parsed) != 1:
        return Problem(f"--set {text}", "more than one value")
    return Override(text, key, parsed["value"])


def _put(data: dict[str, Any], override: Override) -> Override | Problem:
    """Set a value in the document; the override comes back with indices for the numbers that count along a list."""
    container: Any = data
    path: KeyPath = ()
    for depth, part in enumerate(override.path):
        last = depth == len(override.path) - 1
        step: str | int = part
        if isinstance(container, list):
            if not (isinstance(part, str) and part.isdecimal() and int(part) < len(container)):
                what = f"{format_path(path)} is a list of {len(container)}, which has no {format_path((part,))}"
                return Problem(override.where, what, "count along it from 0, or set the whole list")
            step = int(part)
        elif not isinstance(container, dict):
            return Problem(override.where, f"{format_path(path)} is not a table, so nothing can be set in it")
        path = (*path, step)
        if last:
            container[step] = override.value
        elif isinstance(container, dict):
            container = container.setdefault(part, {})
        else:
            container = container[step]
    return Override(override.text, path, override.value)
