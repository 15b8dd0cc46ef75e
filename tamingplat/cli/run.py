"""``tamingplat run``: everything that a manifest asks for and the store does not hold, then the table."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tamingplat.cli.request import ManifestArgument, Planned, SetOption, StoreOption, plan_manifest
from tamingplat.interfaces import Problem, ProblemsError, TamingplatError

if TYPE_CHECKING:
    from rich.console import Console


def run(
    manifest: ManifestArgument,
    store: StoreOption = None,
    set_: SetOption = None,
    grids: Annotated[
        Path | None, typer.Option("--grids", help="Write grids of samples and reconstructions to this PNG file.")
    ] = None,
    skip_refused: Annotated[
        bool, typer.Option("--skip-refused", help="Run the possible cells although others are refused.")
    ] = False,
) -> None:
    """Train, sample, measure and compare what a manifest names. What is in the store is not computed again."""
    from tamingplat.cli.compare import print_comparison
    from tamingplat.cli.console import make_console
    from tamingplat.report import collect, make_view
    from tamingplat.stages import use_threads

    if grids is not None and grids.is_dir():
        raise TamingplatError(f"--grids {grids}: is a folder; name a PNG file")
    planned = plan_manifest(manifest, store, set_)
    _check_cells(planned, skip_refused)
    use_threads(planned.manifest.runtime.threads)
    planned.store.create()
    console = make_console()
    _write_resolved(planned)
    _check_images(planned, console)
    failed = _execute(planned, set_ or [], console)
    print_comparison(console, make_view(collect([planned.plan], planned.store)))
    if grids is not None:
        from tamingplat.cli.grids import write_grids

        if write_grids(planned, grids):
            console.print(f"sample grids: {grids}")
    raise typer.Exit(1 if failed else 0)


def _check_cells(planned: Planned, skip_refused: bool) -> None:
    """All that stands against running: impossible cells, what is not here, and what the device or the executor cannot do."""
    from tamingplat.stages import runtime_problems

    plan, path = planned.plan, planned.manifest.path
    problems: list[Problem] = []
    if plan.refused and (not skip_refused or len(plan.refused) == len(plan.combinations)):
        remedy = "change the settings, exclude the cell in [matrix], or run the others with --skip-refused"
        refusals = dict.fromkeys(problem for cell in plan.refused for problem in cell.refusals)
        problems += [Problem(problem.where or str(path), problem.what, remedy) for problem in refusals]
    problems += plan.absent
    problems += dict.fromkeys(runtime_problems(planned.manifest, plan.builder, plan.trained))
    if problems:
        raise ProblemsError(problems)


def _check_images(planned: Planned, console: Console) -> None:
    """Look at every image once, unless there is nothing to do or it was done before; corrupt ones end the run here."""
    from tamingplat.stages import accelerator_of, run_stage

    plan, store = planned.plan, planned.store
    if plan.missing(store):
        for check in plan.checks:
            if store.find(check.kind, check.key) is None:
                console.print(f"{check.label} …")
                run_stage(plan, check, store, accelerator_of(planned.manifest.runtime, check))


def _write_resolved(planned: Planned) -> None:
    from tamingplat.manifest import write_resolved
    from tamingplat.store import content_key

    folder = planned.store.root / "manifests"
    folder.mkdir(parents=True, exist_ok=True)
    # Under a name of its content: another manifest of this name, or one with --set, replaces nothing.
    digest = content_key(planned.manifest.resolved())[:12]
    write_resolved(planned.manifest, folder / f"{planned.manifest.name}-{digest}.resolved.json")


def _execute(planned: Planned, overrides: list[str], console: Console) -> bool:
    """Run what is missing; whether something failed."""
    from tamingplat.cli.display import RunDisplay
    from tamingplat.stages import Request, accelerator_of, execute, read_progress

    plan, store = planned.plan, planned.store
    missing = plan.missing(store)
    request = Request(planned.manifest.path.absolute(), store.root.absolute(), tuple(overrides))
    display = RunDisplay(
        console,
        total=len(plan.stages),
        cached=len(plan.stages) - len(missing),
        read=lambda key: read_progress(store, key),
    )
    failed = False
    try:
        with display:
            outcomes = execute(
                plan,
                plan.builder.executor(planned.manifest.executor),
                store,
                request,
                accelerator=lambda stage: accelerator_of(planned.manifest.runtime, stage),
                started=display.started,
            )
            # Closed at once when interrupted, so that the executor stops its processes before anything else is done.
            with contextlib.closing(outcomes):
                for stage, outcome in outcomes:
                    display.ended(stage, outcome)
                    failed |= outcome.status != "done"
    except KeyboardInterrupt:
        console.print("stopped; the same command goes on from the last checkpoint")
        raise
    return failed
