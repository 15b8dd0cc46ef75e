"""An artifact in the making."""

from __future__ import annotations

import errno
import fcntl
import os
import shutil
import stat
import uuid
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from tamingplat.store.artifact import Artifact, read_artifact
from tamingplat.store.durable import hash_file, sync, write_json
from tamingplat.store.layout import LAYOUT_VERSION, OWNER, PARTIAL, RECORD, REMOVED
from tamingplat.store.locks import LOCK, HeldFile, KeyLock, holder_of
from tamingplat.store.provenance import provenance, source


class Draft:
    """An artifact in the making; ``Store.lock`` gives one.

    Attributes:
        stage: Kind of the stage.
        key: Its content key.
        work: Folder that survives when the process is killed, for checkpoints; removed once the artifact is complete.
        directory: Folder for the artifact's files, on the file system of its final place; removed when nothing is committed.
    """

    def __init__(self, stage: str, key: str, final: Path, lock: KeyLock) -> None:
        self.stage = stage
        self.key = key
        self.work = lock.work
        self.directory = final.with_name(f"{key}.partial-{uuid.uuid4().hex}")
        self._final = final
        self._lock = lock
        self._process = os.getpid()
        self._committed = False
        self.directory.mkdir()
        # Held for as long as this process lives, so that nobody takes the folder for one that a dead process left.
        self._owner = HeldFile(self.directory / OWNER)
        fcntl.flock(self._owner.descriptor, fcntl.LOCK_EX)
        self._source = source()  # as it is now, for a long stage can end in a checkout that was edited meanwhile

    def commit(
        self,
        record: Mapping[str, Any],
        *,
        device: str | None = None,
        threads: int | None = None,
        processes: int | None = None,
    ) -> Artifact:
        """Turn the files in ``directory`` into the artifact; from then on they never change, and ``work`` is gone.

        Whoever looks sees no artifact or all of it, even if this process is killed or the power fails meanwhile. Should
        another process have finished the same key, which takes a lock that was removed by hand, theirs stays and is returned.

        Args:
            record: What the stage has to say: any JSON object.
            device: What it was computed on, in words, where that is known.
            threads: Threads per process; ``None`` takes ``OMP_NUM_THREADS`` or the available cores.
            processes: Number of processes; ``None`` takes ``WORLD_SIZE`` or 1.

        Raises:
            TypeError: The record is not JSON.
            DataError: The other process's artifact is damaged.
        """
        assert not self._committed, "an artifact is committed once"
        assert os.getpid() == self._process, "an artifact is committed by the process that locked it"
        files = {
            name: {"sha256": hash_file(path), "size": path.stat().st_size}
            for name, path in sorted((path.relative_to(self.directory).as_posix(), path) for path in self._files())
        }
        assert RECORD not in files, f"{RECORD} is written by the store"
        description = {
            "layout": LAYOUT_VERSION,
            "stage": self.stage,
            "key": self.key,
            "created": datetime.now(UTC).isoformat(timespec="seconds"),
            "record": dict(record),
            "provenance": provenance(self._source, device=device, threads=threads, processes=processes),
            "files": files,
        }
        for path in self._files():
            sync(path)
        for folder, _, _ in os.walk(self.directory, topdown=False):
            sync(Path(folder))
        write_json(self.directory / RECORD, description)
        (self.directory / OWNER).unlink()
        sync(self.directory)
        try:
            self.directory.rename(self._final)
        except OSError as error:
            if error.errno not in (errno.ENOTEMPTY, errno.EEXIST):
                raise
        sync(self._final.parent)
        artifact = read_artifact(self.stage, self.key, self._final)
        self._committed = True
        return artifact

    def close(self) -> None:
        """Clear up: the unfinished files when nothing was committed, the work directory when something was."""
        if os.getpid() != self._process:
            return  # a forked child that leaves the same ``with`` block
        self._owner.close()
        if self.directory.exists():
            shutil.rmtree(self.directory)
        if self._committed and self._lock.is_held():
            clear_folder(self.work, keep=LOCK)

    def _files(self) -> Iterator[Path]:
        for folder, subfolders, names in os.walk(self.directory):
            for name in (*subfolders, *names):
                path = Path(folder, name)
                mode = path.lstat().st_mode
                assert stat.S_ISREG(mode) or stat.S_ISDIR(mode), f"{path} is neither a file nor a folder"
                if stat.S_ISREG(mode) and path != self.directory / OWNER:
                    yield path


def clear_folder(folder: Path, *, keep: str) -> None:
    """Remove everything in a folder but one name."""
    for entry in folder.iterdir():
        if entry.name == keep:
            continue
        if entry.is_dir() and not entry.is_symlink():
            shutil.rmtree(entry)
        else:
            entry.unlink()


def is_leftover(path: Path) -> bool:
    """Whether a folder is an unfinished artifact of a process that is dead, or what remains of a deleted one."""
    if REMOVED.fullmatch(path.name):
        return True
    return PARTIAL.fullmatch(path.name) is not None and holder_of(path / OWNER) is None


def clear_leftovers(final: Path) -> None:
    """Remove what dead processes left beside an artifact's place. The caller holds the key's lock."""
    for path in sorted(final.parent.glob(f"{final.name}.*")):
        if is_leftover(path):
            shutil.rmtree(path)
