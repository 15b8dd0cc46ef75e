"""``tamingplat schema``: what an editor needs to complete and check manifests."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Annotated

import typer


def schema(
    out: Annotated[
        Path | None, typer.Option("--out", metavar="FILE", help="Write it there instead of to standard output.")
    ] = None,
) -> None:
    """Print the JSON Schema of manifests with the installed plugins' settings, for editors that check TOML."""
    from tamingplat.cli.files import write_text
    from tamingplat.manifest import manifest_schema
    from tamingplat.registry import load_registry

    text = json.dumps(manifest_schema(load_registry()), indent=1, ensure_ascii=False) + "\n"
    if out is None:
        sys.stdout.write(text)
    else:
        write_text(out, text)
        typer.echo(f'{out}: in a manifest beside it, the first line "#:schema ./{out.name}" makes editors use it')
