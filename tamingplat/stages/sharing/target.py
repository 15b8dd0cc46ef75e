"""Where a shared model goes to or comes from: a folder, or a repository of the Hugging Face hub."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from tamingplat.interfaces import TamingplatError

_NAME = r"[A-Za-z0-9][A-Za-z0-9._-]{0,95}"
_ADDRESS = re.compile(rf"hf://(?P<repository>{_NAME}/{_NAME})(?:@(?P<revision>[A-Za-z0-9][A-Za-z0-9._/-]*))?")


@dataclass(frozen=True)
class Target:
    """A folder or a repository.

    Attributes:
        folder: The folder; ``None`` for a repository.
        repository: ``owner/name``; empty for a folder.
        revision: Branch, tag or commit; empty for the main branch.
    """

    folder: Path | None
    repository: str = ""
    revision: str = ""

    def __str__(self) -> str:
        if self.folder is not None:
            return str(self.folder)
        return f"hf://{self.repository}" + (f"@{self.revision}" if self.revision else "")


def parse_target(text: str) -> Target:
    """What a user wrote: a path, or ``hf://owner/name`` with ``@revision`` behind it or not.

    Raises:
        TamingplatError: It looks like an address and is none of these.
    """
    if "://" not in text:
        return Target(Path(text).expanduser())
    found = _ADDRESS.fullmatch(text.rstrip("/"))
    if found is None:
        raise TamingplatError(
            f"{text}: is no address of a model; write hf://owner/name or hf://owner/name@revision, or a folder"
        )
    return Target(None, found["repository"], found["revision"] or "")
