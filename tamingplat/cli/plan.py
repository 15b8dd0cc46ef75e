"""``tamingplat plan``: what would run and what it would cost, what is cached, what is impossible or absent and why."""

from __future__ import annotations

import json
import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tamingplat.cli.request import Planned, SetOption, StoreOption, plan_manifest
from tamingplat.interfaces import Problem, ProblemsError, TamingplatError

if TYPE_CHECKING:
    from rich.console import Console

    from tamingplat.report import PublishedSizes
    from tamingplat.stages import Stage, StageEstimate

# Of the 312 · 10¹² operations per second that NVIDIA states for an A100 in bfloat16, the share that trainings well fitted to it
# reach, such as those of large language models.
_PEAK, _UTILISATION = 312.0, 0.4
_DEFAULT_TERAFLOPS = _PEAK * _UTILISATION


@dataclass(frozen=True)
class _Estimated:
    """A plan, what its trainings will cost, and the published sizes that its manifest names."""

    planned: Planned
    estimates: dict[Stage, StageEstimate]
    tables: list[PublishedSizes]
    teraflops: float


def plan(
    manifests: Annotated[list[Path], typer.Argument(help="Manifests, TOML files.", show_default=False)],
    store: StoreOption = None,
    set_: SetOption = None,
    json_: Annotated[
        bool, typer.Option("--json", help="Print the plan as JSON; of several manifests, a list of plans.")
    ] = False,
    commands: Annotated[
        bool, typer.Option("--commands", help="Print one resumable command per missing stage, inputs first, for a queue.")
    ] = False,
    estimates: Annotated[
        bool,
        typer.Option(
            "--estimates/--no-estimates", help="Count what trainings that are still to be done will cost, which takes seconds."
        ),
    ] = True,
    gpu_tflops: Annotated[
        float,
        typer.Option(
            "--gpu-tflops",
            help="10¹² operations per second that a GPU sustains, for GPU-hours; the default is an A100 at 40 % of its peak.",
            min=1e-6,
        ),
    ] = _DEFAULT_TERAFLOPS,
) -> None:
    """Show what manifests would run and cost, what is already there, what is absent, and which cells are refused."""
    plans, problems = _plan_all(manifests, store, set_)
    if commands:
        for planned in plans:
            problems += _print_commands(planned, set_ or [])
    else:
        counted = _estimate_all(plans, gpu_tflops, wanted=estimates)
        if json_:
            values = [_as_json(one) for one in counted]
            typer.echo(json.dumps(values if len(manifests) > 1 else values[0], indent=2))
        else:
            _print_tables(counted)
    if problems:
        raise ProblemsError(problems)


def _plan_all(manifests: Sequence[Path], store: Path | None, set_: list[str] | None) -> tuple[list[Planned], list[Problem]]:
    """The plans of all manifests that have one, and what is wrong with the others, or with trackers."""
    from tamingplat.manifest import tracker_problems

    plans: list[Planned] = []
    problems: list[Problem] = []
    for manifest in manifests:
        try:
            plans.append(plan_manifest(manifest, store, set_))
            problems += tracker_problems(plans[-1].manifest)
        except TamingplatError as error:
            if len(manifests) == 1:
                raise
            problems += error.problems if isinstance(error, ProblemsError) else [Problem(str(manifest), str(error))]
    return plans, problems


def _estimate_all(plans: Sequence[Planned], teraflops: float, *, wanted: bool) -> list[_Estimated]:
    from tamingplat.report import PublishedSizes, load_published
    from tamingplat.stages import TrainingEstimator

    estimator = TrainingEstimator()
    counted = []
    for planned in plans:
        found = {}
        for stage in planned.plan.missing(planned.store) if wanted else ():
            estimate = estimator.estimate(planned.plan, stage)
            if estimate is not None:
                found[stage] = estimate
        tables = [table for table in map(load_published, planned.manifest.compare_with) if isinstance(table, PublishedSizes)]
        counted.append(_Estimated(planned, found, tables, teraflops))
    return counted


def _as_json(counted: _Estimated) -> dict[str, Any]:
    from tamingplat.manifest import MATRIX_KINDS
    from tamingplat.report import estimate_json

    planned = counted.planned
    plan, store = planned.plan, planned.store

    def stage_json(stage: Stage) -> dict[str, Any]:
        estimate = counted.estimates.get(stage)
        return {
            "key": stage.key,
            "provisional": stage.provisional,
            "kind": stage.kind,
            "label": stage.label,
            "inputs": [needed.key for needed in stage.inputs],
            "cached": store.find(stage.kind, stage.key) is not None,
            "imported": stage.imported,
            "parameters": plan.parameters.get(stage.key),
            **({"estimate": estimate_json(estimate, counted.tables, counted.teraflops)} if estimate is not None else {}),
        }

    return {
        "manifest": str(planned.manifest.path),
        "name": planned.manifest.name,
        "stages": [stage_json(stage) for stage in plan.stages.values()],
        "cells": [
            {
                **dict.fromkeys(MATRIX_KINDS, ""),
                "seed": None,
                **planned_cell.cell.labels,
                "status": "refused" if planned_cell.refusals else "possible",
                "reason": planned_cell.reason,
            }
            for planned_cell in plan.combinations
        ],
        "absent": [{"where": absent.where, "what": absent.what, "remedy": absent.remedy} for absent in plan.absent],
        "gpu_tflops": counted.teraflops,
    }


