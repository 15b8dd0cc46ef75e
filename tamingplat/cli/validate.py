"""``tamingplat validate``: everything that is wrong with a manifest, before anything is planned."""

from __future__ import annotations

import typer

from tamingplat.cli.request import ManifestArgument, SetOption, StoreOption, check_trackers, load
from tamingplat.interfaces import ProblemsError


def validate(manifest: ManifestArgument, store: StoreOption = None, set_: SetOption = None) -> None:
    """Check a manifest and its files without planning it."""
    registry, loaded = load(manifest, set_, store)
    check_trackers(loaded)
    if loaded.tokenizer_cells:
        # What a metric measures its class says, which imports torch: only where it has to be asked.
        from tamingplat.stages import metric_problems

        if problems := list(metric_problems(loaded, registry)):
            raise ProblemsError(problems)
    for problem in loaded.absent:
        typer.echo(f"warning: {problem}", err=True)
    typer.echo(f"{manifest}: {loaded.size}, {len(loaded.metrics)} metrics, no errors")
