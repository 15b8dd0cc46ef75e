"""A folder of finished results, each under the key of what it was made from."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path

from tamingplat.interfaces import DataError, Problem, TamingplatError
from tamingplat.store.artifact import Artifact, read_artifact
from tamingplat.store.draft import Draft, clear_leftovers, is_leftover
from tamingplat.store.durable import make_directories
from tamingplat.store.fingerprints import fingerprint
from tamingplat.store.layout import FINGERPRINTS, KEY, NAMES, STAGE, WORK, check_address, check_root, make_root
from tamingplat.store.locks import KeyLock
from tamingplat.store.names import check_name, list_names, read_name, write_name
from tamingplat.store.prune import Pruner, Pruning, remove_whole, work_keys


class Store:
    """Artifacts by stage and content key. An artifact that is there is complete, and nothing is written over it.

    Making this object writes nothing: the folder appears with ``create`` or the first lock.

    Raises:
        TamingplatError: ``root`` is a file, a folder with something else in it, or a store of a newer layout.
    """

    def __init__(self, root: Path) -> None:
        self.root = Path(os.path.abspath(root))  # noqa: PTH100 (resolving links would hide the name that was given)
        check_root(self.root)

    def create(self) -> None:
        """Make the store's folder with its marker, unless it is there. Files of one's own may be put beside the stages' after
        that, in folders with other names; before it, they would make the folder one that is not a store.

        Raises:
            TamingplatError: The store cannot be written to.
        """
        make_root(self.root)

    def directory(self, stage: str, key: str) -> Path:
        """Where an artifact lies or would lie."""
        check_address(stage, key)
        return self.root / stage / key[:2] / key

    def work(self, key: str) -> Path:
        """Where the checkpoints of an unfinished stage lie or would lie: for processes beside the one that holds the lock."""
        assert KEY.fullmatch(key), f"{key!r} is not a content key"
        return self.root / WORK / key

    def find(self, stage: str, key: str) -> Artifact | None:
        """The finished artifact, or ``None``.

        Raises:
            DataError: Its record cannot be read. Its files are looked at when they are opened.
        """
        return _read(stage, key, self.directory(stage, key))

    @contextmanager
    def lock(self, stage: str, key: str, *, wait: bool = False) -> Iterator[Draft]:
        """Be the only process that makes an artifact.

        Look with ``find`` again once the lock is held: whoever held it before may have finished. What dead processes left
        beside the artifact's place is removed first.

        Args:
            stage: Kind of the stage.
            key: Its content key.
            wait: Wait for as long as another process holds the lock.

        Raises:
            StageBusyError: Another holder has the lock; the message names its host and process.
            TamingplatError: The store cannot be written to.
        """
        final = self.directory(stage, key)
        self.create()
        lock = KeyLock(self.work(key), stage, key)
        lock.acquire(wait=wait)
        try:
            try:
                make_directories(final.parent, self.root)
                clear_leftovers(final)
                draft = Draft(stage, key, final, lock)
            except OSError as error:
                raise TamingplatError(f"{error.filename or final}: the store cannot be written to: {error.strerror}") from error
            try:
                yield draft
            finally:
                draft.close()
        finally:
            lock.release()

    def artifacts(self) -> tuple[Artifact, ...]:
        """Every finished artifact whose record can be read, by stage and key; ``verify`` names the others."""
        return tuple(self._scan()[0])

    def verify(self, *, hashes: bool = False) -> tuple[Problem, ...]:
        """Everything that is wrong: unreadable records, files that are missing or have another size, and names without
        their artifact; with ``hashes`` also files with another content, for which every byte is read.
        """
        artifacts, problems = self._scan()
        for artifact in artifacts:
            problems.extend(artifact.problems(hashes=hashes))
        for name in self.names():
            try:
                self.named(name)
            except DataError as error:
                problems.append(Problem(str(self.root / NAMES / f"{name}.json"), str(error)))
        return tuple(problems)

    def prune(self, keep: Collection[str] | None = None, *, damaged: bool = False, dry_run: bool = False) -> Pruning:
        """Remove what nobody needs: what dead processes left, and checkpoints of stages that are finished.

        A named artifact stays, and so does whatever a live process works on and every folder that the store did not make.
        A process that only reads an artifact holds no lock on it: prune when nothing that needs what is not kept runs.

        Args:
            keep: Keys that are needed; all other artifacts and checkpoints go. ``None`` keeps all of them.
            damaged: Also remove artifacts with missing or altered files, for which every byte is read. They are made
                again when they are needed, except for named ones, which stay.
            dry_run: Only say what would go.

        Raises:
            DataError: A name is unreadable, so that it is unknown what it keeps; or something cannot be removed.
        """
        named = {read_name(self.root, name)[1] for name in self.names()}

        def wanted(key: str) -> bool:
            return keep is None or key in named or key in keep

        artifacts, unreadable = self._scan()
        pruner = Pruner(self.root, dry_run=dry_run)
        for problem in unreadable:
            pruner.leave(problem)
        for artifact in artifacts:
            if not wanted(artifact.key):
                pruner.remove_artifact(artifact, "artifact")
            elif damaged:
                problems = artifact.problems(hashes=True)
                if problems and artifact.key in named:
                    pruner.leave(Problem(problems[0].where, "this belongs to a named artifact", "import it again"))
                elif problems:
                    pruner.remove_artifact(artifact, "damaged artifact")
        for folder in self._folders():
            for path in sorted(folder.iterdir()):
                if is_leftover(path):
                    pruner.remove_leftover(path)
        finished = {artifact.key for artifact in artifacts}
        for key in work_keys(self.root):
            if key in finished or not wanted(key):
                pruner.remove_work(key)
        return pruner.result()

    def discard(self, artifact: Artifact) -> None:
        """Remove a damaged artifact so that it can be made again; names that lead to it stay. The caller holds its lock."""
        remove_whole(artifact.directory)

    @staticmethod
    def check_name(name: str) -> None:
        """Hold what is to name an artifact to the form of names.

        Raises:
            TamingplatError: It is malformed.
        """
        check_name(name)

    def name(self, name: str, artifact: Artifact, *, replace: bool = False) -> None:
        """Give an artifact a name, by which ``named`` finds it and ``prune`` keeps it.

        Raises:
            TamingplatError: The name is malformed, or stands for another artifact and ``replace`` is not set.
        """
        self.create()
        write_name(self.root, name, artifact.stage, artifact.key, replace=replace)

    def named(self, name: str) -> Artifact:
        """The artifact with a name.

        Raises:
            TamingplatError: Nothing has this name; the message offers the nearest.
            DataError: The name, or the artifact that it leads to, is gone or unreadable.
        """
        stage, key = read_name(self.root, name)
        artifact = self.find(stage, key)
        if artifact is None:
            raise DataError(f"{self.directory(stage, key)}: the artifact named {name!r} is gone; import it again")
        return artifact

    def names(self) -> tuple[str, ...]:
        """Every name, sorted."""
        return list_names(self.root)

    def fingerprint(self, path: Path) -> str:
        """``fingerprint`` of a file or folder, remembered in this store where it exists."""
        return fingerprint(path, self.root / FINGERPRINTS if check_root(self.root) else None)

    def _scan(self) -> tuple[list[Artifact], list[Problem]]:
        artifacts, problems = [], []
        for folder in self._folders():
            for path in sorted(folder.iterdir()):
                if KEY.fullmatch(path.name) and path.name.startswith(folder.name) and path.is_dir() and not path.is_symlink():
                    try:
                        artifact = _read(folder.parent.name, path.name, path)
                    except DataError as error:
                        problems.append(Problem("", str(error)))
                    else:
                        artifacts.extend([artifact] if artifact else [])
        return artifacts, problems

    def _folders(self) -> Iterator[Path]:
        """Every ``<stage>/<aa>`` of the layout."""
        if not check_root(self.root):
            return
        for stage in sorted(self.root.iterdir()):
            if STAGE.fullmatch(stage.name) and stage.name not in (WORK, NAMES) and stage.is_dir() and not stage.is_symlink():
                for folder in sorted(stage.iterdir()):
                    if len(folder.name) == 2 and folder.is_dir() and not folder.is_symlink():
                        yield folder


def _read(stage: str, key: str, directory: Path) -> Artifact | None:
    """The artifact in a folder, or ``None`` where there is no folder, or none any more: it may be pruned meanwhile."""
    if not directory.exists():
        return None
    try:
        return read_artifact(stage, key, directory)
    except DataError:
        if directory.exists():
            raise
        return None
