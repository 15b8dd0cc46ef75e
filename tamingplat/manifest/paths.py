"""Dotted keys as a user writes them."""

from __future__ import annotations

import json
import re
import tomllib

from tamingplat.registry import KeyPath

_BARE_KEY = re.compile(r"[A-Za-z0-9_-]+")


def parse_key(text: str) -> tuple[str, ...]:
    """The parts of a dotted key such as ``tokenizer."my block".config``.

    Raises:
        ValueError: It is not one TOML key.
    """
    table = None if "\n" in text else _parsed(f"{text} = 0")
    parts: list[str] = []
    while isinstance(table, dict) and len(table) == 1:
        ((part, table),) = table.items()
        parts.append(part)
    if not parts or table != 0:
        raise ValueError(f"{text!r} is not a dotted key")
    return tuple(parts)


def split_assignment(text: str) -> tuple[tuple[str, ...], str]:
    """The dotted key before the first equals sign outside quotation marks, and the text behind it.

    Raises:
        ValueError: There is no such sign, or what stands before it is not a key.
    """
    for found in re.finditer("=", text):
        try:
            return parse_key(text[: found.start()]), text[found.end() :]
        except ValueError:
            continue
    raise ValueError(f"{text!r} is not key=value")


def format_path(path: KeyPath) -> str:
    """A path as a user would write it: ``matrix.exclude[0].prior``; a key that is not a bare one is quoted."""
    text = ""
    for part in path:
        if isinstance(part, int):
            text += f"[{part}]"
        else:
            key = part if _BARE_KEY.fullmatch(part) else json.dumps(part, ensure_ascii=False)
            text += f".{key}" if text else key
    return text


def _parsed(text: str) -> object:
    try:
        return tomllib.loads(text)
    except ValueError:
        return None
