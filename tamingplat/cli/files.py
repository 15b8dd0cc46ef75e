"""Files that commands write where the user says."""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path

from tamingplat.interfaces import Problem, TamingplatError


def own_file_problems(targets: Iterable[Path], own: Iterable[Path]) -> Iterator[Problem]:
    """Which of the files that a command would write are files of the user's own that it reads, under whatever name.

    Args:
        targets: What would be written.
        own: What is read.
    """
    read = {_identity(path): path for path in own if path.exists()}
    for target in targets:
        if target.exists() and (source := read.get(_identity(target))) is not None:
            yield Problem(f"--out {target}", f"is {source}, which would be lost", "write elsewhere")


def _identity(path: Path) -> tuple[int, int]:
    """The same for one file under several names."""
    status = path.stat()
    return status.st_dev, status.st_ino


def write_text(path: Path, text: str) -> None:
    """Write a text file, beside and renamed: whoever reads it finds the old text or the new one.

    Raises:
        TamingplatError: It cannot be written there.
    """
    draft: Path | None = None
    try:
        with tempfile.NamedTemporaryFile("w", encoding="utf-8", dir=path.parent, prefix=f".{path.name}-", delete=False) as file:
            draft = Path(file.name)
            file.write(text)
        draft.chmod(0o644)
        draft.replace(path)
    except OSError as error:
        if draft is not None:
            draft.unlink(missing_ok=True)
        raise TamingplatError(f"{path}: cannot be written ({error.strerror}); choose another file with --out") from None