def _print_commands(planned: Planned, overrides: list[str]) -> tuple[Problem, ...]:
    """Print the commands; what is absent where without it the keys are not known."""
    from tamingplat.stages import Request

    stages = planned.plan.missing(planned.store)
    if any(stage.provisional for stage in stages):
        return planned.plan.absent
    request = Request(planned.manifest.path.absolute(), planned.store.root.absolute(), tuple(overrides))
    checks = [check for check in planned.plan.checks if planned.store.find(check.kind, check.key) is None]
    for stage in (*checks, *stages):
        typer.echo(shlex.join(request.command(stage)))
    return ()


def _print_tables(plans: Sequence[_Estimated]) -> None:
    from tamingplat.cli.console import make_console

    console = make_console()
    for one in plans:
        _print_stages(console, one.planned)
        _print_trainings(console, one)
        _print_shortages(console, one)
        _print_remarks(console, one.planned)
    if len(plans) > 1:
        _print_sizes(console, plans)


def _print_stages(console: Console, planned: Planned) -> None:
    from rich import box
    from rich.table import Table
    from rich.text import Text

    from tamingplat.report import count

    plan, store = planned.plan, planned.store
    table = Table(box=box.SIMPLE_HEAD, title=f"{planned.manifest.name}: {len(plan.stages)} stages")
    table.add_column("stage")
    table.add_column("what", overflow="fold")
    table.add_column("parameters", justify="right")
    table.add_column("key")
    table.add_column("")
    cached = 0
    for stage in plan.stages.values():
        there = store.find(stage.kind, stage.key) is not None
        cached += there
        size = plan.parameters.get(stage.key)
        table.add_row(
            stage.kind,
            Text(stage.label),
            "" if size is None else count(size),
            "–" if stage.provisional else stage.key[:10],
            ("imported" if stage.imported else "cached") if there else ("to import" if stage.imported else "to do"),
            style="dim" if there else "",
        )
    console.print(table)
    console.print(f"{planned.manifest.size}; {cached} stages cached, {len(plan.stages) - cached} to do", highlight=False)


def _print_trainings(console: Console, counted: _Estimated) -> None:
    from rich.text import Text

    from tamingplat.report import number, trainings_table

    if not counted.estimates:
        return
    table, notes = trainings_table(counted.estimates, counted.tables, counted.teraflops)
    console.print()
    console.print(table)
    throughput = f"{number(counted.teraflops, 3)} · 10¹² operations per second"
    if counted.teraflops == _DEFAULT_TERAFLOPS:
        throughput += f" (an A100 at {_UTILISATION:.0%} of its {_PEAK:g})"
    processes = max(estimate.processes for estimate in counted.estimates.values())
    of = "the process" if processes == 1 else f"each of {processes} processes"
    remarks: tuple[str, ...] = (
        f"GPU-hours at {throughput}; of training alone, without validation, encoding, sampling and evaluation.",
        f"memory of {of}, estimated: weights, gradients, moments, averages, and what is kept for the backward pass.",
    )
    trained = [stage.training for stage in counted.estimates if stage.training is not None]
    if counted.teraflops == _DEFAULT_TERAFLOPS and any(settings.precision == "float32" for settings in trained):
        remarks += ("that is the throughput of 16-bit arithmetic: what trains in float32 takes several times as long.",)
    for note in (*remarks, *notes):
        console.print(Text(f"  {note}", style="dim"))


def _print_shortages(console: Console, counted: _Estimated) -> None:
    """The trainings that need more memory than this machine has, where it has the manifest's device."""
    from rich.text import Text

    from tamingplat.engine import memory_shortage, resolve_device, total_memory

    try:
        device = resolve_device(counted.planned.manifest.runtime.device)
    except TamingplatError:  # it is to run elsewhere
        return
    available = total_memory(device)
    for stage, estimate in counted.estimates.items():
        if estimate.training is None:
            continue
        if reason := memory_shortage(estimate.training.memory_bytes, available):
            console.print(Text(f"{stage.label} {reason}", style="yellow"))


def _print_remarks(console: Console, planned: Planned) -> None:
    from rich.text import Text

    plan = planned.plan
    for cell in plan.refused:
        names = ", ".join(str(value) for value in cell.cell.labels.values())
        for problem in cell.refusals:
            console.print(Text(f"refused: {names}: {problem}", style="yellow"))
    for note in plan.notes:
        console.print(Text(note, style="dim"))
    if plan.absent:
        console.print(Text("before this can run:", style="bold"))
        for absent in plan.absent:
            console.print(Text(f"  {absent}"))
    if any(stage.provisional for stage in plan.stages.values()):
        console.print(Text("– instead of a key: it depends on files that are not here yet", style="dim"))


def _print_sizes(console: Console, plans: Sequence[_Estimated]) -> None:
    """Every table of published sizes that the manifests name, once, with the numbers of all of them."""
    from rich.text import Text

    from tamingplat.report import compare_sizes, sizes_table

    for published in dict.fromkeys(table for one in plans for table in one.tables):
        compared = [
            (one.planned.manifest.name, comparison)
            for one in plans
            for estimate in one.estimates.values()
            for comparison in compare_sizes(estimate, [published])
        ]
        if compared:
            table, notes = sizes_table(published, compared)
            console.print()
            console.print(table)
            for note in notes:
                console.print(Text(f"  {note}", style="dim"))
