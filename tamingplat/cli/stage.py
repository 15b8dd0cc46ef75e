"""``tamingplat stage``: one stage of a plan, as executors and cluster queues run it."""

from __future__ import annotations

import json
from typing import Annotated

import typer

from tamingplat.cli.request import SetOption, StoreOption, check_trackers, plan_manifest
from tamingplat.interfaces import ProblemsError, TamingplatError


def stage(
    key: Annotated[str, typer.Argument(help="The stage's key, as `plan --json` prints it, or the beginning of it.")],
    manifest: Annotated[str, typer.Option("--manifest", help="The manifest that the key belongs to.")],
    store: StoreOption = None,
    set_: SetOption = None,
) -> None:
    """Run one stage whose inputs are done. It resumes from its checkpoint; where its result exists nothing happens."""
    from pathlib import Path

    from tamingplat.stages import accelerator_of, describe_error, run_stage, use_threads

    planned = plan_manifest(Path(manifest), store, set_)
    check_trackers(planned.manifest)
    if planned.plan.absent:
        raise ProblemsError(planned.plan.absent)
    wanted = [stage for stage in (*planned.plan.checks, *planned.plan.stages.values()) if stage.key.startswith(key)]
    if len(wanted) != 1:
        found = "no stage" if not wanted else f"{len(wanted)} stages"
        raise TamingplatError(f"{manifest}: {found} with a key that begins with {key!r}; `tamingplat plan --json` lists them")
    absent = [needed.label for needed in wanted[0].inputs if planned.store.find(needed.kind, needed.key) is None]
    if absent:
        raise TamingplatError(f"{wanted[0].label}: its inputs are not done yet: {'; '.join(absent)}")
    runtime = planned.manifest.runtime
    use_threads(runtime.threads)
    accelerator = accelerator_of(runtime, wanted[0])
    try:
        run_stage(planned.plan, wanted[0], planned.store, accelerator)
    except Exception as error:
        if accelerator.is_main_process:
            typer.echo(json.dumps({"error": describe_error(error)}))
        if isinstance(error, TamingplatError):
            raise typer.Exit(1) from None
        raise
