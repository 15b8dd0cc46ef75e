"""Writing so that a power cut leaves the old or the new, and hashing."""

from __future__ import annotations

import hashlib
import json
import os
import uuid
from collections.abc import Mapping
from pathlib import Path


def hash_file(path: Path) -> str:
    """SHA-256 of a file's content: 64 hexadecimal digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def sync(path: Path) -> None:
    """Wait until a file's content, or a folder's list of names, is on the disk."""
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def make_directories(path: Path, root: Path) -> None:
    """Make ``path`` and what is missing between it and ``root``, which exists, each durable in its parent."""
    missing = [folder for folder in (path, *path.parents) if folder.is_relative_to(root) and not folder.exists()]
    for folder in reversed(missing):
        folder.mkdir(exist_ok=True)
        sync(folder.parent)


def write_json(path: Path, value: Mapping[str, object]) -> None:
    """Write JSON beside ``path`` and rename it into place.

    What is not finite is written as Python's ``json`` writes and reads it (``NaN``, ``Infinity``): a loss that diverged is a
    result too.
    """
    text = json.dumps(value, ensure_ascii=False, indent=2) + "\n"
    temporary = path.with_name(f"{path.name}.{uuid.uuid4().hex}.tmp")
    try:
        with temporary.open("w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    sync(path.parent)
