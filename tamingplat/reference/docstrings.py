"""Docstrings, with the sections that they have in this project, as Markdown."""

from __future__ import annotations

import inspect
import re
import textwrap
from collections.abc import Iterator

_SECTION = re.compile(r"(Args|Arguments|Attributes|Returns|Raises|Yields):")
_LISTS = ("Args", "Arguments", "Attributes", "Raises")
_ITEM = re.compile(r"(\w+): (.*)", re.DOTALL)


def markdown(docstring: str | None) -> str:
    """A docstring as Markdown: paragraphs as they are, ``Args`` and the like as lists."""
    text = inspect.cleandoc(docstring or "")
    parts: list[str] = []
    for title, lines in _sections(text):
        body = _paragraphs(lines)
        if body:
            written = "\n".join(_items(lines)) if title in _LISTS else body
            parts.append(f"*{title}*\n\n{written}" if title else written)
    return _ticks("\n\n".join(parts))


def first_sentence(docstring: str | None) -> str:
    """The first paragraph of a docstring, in one line."""
    paragraph = inspect.cleandoc(docstring or "").partition("\n\n")[0]
    return _ticks(" ".join(paragraph.split()))


def _sections(text: str) -> Iterator[tuple[str, list[str]]]:
    """Title and lines of every section; what comes before the first has no title."""
    title = ""
    lines: list[str] = []
    for line in text.splitlines():
        heading = _SECTION.fullmatch(line)
        if heading or (title and line and not line[0].isspace()):
            yield title, lines
            title, lines = (heading[1], []) if heading else ("", [line])
        else:
            lines.append(line)
    yield title, lines


def _paragraphs(lines: list[str]) -> str:
    """Lines with every paragraph joined into one, but for lists and what is indented as code."""
    blocks = textwrap.dedent("\n".join(lines)).strip("\n").split("\n\n")
    joined = []
    for block in blocks:
        plain = not re.search(r"^(\s*[*-] |\s{4})", block, re.MULTILINE)
        joined.append(" ".join(block.split()) if plain else block)
    return "\n\n".join(joined)


def _items(lines: list[str]) -> Iterator[str]:
    """A line of Markdown for every item of a section: those that are indented further belong to the one before."""
    items: list[list[str]] = []
    for line in textwrap.dedent("\n".join(lines)).strip("\n").splitlines():
        if line and not line[0].isspace() and (_ITEM.match(line) or not items or items[-1][-1] == ""):
            items.append([line])
        elif items:
            items[-1].append(line)
    for item in items:
        text = " ".join(" ".join(item).split())
        named = _ITEM.fullmatch(text)
        yield f"- `{named[1]}`: {named[2]}" if named else f"- {text}"


def _ticks(text: str) -> str:
    return text.replace("``", "`")
