"""One process at a time per content key, for as long as that process lives."""

from __future__ import annotations

import errno
import fcntl
import json
import os
import socket
import time
import weakref
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

from tamingplat.interfaces import TamingplatError

LOCK = "lock"
_RETRY_SECONDS = 0.01
_PATIENCE_SECONDS = 0.1
"""How long a lock has to be busy to be called so, for ``holder_of`` takes it for an instant to look."""


Holder = dict[str, str | int]
"""``host``, ``pid`` and ``since``; empty where they were not written down (yet)."""


class StageBusyError(TamingplatError):
    """Another process is making this artifact.

    Attributes:
        stage: The stage's kind.
        key: Its content key.
        holder: Who holds the lock.
    """

    def __init__(self, stage: str, key: str, lock: Path, holder: Holder) -> None:
        self.stage = stage
        self.key = key
        self.holder = holder
        who = "process {pid} on {host}, since {since}".format(**holder) if holder else "another process"
        super().__init__(f"{stage} {key[:12]} is being made by {who} ({lock}); wait for it, or stop it and run again")


class HeldFile:
    """A file that is open as long as this object and this process live.

    A forked child (which loads data, say) closes its copy at once: through it a lock would outlive a process that was killed.
    """

    def __init__(self, path: Path) -> None:
        self._descriptor: int | None = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
        os.register_at_fork(after_in_child=partial(_close, weakref.ref(self)))

    @property
    def descriptor(self) -> int:
        assert self._descriptor is not None, "the file was closed"
        return self._descriptor

    def close(self) -> None:
        """Close the file, which gives its lock back."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None


class KeyLock:
    """The lock of one key: ``flock`` on a file in its work directory, which the kernel releases when the process ends.

    The file is removed with the work directory once the artifact is complete. Whoever then holds or waits for the removed
    file holds nothing, and starts over: a lock counts only while its file is the one that the path leads to.
    """

    def __init__(self, work: Path, stage: str, key: str) -> None:
        self.work = work
        self._stage = stage
        self._key = key
        self._file: HeldFile | None = None

    def acquire(self, *, wait: bool = False) -> None:
        """Take the lock.

        Raises:
            StageBusyError: Another holder has it, be it in this process, and ``wait`` is not set.
            TamingplatError: The file system has no locks, or cannot be written to.
        """
        assert self._file is None, "the lock is already held"
        path = self.work / LOCK
        deadline = time.monotonic() + _PATIENCE_SECONDS
        try:
            while self._file is None:
                self.work.mkdir(exist_ok=True)
                try:
                    file = HeldFile(path)
                except FileNotFoundError:
                    continue  # its last holder removed the directory just now
                try:
                    if self._take(file.descriptor, path, wait=wait, patient=time.monotonic() < deadline):
                        self._file = file
                finally:
                    if self._file is None:
                        file.close()
        except OSError as error:
            raise TamingplatError(f"{path}: the lock cannot be taken: {error.strerror}") from error

    def _take(self, descriptor: int, path: Path, *, wait: bool, patient: bool) -> bool:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
        except BlockingIOError as error:
            if not patient and _leads_to(path, descriptor):
                raise StageBusyError(self._stage, self._key, path, _holder(descriptor)) from error
            time.sleep(_RETRY_SECONDS)
            return False
        if not _leads_to(path, descriptor):
            return False
        since = datetime.now(UTC).isoformat(timespec="seconds")
        text = json.dumps({"host": socket.gethostname(), "pid": os.getpid(), "since": since})
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, text.encode(), 0)
        return True

    def release(self) -> None:
        """Give the lock back; a work directory with nothing else in it goes too."""
        if self._file is None:
            return
        if self.is_held() and [entry.name for entry in self.work.iterdir()] == [LOCK]:
            self.remove_file()
        self._file.close()
        self._file = None

    def remove_file(self) -> None:
        """Remove the lock's file, and its directory where that is empty then. Nothing is locked from here on."""
        (self.work / LOCK).unlink(missing_ok=True)
        try:
            self.work.rmdir()
        except OSError as error:
            # Someone else may have begun in it, or even finished.
            if error.errno not in (errno.ENOTEMPTY, errno.EEXIST, errno.ENOENT):
                raise

    def is_held(self) -> bool:
        """Whether this object holds the lock that others meet, which ends when someone removes its file."""
        return self._file is not None and _leads_to(self.work / LOCK, self._file.descriptor)


def holder_of(path: Path) -> Holder | None:
    """Who holds the lock on a file; ``None`` where nobody does. The file is neither made nor changed."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return _holder(descriptor)
    finally:
        os.close(descriptor)
    return None


def _leads_to(path: Path, descriptor: int) -> bool:
    try:
        there = path.stat()
    except (FileNotFoundError, NotADirectoryError):
        return False
    return os.path.samestat(there, os.fstat(descriptor))


def _holder(descriptor: int) -> Holder:
    try:
        holder = json.loads(os.pread(descriptor, 4096, 0))
        return {"host": str(holder["host"]), "pid": int(holder["pid"]), "since": str(holder["since"])}
    except (ValueError, KeyError, TypeError):
        return {}  # it was taken this instant and is not written yet


def _close(reference: weakref.ref[HeldFile]) -> None:
    held = reference()
    if held is not None:
        held.close()
