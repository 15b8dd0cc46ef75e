from __future__ import annotations

import errno
import hashlib
import os
import re
import shutil
import sqlite3
import time
import warnings
from collections.abc import Callable
from pathlib import Path

import pytest

from tamingplat.interfaces import DataError
from tamingplat.store import Store, fingerprint, fingerprints

AN_HOUR_AGO = 3600


@pytest.fixture
def hashed(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """The files that were read and hashed, in order."""
    original: Callable[[Path], str] = fingerprints.hash_file
    read: list[Path] = []

    def hash_file(path: Path) -> str:
        read.append(path)
        return original(path)

    monkeypatch.setattr(fingerprints, "hash_file", hash_file)
    return read


@pytest.fixture
def later(monkeypatch: pytest.MonkeyPatch) -> None:
    """An hour passes, so that files which were just written are no longer recent."""
    now = time.time_ns
    monkeypatch.setattr(time, "time_ns", lambda: now() + AN_HOUR_AGO * 1_000_000_000)


def _folder(root: Path, files: dict[str, bytes]) -> Path:
    for name, content in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(content)
    return root


FILES = {"b/1.png": b"one", "b.png": b"two", "a/c/2.png": b"three", ".hidden": b"", "ü.png": b"five"}


def test_a_file_is_its_sha256(tmp_path: Path) -> None:
    path = tmp_path / "x"
    path.write_bytes(b"content")
    assert fingerprint(path) == hashlib.sha256(b"content").hexdigest()


def test_a_folder_is_its_sorted_paths_and_hashes(tmp_path: Path) -> None:
    hashes = {name.encode(): hashlib.sha256(content).hexdigest().encode() for name, content in FILES.items()}
    lines = [name + b"\0" + digest + b"\n" for name, digest in sorted(hashes.items())]
    assert fingerprint(_folder(tmp_path / "x", FILES)) == hashlib.sha256(b"".join(lines)).hexdigest()


def test_a_folder_is_the_same_elsewhere_and_differs_with_every_change(tmp_path: Path) -> None:
    first = fingerprint(_folder(tmp_path / "x", FILES))
    assert fingerprint(_folder(tmp_path / "y", dict(reversed(FILES.items())))) == first
    changes = [FILES | {"b.png": b"twO"}, FILES | {"new": b""}, {**FILES, "a/c/3.png": b"three"}]
    changes.append({name: content for name, content in FILES.items() if name != ".hidden"})
    changes.append({("b/2.png" if name == "b/1.png" else name): content for name, content in FILES.items()})
    seen = {first, *(fingerprint(_folder(tmp_path / str(number), files)) for number, files in enumerate(changes))}
    assert len(seen) == 1 + len(changes)


def test_links_are_followed(tmp_path: Path) -> None:
    real = _folder(tmp_path / "real", FILES)
    linked = tmp_path / "linked"
    linked.mkdir()
    for entry in real.iterdir():
        (linked / entry.name).symlink_to(entry)
    assert fingerprint(linked) == fingerprint(real)


def test_names_that_are_not_utf8_count_too(tmp_path: Path) -> None:
    folder = tmp_path / "x"
    folder.mkdir()
    path = Path(os.fsdecode(os.fsencode(folder) + b"/\xff.png"))
    path.write_bytes(b"1")
    line = b"\xff.png\0" + hashlib.sha256(b"1").hexdigest().encode() + b"\n"
    assert fingerprint(folder, tmp_path / "cache") == hashlib.sha256(line).hexdigest()


def test_nothing_is_read_twice(tmp_path: Path, hashed: list[Path], later: None) -> None:
    folder, cache = _folder(tmp_path / "x", FILES), tmp_path / "cache"
    first = fingerprint(folder, cache)
    assert len(hashed) == len(FILES)
    assert fingerprint(folder, cache) == first
    assert fingerprint(folder / "b.png", cache) == hashlib.sha256(b"two").hexdigest()
    assert len(hashed) == len(FILES)
    (folder / "b.png").write_bytes(b"other")
    assert fingerprint(folder, cache) != first
    assert hashed[len(FILES) :] == [folder / "b.png"]


def test_a_change_that_keeps_size_and_time_is_seen(tmp_path: Path, later: None) -> None:
    path, cache = tmp_path / "x", tmp_path / "cache"
    path.write_bytes(b"1")
    os.utime(path, (1_000_000, 1_000_000))
    before = fingerprint(path, cache)
    time.sleep(0.02)  # the kernel's clock for files ticks every few milliseconds
    path.write_bytes(b"2")
    os.utime(path, (1_000_000, 1_000_000))
    assert fingerprint(path, cache) != before


def test_recent_files_are_not_remembered(tmp_path: Path, hashed: list[Path]) -> None:
    path, cache = tmp_path / "x", tmp_path / "cache"
    path.write_bytes(b"1")
    fingerprint(path, cache)
    fingerprint(path, cache)
    assert hashed == [path, path]


def test_a_file_that_changes_while_it_is_read_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "x"
    path.write_bytes(b"1")

    def growing(path: Path) -> str:
        path.write_bytes(path.read_bytes() + b"1")
        return "0" * 64

    monkeypatch.setattr(fingerprints, "hash_file", growing)
    with pytest.raises(DataError, match=f"{re.escape(str(path))}: .*changed while it was read"):
        fingerprint(path, tmp_path / "cache")


def test_errors_name_the_path(tmp_path: Path) -> None:
    missing, empty, dangling = tmp_path / "missing", tmp_path / "empty", tmp_path / "folder" / "dangling"
    (empty / "inner").mkdir(parents=True)
    dangling.parent.mkdir()
    dangling.symlink_to(missing)
    pipe = tmp_path / "pipes" / "pipe"
    pipe.parent.mkdir()
    os.mkfifo(pipe)
    loop = tmp_path / "loop" / "inner" / "back"
    loop.parent.mkdir(parents=True)
    loop.symlink_to(tmp_path / "loop")
    cases = [
        (missing, missing, "no such file or folder"),
        (empty, empty, "holds no file"),
        (dangling.parent, dangling, "does not exist"),
        (pipe.parent, pipe, "neither a file nor a folder"),
        (tmp_path / "loop", loop, "leads back to a folder that it lies in"),
    ]
    for given, named, what in cases:
        with pytest.raises(DataError, match=f"^{re.escape(str(named))}: .*{what}"):
            fingerprint(given)


def test_a_link_to_itself_is_named(tmp_path: Path) -> None:
    link = tmp_path / "x" / "self"
    link.parent.mkdir()
    link.symlink_to(link)
    with pytest.raises(DataError, match=re.escape(str(link))):
        fingerprint(link.parent)


def test_unreadable_files_are_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "x"
    path.write_bytes(b"1")

    def refused(path: Path) -> str:
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(path))  # the superuser is never refused for real

    monkeypatch.setattr(fingerprints, "hash_file", refused)
    with pytest.raises(DataError, match=f"{re.escape(str(path))}: the file cannot be read: Permission denied"):
        fingerprint(path)


