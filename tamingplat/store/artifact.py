"""One finished result: a folder of files that never change, with a record of what they are."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any

from tamingplat.interfaces import DataError, Problem
from tamingplat.store.durable import hash_file
from tamingplat.store.layout import LAYOUT_VERSION, RECORD

REMOVE_DAMAGED = "`tamingplat store verify` lists all damage, `tamingplat store prune --damaged` removes it to be made again"
REMOVE_BY_HAND = "delete this folder to have it made again; `tamingplat store prune` leaves alone what it cannot identify"

_SHA256 = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True)
class Artifact:
    """One finished result.

    Attributes:
        stage: Kind of the stage that made it.
        key: Its content key.
        directory: Where it lies.
        record: All of its ``stage.json``: ``layout``, ``stage``, ``key``, ``created`` (UTC, ISO 8601), ``record`` (what the
            stage itself recorded), ``provenance``, and ``files`` (for each relative POSIX path its ``sha256`` and ``size``).
    """

    stage: str
    key: str
    directory: Path
    record: Mapping[str, Any] = field(compare=False, repr=False)

    @property
    def details(self) -> Mapping[str, Any]:
        """What the stage itself recorded: the ``record`` of ``stage.json``."""
        details: Mapping[str, Any] = self.record["record"]
        return details

    @property
    def provenance(self) -> Mapping[str, Any]:
        """What made it: ``git``, ``packages``, ``python``, ``platform``, ``host``, ``device``, ``threads``, … ."""
        provenance: Mapping[str, Any] = self.record["provenance"]
        return provenance

    @property
    def files(self) -> tuple[str, ...]:
        """Relative POSIX paths of its files."""
        return tuple(self.record["files"])

    @property
    def size(self) -> int:
        """Bytes of all its files."""
        return sum(file["size"] for file in self.record["files"].values())

    def path(self, name: str) -> Path:
        """Where a file lies, once it is there and has its size.

        Raises:
            DataError: The file is missing or has another size, or the artifact never had it.
        """
        if name not in self.record["files"]:
            known = ", ".join(self.files) or "none"
            raise DataError(f"{self.directory}: this artifact has no file {name!r}; its files are: {known}")
        problem = self._problem(name, hashes=False)
        if problem is not None:
            raise DataError(str(problem))
        return self.directory / name

    def problems(self, *, hashes: bool) -> tuple[Problem, ...]:
        """Files that are missing or have another size or, with ``hashes``, another content."""
        found = (self._problem(name, hashes=hashes) for name in self.files)
        return tuple(problem for problem in found if problem is not None)

    def verify(self) -> None:
        """Read and hash every file.

        Raises:
            DataError: Files are damaged; the message names each.
        """
        problems = self.problems(hashes=True)
        if problems:
            raise DataError("\n".join(str(problem) for problem in problems))

    def _problem(self, name: str, *, hashes: bool) -> Problem | None:
        path, expected = self.directory / name, self.record["files"][name]
        try:
            size = path.stat().st_size
            if size != expected["size"]:
                return Problem(str(path), f"the file has {size} bytes where {expected['size']} were written", REMOVE_DAMAGED)
            if hashes and hash_file(path) != expected["sha256"]:
                return Problem(str(path), "the content of the file is not what was written", REMOVE_DAMAGED)
        except FileNotFoundError:
            return Problem(str(path), "the file is missing from its artifact", REMOVE_DAMAGED)
        except OSError as error:
            return Problem(str(path), f"the file cannot be read: {error.strerror}", REMOVE_DAMAGED)
        return None


def read_artifact(stage: str, key: str, directory: Path) -> Artifact:
    """The artifact in a folder.

    Raises:
        DataError: Its ``stage.json`` is missing, unreadable, malformed, or that of another artifact.
    """
    path = directory / RECORD
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise DataError(f"{path}: the record of the artifact is missing; {REMOVE_BY_HAND}") from error
    except OSError as error:
        raise DataError(f"{path}: the record of the artifact cannot be read: {error.strerror}") from error
    except ValueError as error:
        raise DataError(f"{path}: the record of the artifact is damaged ({error}); {REMOVE_BY_HAND}") from error
    fault = _fault(stage, key, record)
    if fault:
        raise DataError(f"{path}: the record of the artifact is damaged ({fault}); {REMOVE_BY_HAND}")
    return Artifact(stage, key, directory, record)


def _fault(stage: str, key: str, record: object) -> str:
    if not isinstance(record, dict):
        return "it is not an object"
    layout = record.get("layout")
    if type(layout) is not int or layout > LAYOUT_VERSION:
        return f"its layout is {layout!r}, and this tamingplat knows layouts up to {LAYOUT_VERSION}"
    if (record.get("stage"), record.get("key")) != (stage, key):
        return f"it belongs to {record.get('stage')!r} {record.get('key')!r}"
    if not isinstance(record.get("created"), str):
        return "it has no time"
    for name in ("record", "provenance", "files"):
        if not isinstance(record.get(name), dict):
            return f"it has no {name!r}"
    for name, file in record["files"].items():
        place = PurePosixPath(name)
        if place.is_absolute() or ".." in place.parts or not place.parts:
            return f"{name!r} does not lie in the artifact"
        if not (
            isinstance(file, dict)
            and type(file.get("size")) is int
            and file["size"] >= 0
            and isinstance(file.get("sha256"), str)
            and _SHA256.fullmatch(file["sha256"])
        ):
            return f"the size or the hash of {name!r} is malformed"
    return ""
