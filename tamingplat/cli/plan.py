"""``tamingplat plan``: what would run, what is cached, what is impossible and why."""

from __future__ import annotations

import json
import shlex
from typing import Annotated, Any

import typer

from tamingplat.cli.request import ManifestArgument, Planned, SetOption, StoreOption, plan_manifest


def plan(
    manifest: ManifestArgument,
    store: StoreOption = None,
    set_: SetOption = None,
    json_: Annotated[bool, typer.Option("--json", help="Print the plan as JSON.")] = False,
    commands: Annotated[
        bool, typer.Option("--commands", help="Print one resumable command per missing stage, inputs first, for a queue.")
    ] = False,
) -> None:
    """Show what a manifest would run, what is already there, and which cells are refused."""
    planned = plan_manifest(manifest, store, set_)
    if commands:
        _print_commands(planned, set_ or [])
    elif json_:
        typer.echo(json.dumps(_as_json(planned), indent=2))
    else:
        _print_table(planned)


def _as_json(planned: Planned) -> dict[str, Any]:
    plan, store = planned.plan, planned.store
    return {
        "stages": [
            {
                "key": stage.key,
                "kind": stage.kind,
                "label": stage.label,
                "inputs": [needed.key for needed in stage.inputs],
                "cached": store.find(stage.kind, stage.key) is not None,
                "parameters": plan.parameters.get(stage.key),
            }
            for stage in plan.stages.values()
        ],
        "cells": [
            {
                **cell.cell.labels,
                "status": "refused" if cell.refusals else "possible",
                "reason": cell.reason,
            }
            for cell in plan.cells
        ],
    }


def _print_commands(planned: Planned, overrides: list[str]) -> None:
    from tamingplat.stages import Request

    request = Request(planned.manifest.path.absolute(), planned.store.root.absolute(), tuple(overrides))
    checks = [check for check in planned.plan.checks if planned.store.find(check.kind, check.key) is None]
    for stage in (*checks, *planned.plan.missing(planned.store)):
        typer.echo(shlex.join(request.command(stage)))


def _print_table(planned: Planned) -> None:
    from rich import box
    from rich.table import Table
    from rich.text import Text

    from tamingplat.cli.console import make_console
    from tamingplat.report import count

    console, plan, store = make_console(), planned.plan, planned.store
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
            stage.key[:10],
            "cached" if there else "to do",
            style="dim" if there else "",
        )
    console.print(table)
    console.print(f"{len(plan.cells)} cells; {cached} stages cached, {len(plan.stages) - cached} to do", highlight=False)
    for cell in plan.refused:
        names = ", ".join(str(value) for value in cell.cell.labels.values())
        for problem in cell.refusals:
            console.print(Text(f"refused: {names}: {problem}", style="yellow"))
    for note in plan.notes:
        console.print(Text(note, style="dim"))
