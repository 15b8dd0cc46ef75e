"""What is finished, from Python: images from a trained cell, and reconstructions of images of one's own.

from tamingplat.finished import open_cell
images = open_cell("manifest.toml", prior="gpt-s").sample(16)
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from tamingplat.stages.finished import FinishedCell, FinishedTokenizer, open_manifest, select_cell
from tamingplat.stages.finished import open_tokenizer as find_tokenizer

__all__ = ["FinishedCell", "FinishedTokenizer", "open_cell", "open_tokenizer"]


def open_cell(
    manifest: Path | str, *, store: Path | str | None = None, overrides: Sequence[str] = (), **select: str | int
) -> FinishedCell:
    """A finished cell of a manifest, to draw images from: ``open_cell("m.toml", prior="gpt-s").sample(16)``.

    Args:
        manifest: The TOML file.
        store: Where its results live; ``$TAMINGPLAT_STORE`` or ``store`` in the current folder by default.
        overrides: Settings as ``--set`` takes them: ``prior.gpt-s.train.steps=100``.
        select: Names by kind, and seeds: as many as it takes to leave one cell.

    Raises:
        TamingplatError: The manifest is wrong, or no cell or several are left.
    """
    opened = open_manifest(Path(manifest), _store(store), overrides)
    return FinishedCell(opened, select_cell(opened, {name: str(value) for name, value in select.items()}))


def open_tokenizer(
    manifest: Path | str, *, store: Path | str | None = None, overrides: Sequence[str] = (), **select: str | int
) -> FinishedTokenizer:
    """A trained tokenizer of a manifest, for images of one's own: ``open_tokenizer("m.toml").reconstruct("photo.png")``.

    Arguments and errors are those of ``open_cell``.
    """
    opened = open_manifest(Path(manifest), _store(store), overrides)
    return find_tokenizer(opened, {name: str(value) for name, value in select.items()})


def _store(store: Path | str | None) -> Path:
    return Path(store or os.environ.get("TAMINGPLAT_STORE") or "store")
