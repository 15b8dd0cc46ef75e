"""``tamingplat validate``: everything that is wrong with a manifest, before anything is planned."""

from __future__ import annotations

import typer

from tamingplat.cli.request import ManifestArgument, SetOption, load


def validate(manifest: ManifestArgument, set_: SetOption = None) -> None:
    """Check a manifest and its files without planning it."""
    _, loaded = load(manifest, set_)
    typer.echo(f"{manifest}: {len(loaded.cells)} cells, {len(loaded.metrics)} metrics, no errors")
