"""``tamingplat plugins new``: a project of somebody's own, which works before it is edited."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Annotated

import typer


def new_plugin(
    kind: Annotated[str, typer.Argument(metavar="KIND", help="tokenizer, prior, ordering, conditioner, sampler, dataset, ….")],
    name: Annotated[str, typer.Argument(metavar="NAME", help="Of the component and the project, such as fsq-toy.")],
    into: Annotated[
        Path, typer.Option("--into", metavar="DIR", help="The folder that the project's folder is made in.")
    ] = Path(),
) -> None:
    """Write a small installable plugin with settings, tests and a manifest: a working one, to be edited."""
    from tamingplat.registry import load_registry
    from tamingplat.scaffold import parse_scaffold_kind, plugin_names, write_project

    names = plugin_names(parse_scaffold_kind(kind), name, load_registry())
    project = write_project(names, into)
    typer.echo(f"{project.folder}: {names.kind}:{names.name}, {len(project.files)} files and {project.images} small images")
    for path in project.files:
        typer.echo(f"  {path}")
    typer.echo("\nIt works as it is. Next:")
    for command in (
        f"cd {shlex.quote(str(project.folder))}",
        "pip install -e '.[test]'",
        "python -m pytest",
        f"tamingplat plugins show {names.kind}:{names.name}",
        f"tamingplat run {project.manifest}",
    ):
        typer.echo(f"  {command}")
    typer.echo(f"\nThen edit {names.package}/{names.kind}.py.")
