"""Files and folders that a manifest names."""

from __future__ import annotations

import os
from pathlib import Path

from tamingplat.manifest.problems import Location, ProblemCollector


def resolve_path(
    folder: Path, path: Path, location: Location, problems: ProblemCollector, *, may_be_absent: bool = False
) -> Path | None:
    """The absolute path of a file or a folder that exists, else ``None``, and why is noted.

    Args:
        folder: What a relative path starts from.
        path: As it was written; ``~`` is the home directory.
        location: Where it was written.
        problems: Where problems are noted.
        may_be_absent: Whether the absolute path of what does not exist is returned, too.
    """
    try:
        expanded = path.expanduser()
        absolute = Path(os.path.abspath(folder / expanded))  # noqa: PTH100 - Path.resolve would follow links
        absolute.stat()
    except (FileNotFoundError, NotADirectoryError):
        if may_be_absent:
            return absolute
        start = "" if expanded.is_absolute() else f", which starts from the manifest's folder {folder}"
        problems.add(location, f"there is no file or folder {absolute}", f"put it there, or correct the path{start}")
        return None
    except (OSError, RuntimeError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else str(error)
        problems.add(location, f"{path} cannot be read: {reason}", "correct the path or its permissions")
        return None
    return absolute
