"""Files that commands write where the user says."""

from __future__ import annotations

import tempfile
from pathlib import Path

from tamingplat.interfaces import TamingplatError


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