def test_a_damaged_cache_is_named_and_done_without(tmp_path: Path) -> None:
    path, cache = tmp_path / "x", tmp_path / "cache"
    path.write_bytes(b"1")
    cache.write_bytes(b"this is no database" * 100)
    with pytest.warns(RuntimeWarning, match=re.escape(str(cache))):
        assert fingerprint(path, cache) == hashlib.sha256(b"1").hexdigest()
    assert cache.read_bytes().startswith(b"this is no database")


def test_a_cache_without_a_folder_is_not_made(tmp_path: Path) -> None:
    path = tmp_path / "x"
    path.write_bytes(b"1")
    with warnings.catch_warnings(action="error"):
        assert fingerprint(path, tmp_path / "none" / "cache") == hashlib.sha256(b"1").hexdigest()
    assert not (tmp_path / "none").exists()


def test_a_cache_that_another_process_reads_can_be_written(tmp_path: Path, hashed: list[Path], later: None) -> None:
    path, cache = tmp_path / "x", tmp_path / "cache"
    path.write_bytes(b"1")
    fingerprint(path, cache)
    other = sqlite3.connect(cache)
    rows = other.execute("SELECT path FROM files").fetchall()
    assert rows == [(os.fsencode(path),)]
    (tmp_path / "y").write_bytes(b"2")
    fingerprint(tmp_path / "y", cache)
    assert len(other.execute("SELECT path FROM files").fetchall()) == 2
    other.close()


def test_the_store_keeps_its_cache_inside(tmp_path: Path, hashed: list[Path], later: None) -> None:
    path = tmp_path / "x"
    path.write_bytes(b"1")
    store = Store(tmp_path / "store")
    assert store.fingerprint(path) == fingerprint(path)
    assert not store.root.exists()  # asking makes no store
    hashed.clear()
    store.create()
    assert store.fingerprint(path) == store.fingerprint(path) == fingerprint(path)
    assert len(hashed) == 2  # once through the store, once without
    shutil.rmtree(store.root)
    store.fingerprint(path)
    assert len(hashed) == 3
    assert Store(tmp_path / "store").artifacts() == ()
