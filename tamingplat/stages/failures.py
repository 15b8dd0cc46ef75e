"""What went wrong in a stage, kept beside the store's artifacts until the stage succeeds."""

from __future__ import annotations

import json
import os
import time
import traceback
from pathlib import Path

from tamingplat.engine import out_of_memory
from tamingplat.interfaces import TamingplatError
from tamingplat.store import Store


def _path(store: Store, key: str) -> Path:
    return store.root / "failures" / f"{key}.json"


def describe(error: BaseException) -> str:
    """One line for a person: the message alone where a user can mend it, with the type where it is a fault of ours."""
    if isinstance(error, TamingplatError):
        return str(error)
    return out_of_memory(error) or f"{type(error).__name__}: {error}"


def record_failure(store: Store, key: str, label: str, error: BaseException) -> None:
    """Keep an error with its traceback."""
    path = _path(store, key)
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_suffix(f".{os.getpid()}.tmp")
    content = {
        "key": key,
        "stage": label,
        "error": describe(error),
        "traceback": "".join(traceback.format_exception(error)),
        "time": time.strftime("%Y-%m-%dT%H:%M:%S%z"),
    }
    beside.write_text(json.dumps(content, indent=2), encoding="utf-8")
    beside.replace(path)


def read_failure(store: Store, key: str) -> str | None:
    """The error of a stage's last run, or ``None`` where it did not fail."""
    path = _path(store, key)
    try:
        error: str = json.loads(path.read_text(encoding="utf-8"))["error"]
    except FileNotFoundError:
        return None
    return error


def forget_failure(store: Store, key: str) -> None:
    """The stage has succeeded."""
    _path(store, key).unlink(missing_ok=True)
