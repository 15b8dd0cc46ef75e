"""Where tables are kept between runs: Arrow files, which are memory-mapped, under names made from what they hold.

A file is written beside its place and renamed, so that one that is there is complete; it is never changed afterwards. Deleting
the folder is always safe: what is needed is made again.
"""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from tamingplat.interfaces import TamingplatError


def cache_root() -> Path:
    """A folder that can be written: ``$TAMINGPLAT_CACHE``, else the platform's cache folder, else one for temporary files.

    Raises:
        TamingplatError: ``$TAMINGPLAT_CACHE`` cannot be written, or nothing else can.
    """
    named = os.environ.get("TAMINGPLAT_CACHE")
    if named:
        chosen = Path(named).expanduser()
        if not _writable(chosen):
            raise TamingplatError(f"TAMINGPLAT_CACHE: {chosen} cannot be written; name a folder that can")
        return chosen
    usual = _platform_cache()
    if usual is not None and _writable(usual):
        return usual
    user = os.getuid() if hasattr(os, "getuid") else os.environ.get("USERNAME", "user")
    temporary = Path(tempfile.gettempdir()) / f"tamingplat-{user}"
    # In a folder that all accounts share, another one must not have put its own tables where ours are looked for.
    if _writable(temporary) and (not hasattr(os, "getuid") or temporary.stat().st_uid == os.getuid()):
        return temporary
    raise TamingplatError("no folder for cached tables can be written; set TAMINGPLAT_CACHE to one that can")


def _platform_cache() -> Path | None:
    if sys.platform == "win32":
        local = os.environ.get("LOCALAPPDATA")
        return Path(local) / "tamingplat" / "cache" if local else None
    try:
        home = Path.home()
    except RuntimeError:  # an account without a home
        return None
    if sys.platform == "darwin":
        return home / "Library" / "Caches" / "tamingplat"
    named = os.environ.get("XDG_CACHE_HOME", "")
    return (Path(named) if Path(named).is_absolute() else home / ".cache") / "tamingplat"


def _writable(folder: Path) -> bool:
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            return True
    except OSError:
        return False


def kept(name: str, write: Callable[[Path], None]) -> Path:
    """The file of that name in the cache, made by ``write(draft)`` where it is not there yet.

    Several processes may ask at once: one writes, and the others wait for it.
    """
    from filelock import FileLock

    place = cache_root() / name
    if place.is_file():
        return place
    place.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(place.with_name(f".{place.name}.lock")):
        if not place.is_file():
            with drafts() as folder:
                draft = folder / place.name
                write(draft)
                place = keep(draft, name)
    return place


@contextmanager
def drafts() -> Iterator[Path]:
    """A folder for files that are to be kept once they are complete; what is left in it is deleted."""
    with tempfile.TemporaryDirectory(dir=cache_root(), prefix=".writing-") as folder:
        yield Path(folder)


def keep(draft: Path, name: str) -> Path:
    """Put a complete file from ``drafts`` into the cache under a name that says what it holds."""
    place = cache_root() / name
    place.parent.mkdir(parents=True, exist_ok=True)
    with draft.open("rb+") as file:
        os.fsync(file.fileno())
    draft.replace(place)
    return place
