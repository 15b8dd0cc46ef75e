"""``tamingplat report``: one or several manifests as one self-contained HTML page, from what the store holds."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer

from tamingplat.cli.request import SetOption, StoreOption, plan_manifest
from tamingplat.interfaces import TamingplatError

_FOLDER = Path("outputs")


def report(
    manifests: Annotated[list[Path], typer.Argument(help="Manifests, TOML files.", show_default=False)],
    out: Annotated[
        Path | None,
        typer.Option("--out", help="A file, or a folder for NAME.html; outputs/ unless given.", show_default=False),
    ] = None,
    store: StoreOption = None,
    set_: SetOption = None,
) -> None:
    """Write a page with the table, curves, samples and how everything was made; nothing is trained.

    It is one file, opens from disk without a network or a server, and asks for nothing else.
    """
    from tamingplat.report.page import collect_page, render_page

    planned = [plan_manifest(manifest, store, set_) for manifest in manifests]
    path = _place(out, [one.manifest.name for one in planned])
    page = collect_page([one.plan for one in planned], planned[0].store)
    text = render_page(page)
    _write(path, text)
    typer.echo(f"{path} ({len(text.encode()) / 2**20:.1f} MiB)")
    raise typer.Exit(1 if any(status == "failed" for status, _ in page.counts) else 0)


def _place(out: Path | None, names: list[str]) -> Path:
    """The file to write: ``out`` itself, unless it is a folder or says so by having no ending."""
    name = f"{'+'.join(dict.fromkeys(names))[:150]}.html"
    if out is None:
        return _FOLDER / name
    if out.is_dir() or not out.suffix:
        return out / name
    return out


def _write(path: Path, text: str) -> None:
    """Write the file beside its place and rename it, so that nobody sees half of it."""
    beside = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        beside.write_text(text, encoding="utf-8")
        beside.replace(path)
    except OSError as error:
        raise TamingplatError(f"{path}: the page cannot be written: {error.strerror}") from error
    finally:
        if beside.exists():
            beside.unlink()
