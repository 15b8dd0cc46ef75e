"""Writing what is shared of a model: into a folder, or to the hub."""

from __future__ import annotations

import shutil
import tempfile
import uuid
from collections.abc import Callable, Mapping
from pathlib import Path

from tamingplat.interfaces import DataError, TamingplatError
from tamingplat.stages.sharing.description import CARD, DESCRIPTION, read_description
from tamingplat.stages.sharing.gather import Gathered
from tamingplat.stages.sharing.hub import Hub
from tamingplat.stages.sharing.target import Target
from tamingplat.store.durable import sync


def push(gathered: Gathered, card: str, target: Target, *, private: bool = False, hub: Callable[[], Hub] = Hub) -> str:
    """Write a model, its description and its card. All of it appears, or nothing.

    Args:
        gathered: What is shared.
        card: The model card, Markdown.
        target: Where it goes.
        private: Whether a new repository is seen by its owner alone.
        hub: Makes the hub's client, for a repository.

    Returns:
        Where it is now.

    Raises:
        TamingplatError: The folder or the repository holds something else, or cannot be written to.
        UnavailableError: The hub cannot be reached.
    """
    if target.folder is not None:
        _push_to_folder(gathered, card, target.folder)
        return str(target.folder)
    with tempfile.TemporaryDirectory(prefix="tamingplat-push-") as temporary:
        folder = Path(temporary)
        _fill(folder, gathered.files, _texts(gathered, card))
        main = gathered.description.main
        message = f"{main.kind}:{main.component} {main.key[:12]}, pushed by tamingplat {gathered.description.tamingplat}"
        commit = hub().upload(folder, target, private=private, message=message)
    return f"{target} at {commit[:12]}"


def _texts(gathered: Gathered, card: str) -> dict[str, str]:
    return {CARD: card, DESCRIPTION: gathered.description.to_text()}


def _push_to_folder(gathered: Gathered, card: str, folder: Path) -> None:
    texts = _texts(gathered, card)
    try:
        if _may_be_renewed(folder, gathered.description.key):
            _renew(folder, gathered.files, texts)
            return
        folder.parent.mkdir(parents=True, exist_ok=True)
        draft = folder.with_name(f".{folder.name}.{uuid.uuid4().hex}.partial")
        try:
            draft.mkdir()
            _fill(draft, gathered.files, texts)
            draft.rename(folder)  # in the place of nothing, or of an empty folder
            sync(folder.parent)
        finally:
            shutil.rmtree(draft, ignore_errors=True)
    except OSError as error:
        raise TamingplatError(f"{error.filename or folder}: cannot be written: {error.strerror}") from error


def _may_be_renewed(folder: Path, key: str) -> bool:
    """Whether the folder holds this very model already; ``False`` where there is nothing.

    Raises:
        TamingplatError: It holds something else.
    """
    if not folder.exists() and not folder.is_symlink():
        return False
    if not folder.is_dir():
        raise TamingplatError(f"{folder}: is a file; name a folder that does not exist, or an empty one")
    if not any(folder.iterdir()):
        return False
    if not (folder / DESCRIPTION).exists():
        raise TamingplatError(f"{folder}: there are files in it already; name a folder that does not exist, or an empty one")
    try:
        present = read_description(folder, str(folder))
    except DataError as error:
        raise TamingplatError(f"{error}; nothing was written: name another folder") from error
    if present.key != key:
        other = f"{present.main.kind}:{present.main.component} {present.key[:12]}"
        raise TamingplatError(f"{folder}: holds another model, {other}; name another folder")
    return True


def _renew(folder: Path, files: Mapping[str, Path], texts: Mapping[str, str]) -> None:
    """Replace file by file; the weights are the same, and the description comes last."""
    draft = Path(tempfile.mkdtemp(prefix=f".{folder.name}-", dir=folder.parent))
    try:
        _fill(draft, files, texts)
        for name in (*files, *texts):
            (draft / name).replace(folder / name)
        sync(folder)
    finally:
        shutil.rmtree(draft, ignore_errors=True)


def _fill(folder: Path, files: Mapping[str, Path], texts: Mapping[str, str]) -> None:
    for name, path in files.items():
        shutil.copyfile(path, folder / name)
    for name, text in texts.items():
        (folder / name).write_text(text, encoding="utf-8")
    for name in (*files, *texts):
        sync(folder / name)
    sync(folder)
