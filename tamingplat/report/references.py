"""Reading tables of published figures, of either layout."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from tamingplat.interfaces import Problem, ProblemsError
from tamingplat.report.published import PublishedTable
from tamingplat.report.published_sizes import PublishedSizes


def load_published(path: Path) -> PublishedTable | PublishedSizes:
    """Read a table of published figures: of metrics, or of numbers of parameters (``table = "parameters"``).

    Raises:
        ProblemsError: The file is no such table; everything that is wrong with it.
    """
    layout = PublishedSizes if "table" in (document := _read(path)) else PublishedTable
    try:
        return layout.model_validate(document)
    except ValidationError as error:
        problems = [
            Problem(_place(path, document, item["loc"]), _sentence(item["msg"]), _remedy(item["type"]))
            for item in error.errors()
        ]
        raise ProblemsError(problems) from None


def _read(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise ProblemsError([Problem(str(path), f"cannot be read: {error}", "name a TOML file")]) from None


def _place(path: Path, document: Mapping[str, Any], location: tuple[int | str, ...]) -> str:
    """``file: row 3 (RIN): parameters``; rows are counted from 1 and named by their label."""
    parts = [str(part) for part in location]
    if len(location) > 1 and location[0] == "row" and isinstance(location[1], int):
        row = document["row"][location[1]]
        label = f" ({row['label']})" if isinstance(row, Mapping) and "label" in row else ""
        parts = [f"row {location[1] + 1}{label}", *parts[2:]]
    return ": ".join([str(path), *parts])


def _sentence(message: str) -> str:
    message = message.removeprefix("Value error, ")
    return message[0].lower() + message[1:]


def _remedy(kind: str) -> str:
    return {"missing": "write it", "extra_forbidden": "remove it, or correct its name"}.get(kind, "")
