"""Fingerprints of files and folders: what enters a content key in place of a path."""

from __future__ import annotations

import hashlib
import os
import stat
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

from tamingplat.interfaces import DataError
from tamingplat.store.durable import hash_file
from tamingplat.store.hash_cache import HashCache, Stamp

RECENT_NANOSECONDS = 2_000_000_000
"""A file that changed less than this before it was read is not remembered: a later change could leave the same time behind."""


def fingerprint(path: Path, cache: Path | None = None) -> str:
    """Content of a file or a folder as 64 hexadecimal digits.

    A file's is the SHA-256 of its content. A folder's is the SHA-256 over every file in it and below, hidden ones included:
    the relative POSIX path, a zero byte, the file's own SHA-256 and a line feed, in the order of the paths' bytes. Symbolic
    links are followed, so that a folder of links has the fingerprint of a folder of copies.

    Args:
        path: A file or a folder.
        cache: A file that remembers the hash of each file by absolute path, size and times, or ``None``. Several processes
            may share it. One that cannot be used is warned about and does without.

    Raises:
        DataError: Something is missing, unreadable, a dangling or circular link, neither file nor folder, or changes while it
            is read, or the folder has no file in it. The message names the path.
    """
    status = _status(path)
    with closing(HashCache(cache)) as remembered:
        if not stat.S_ISDIR(status.st_mode):
            return _file_hash(path, remembered)
        total, empty = hashlib.sha256(), True
        for name, file in _files(path, b"", ()):
            total.update(name + b"\0" + _file_hash(file, remembered).encode() + b"\n")
            empty = False
        if empty:
            raise DataError(f"{path}: the folder holds no file")
        return total.hexdigest()


def _files(folder: Path, prefix: bytes, ancestors: tuple[tuple[int, int], ...]) -> Iterator[tuple[bytes, Path]]:
    """Every file in a folder and below with its relative POSIX path, in the order of these; holds one folder at a time."""
    status = _status(folder)
    identity = (status.st_dev, status.st_ino)
    if identity in ancestors:
        raise DataError(f"{folder}: this link leads back to a folder that it lies in")
    try:
        with os.scandir(folder) as entries:
            # With the slash that follows a folder's name, this is the order of the whole paths.
            names = sorted((os.fsencode(entry.name) + (b"/" if _is_folder(entry) else b"")) for entry in entries)
    except OSError as error:
        raise DataError(f"{folder}: the folder cannot be read: {error.strerror}") from error
    for name in names:
        entry = folder / os.fsdecode(name.rstrip(b"/"))
        if name.endswith(b"/"):
            yield from _files(entry, prefix + name, (*ancestors, identity))
        else:
            yield prefix + name, entry


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:
        return False  # a link without an end, which is reported with its path when it is opened


def _file_hash(path: Path, remembered: HashCache) -> str:
    before = _status(path)
    if not stat.S_ISREG(before.st_mode):
        raise DataError(f"{path}: this is neither a file nor a folder")
    place, stamp = os.fsencode(path.absolute()), _stamp(before)
    known = remembered.get(place, stamp)
    if known is not None:
        return known
    begin = time.time_ns()
    try:
        digest = hash_file(path)
    except OSError as error:
        raise DataError(f"{path}: the file cannot be read: {error.strerror}") from error
    if _stamp(_status(path)) != stamp:
        raise DataError(f"{path}: the file changed while it was read; wait until it is complete")
    if begin - max(stamp.modified, stamp.changed) > RECENT_NANOSECONDS:
        remembered.put(place, stamp, digest)
    return digest


def _status(path: Path) -> os.stat_result:
    try:
        return path.stat()
    except FileNotFoundError as error:
        if path.is_symlink():
            raise DataError(f"{path}: this link leads to {path.readlink()}, which does not exist") from error
        raise DataError(f"{path}: there is no such file or folder") from error
    except OSError as error:
        raise DataError(f"{path}: this cannot be read: {error.strerror}") from error


def _stamp(status: os.stat_result) -> Stamp:
    # The time of change cannot be set by hand, unlike the time of modification.
    return Stamp(status.st_size, status.st_mtime_ns, status.st_ctime_ns)
