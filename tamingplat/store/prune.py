"""Removing what nobody needs, and nothing else."""

from __future__ import annotations

import os
import shutil
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tamingplat.interfaces import DataError, Problem
from tamingplat.store.artifact import Artifact
from tamingplat.store.draft import clear_folder
from tamingplat.store.durable import sync
from tamingplat.store.layout import KEY, RECORD, WORK
from tamingplat.store.locks import LOCK, KeyLock, StageBusyError, holder_of


@dataclass(frozen=True)
class Removal:
    """Something that was removed, or would be.

    Attributes:
        path: Where it lay.
        what: ``artifact``, ``damaged artifact``, ``leftover`` (of a process that died) or ``work`` (checkpoints).
        size: Bytes.
    """

    path: Path
    what: str
    size: int


@dataclass(frozen=True)
class Pruning:
    """What pruning removed, and what it left though it is not needed, with the reasons."""

    removed: tuple[Removal, ...]
    left: tuple[Problem, ...]


def tree_size(path: Path) -> int:
    """Bytes of all files below a folder."""
    return sum(Path(folder, name).lstat().st_size for folder, _, names in os.walk(path) for name in names)


class Pruner:
    """One pruning of one store."""

    def __init__(self, root: Path, *, dry_run: bool) -> None:
        self._work = root / WORK
        self._dry_run = dry_run
        self._removed: list[Removal] = []
        self._left: list[Problem] = []

    def result(self) -> Pruning:
        return Pruning(tuple(self._removed), tuple(self._left))

    def leave(self, problem: Problem) -> None:
        """Note something that stays though it is not needed."""
        self._left.append(problem)

    def remove_artifact(self, artifact: Artifact, what: str) -> None:
        """Remove a finished artifact, unless it holds files that are not its own."""
        directory = artifact.directory
        inside = [path for path in directory.rglob("*") if path.is_symlink() or not path.is_dir()]
        foreign = sorted({path.relative_to(directory).as_posix() for path in inside} - {RECORD, *artifact.files})
        if foreign:
            self.leave(Problem(str(directory), f"it holds {foreign[0]}, which the store did not write", "move that away first"))
            return
        self._remove(artifact.key, directory, what, lambda: remove_whole(directory))

    def remove_leftover(self, path: Path) -> None:
        """Remove what a dead process left beside an artifact's place; dead it stays, so that this needs no second look."""
        self._remove(path.name[:64], path, "leftover", lambda: shutil.rmtree(path))

    def remove_work(self, key: str) -> None:
        """Remove the checkpoints of a stage that nobody works on."""
        folder = self._work / key
        # What remains is the lock, which goes when it is released.
        self._remove(key, folder, "work", lambda: clear_folder(folder, keep=LOCK))

    def _remove(self, key: str, path: Path, what: str, remove: Callable[[], object]) -> None:
        try:
            with self._locked(path, key):
                if not path.exists():
                    return  # someone else removed it
                size = tree_size(path)
                if not self._dry_run:
                    remove()
        except StageBusyError as error:
            self.leave(Problem(str(path), str(error)))
        except OSError as error:
            raise DataError(f"{error.filename or path}: this cannot be removed: {error.strerror}") from error
        else:
            self._removed.append(Removal(path, what, size))

    @contextmanager
    def _locked(self, path: Path, key: str) -> Iterator[None]:
        work = self._work / key
        stage = "work" if path.parent == self._work else path.parent.parent.name
        if self._dry_run:
            holder = holder_of(work / LOCK)
            if holder is not None:
                raise StageBusyError(stage, key, work / LOCK, holder)
            yield
            return
        lock = KeyLock(work, stage, key)
        lock.acquire()
        try:
            yield
        finally:
            lock.release()


def work_keys(root: Path) -> Iterator[str]:
    """Keys of all work directories."""
    if (root / WORK).is_dir():
        for folder in sorted((root / WORK).iterdir()):
            if KEY.fullmatch(folder.name) and folder.is_dir() and not folder.is_symlink():
                yield folder.name


def remove_whole(directory: Path) -> None:
    """Remove an artifact's folder. The caller holds its lock."""
    # Renamed first, so that nobody ever sees half of an artifact under its name.
    doomed = directory.with_name(f"{directory.name}.removed-{uuid.uuid4().hex}")
    directory.rename(doomed)
    sync(directory.parent)
    shutil.rmtree(doomed)
