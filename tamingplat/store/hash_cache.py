"""What files hashed to when they were last read."""

from __future__ import annotations

import sqlite3
import warnings
from dataclasses import dataclass
from pathlib import Path

_TABLE = """
CREATE TABLE IF NOT EXISTS files (
    path BLOB PRIMARY KEY, size INTEGER NOT NULL, modified INTEGER NOT NULL, changed INTEGER NOT NULL, sha256 TEXT NOT NULL
) WITHOUT ROWID
"""
_BUSY_SECONDS = 30.0
_ROWS_PER_WRITE = 1000


@dataclass(frozen=True)
class Stamp:
    """What tells one state of a file from another without reading it: bytes, and two times in nanoseconds."""

    size: int
    modified: int
    changed: int


class HashCache:
    """Hashes of files by absolute path, in a SQLite file that several processes may share.

    It only ever saves time: in a folder that does not exist nothing is remembered, and where the file cannot be read or
    written, a warning names it.
    """

    def __init__(self, path: Path | None) -> None:
        self._path = path
        self._connection: sqlite3.Connection | None = None
        self._new: list[tuple[bytes, int, int, int, str]] = []
        if path is not None and path.parent.is_dir():
            try:
                self._connection = sqlite3.connect(path, timeout=_BUSY_SECONDS)
                with self._connection:
                    self._connection.execute(_TABLE)
            except sqlite3.Error as error:
                self._give_up(error)

    def get(self, path: bytes, stamp: Stamp) -> str | None:
        """The hash of a file that still looks the same, or ``None``."""
        if self._connection is None:
            return None
        query = "SELECT sha256 FROM files WHERE path = ? AND size = ? AND modified = ? AND changed = ?"
        try:
            row = self._connection.execute(query, (path, stamp.size, stamp.modified, stamp.changed)).fetchone()
        except sqlite3.Error as error:
            self._give_up(error)
            return None
        return None if row is None else str(row[0])

    def put(self, path: bytes, stamp: Stamp, sha256: str) -> None:
        """Remember the hash of a file."""
        self._new.append((path, stamp.size, stamp.modified, stamp.changed, sha256))
        if len(self._new) >= _ROWS_PER_WRITE:
            self._write()

    def close(self) -> None:
        """Write what is new and close the file."""
        self._write()
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _write(self) -> None:
        rows, self._new = self._new, []
        if self._connection is None or not rows:
            return
        try:
            with self._connection:
                self._connection.executemany("INSERT OR REPLACE INTO files VALUES (?, ?, ?, ?, ?)", rows)
        except sqlite3.Error as error:
            self._give_up(error)

    def _give_up(self, error: sqlite3.Error) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None
        message = (
            f"{self._path}: file hashes cannot be remembered ({error}), so that every file is read again; "
            "delete it if it is damaged"
        )
        warnings.warn(message, RuntimeWarning, stacklevel=2)
