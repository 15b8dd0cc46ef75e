"""Names that people give to artifacts, such as imported ones."""

from __future__ import annotations

import difflib
import json
import re
from pathlib import Path

from tamingplat.interfaces import DataError, TamingplatError
from tamingplat.store.durable import make_directories, write_json
from tamingplat.store.layout import KEY, NAMES, STAGE

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")


def check_name(name: str) -> None:
    """Hold what is to name an artifact to the form of names.

    Raises:
        TamingplatError: It is malformed.
    """
    if not _NAME.fullmatch(name):
        raise TamingplatError(
            f"{name!r} cannot name an artifact; a name has up to 100 letters, digits, dots, hyphens and underscores, "
            "and begins with a letter or a digit"
        )


def write_name(root: Path, name: str, stage: str, key: str, *, replace: bool) -> None:
    """Let a name lead to an artifact.

    Raises:
        TamingplatError: The name is malformed, or leads to another artifact and ``replace`` is not set.
    """
    path = _path(root, name)
    if path.exists() and not replace:
        present = read_name(root, name)
        if present != (stage, key):
            raise TamingplatError(f"{path}: the name {name!r} stands for {present[0]} {present[1][:12]}; choose another")
        return
    make_directories(path.parent, root)
    write_json(path, {"stage": stage, "key": key})


def read_name(root: Path, name: str) -> tuple[str, str]:
    """Stage and key of what a name leads to.

    Raises:
        TamingplatError: The name is malformed, or nothing has it; the message offers the nearest.
        DataError: Its file is unreadable.
    """
    path = _path(root, name)
    try:
        entry = json.loads(path.read_text(encoding="utf-8"))
        stage, key = entry["stage"], entry["key"]
        if not (STAGE.fullmatch(stage) and KEY.fullmatch(key)):
            raise ValueError("it leads to no artifact")
    except FileNotFoundError as error:
        near = difflib.get_close_matches(name, list_names(root), n=1)
        hint = f"did you mean {near[0]}?" if near else f"its names are: {', '.join(list_names(root)) or 'none'}"
        raise TamingplatError(f"{root}: no artifact of this store is named {name!r}; {hint}") from error
    except OSError as error:
        raise DataError(f"{path}: the name cannot be read: {error.strerror}") from error
    except (ValueError, KeyError, TypeError) as error:
        raise DataError(f"{path}: the name is damaged ({error}); delete this file and import the artifact again") from error
    return stage, key


def list_names(root: Path) -> tuple[str, ...]:
    """Every name, sorted."""
    folder = root / NAMES
    if not folder.is_dir():
        return ()
    return tuple(sorted(path.stem for path in folder.iterdir() if path.suffix == ".json" and _NAME.fullmatch(path.stem)))


def _path(root: Path, name: str) -> Path:
    check_name(name)
    return root / NAMES / f"{name}.json"
