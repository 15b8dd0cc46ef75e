"""``tamingplat plugins reference``: hooks, interfaces and settings as one Markdown document."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer


def reference(
    distribution: Annotated[
        str | None, typer.Option("--from", metavar="DISTRIBUTION", help="The settings of that distribution's components alone.")
    ] = None,
    out: Annotated[
        Path | None, typer.Option("--out", metavar="FILE", help="Write it there instead of to standard output.")
    ] = None,
) -> None:
    """Print the reference of hooks, interfaces and every shipped component's settings, as Markdown."""
    from tamingplat.cli.files import write_text
    from tamingplat.reference import component_document, reference_document
    from tamingplat.registry import load_registry

    registry = load_registry()
    text = reference_document(registry) if distribution is None else component_document(registry, distribution)
    if out is None:
        sys.stdout.write(text)
    else:
        write_text(out, text)
        typer.echo(f"{out}: {len(text.splitlines())} lines")
