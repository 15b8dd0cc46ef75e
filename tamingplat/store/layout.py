"""Where things lie in a store, and how a folder is known to be one.

root/tamingplat-store.json             the marker, with the version of this layout
root/<stage>/<aa>/<key>/               an artifact; <aa> is the key's first two digits
root/<stage>/<aa>/<key>.partial-<token>/   one that is being written, by the process that holds the key's lock
root/<stage>/<aa>/<key>.removed-<token>/   one that is being deleted
root/work/<key>/                       the lock and the checkpoints of a stage that has not finished
root/names/<name>.json                 a name for an artifact
root/fingerprints.sqlite               hashes of files outside the store
root/failures/<key>.json               the pipeline's: why a stage failed when it last ran
root/trackers/                         the pipeline's: what trackers wrote, where a manifest names some and no folder for them
root/manifests/<name>-<hash>.resolved.json   the pipeline's: what was run, every default spelled out
"""

from __future__ import annotations

import json
import os
import re
from pathlib import Path

from tamingplat.interfaces import DataError, TamingplatError
from tamingplat.store.durable import sync, write_json

LAYOUT_VERSION = 1
MARKER = "tamingplat-store.json"
RECORD = "stage.json"
OWNER = ".owner"
WORK = "work"
NAMES = "names"
FINGERPRINTS = "fingerprints.sqlite"

KEY = re.compile(r"[0-9a-f]{64}")
STAGE = re.compile(r"[a-z][a-z0-9_]*")
PARTIAL = re.compile(r"([0-9a-f]{64})\.partial-[0-9a-f]{32}")
REMOVED = re.compile(r"([0-9a-f]{64})\.removed-[0-9a-f]{32}")


def check_address(stage: str, key: str) -> None:
    """Hold what is about to become part of a path to its form."""
    assert STAGE.fullmatch(stage) and stage not in (WORK, NAMES), f"{stage!r} is not the name of a stage"
    assert KEY.fullmatch(key), f"{key!r} is not a content key"


def check_root(root: Path) -> bool:
    """Whether a store is there; ``False`` where a new one may be made.

    Raises:
        TamingplatError: The path is a file, a folder with something else in it, or a store of a newer layout.
        DataError: The folder or its marker cannot be read.
    """
    try:
        names = os.listdir(root)  # noqa: PTH208 (iterdir would build a path for each)
    except FileNotFoundError as error:
        if root.is_symlink():
            raise TamingplatError(f"{root}: this link leads to {root.readlink()}, which does not exist") from error
        return False
    except NotADirectoryError as error:
        raise TamingplatError(f"{root}: a store is a folder, and this is a file") from error
    except OSError as error:
        raise DataError(f"{root}: the store cannot be read: {error.strerror}") from error
    marker = root / MARKER
    # A marker of which only the temporary file was written yet is a store in the making. Another process may also have
    # finished making one since the names were listed, which is why the marker itself is asked for again.
    others = [name for name in names if not (name.startswith(f"{MARKER}.") and name.endswith(".tmp"))]
    if not marker.exists():
        if others:
            raise TamingplatError(
                f"{root}: the folder has files in it ({sorted(others)[0]}) and is not a store of tamingplat (no {MARKER}); "
                "name an empty folder or one that does not exist"
            )
        return False
    try:
        layout = json.loads(marker.read_text(encoding="utf-8"))["layout"]
        if type(layout) is not int:
            raise TypeError("layout is not a whole number")
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DataError(
            f'{marker}: the marker of the store cannot be read ({error}); it should read {{"layout": {LAYOUT_VERSION}}}'
        ) from error
    if layout > LAYOUT_VERSION:
        raise TamingplatError(
            f"{root}: the store has layout {layout}, which is newer than this tamingplat ({LAYOUT_VERSION}); update tamingplat"
        )
    return True


def make_root(root: Path) -> None:
    """Make the store's folder with its marker, unless it is there already.

    Raises:
        TamingplatError: See ``check_root``; also where the folder cannot be written to.
    """
    try:
        if not check_root(root):
            root.mkdir(parents=True, exist_ok=True)
            write_json(root / MARKER, {"layout": LAYOUT_VERSION})
        if not (root / WORK).is_dir():
            (root / WORK).mkdir(exist_ok=True)
            sync(root)
    except OSError as error:
        raise TamingplatError(f"{root}: the store cannot be written to: {error.strerror}") from error
