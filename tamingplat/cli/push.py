"""``tamingplat push``: trained models for others, in a folder or on the Hugging Face hub."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Annotated

import typer

from tamingplat.cli.request import SetOption, StoreOption, plan_manifest, store_path
from tamingplat.interfaces import TamingplatError


def push(
    to: Annotated[str, typer.Option("--to", metavar="TARGET", help="A folder, or hf://owner/name, with @branch or not.")],
    manifest: Annotated[
        Path | None, typer.Argument(help="The manifest that the model was trained by.", show_default=False)
    ] = None,
    select: Annotated[
        str | None,
        typer.Option(
            "--select",
            help="Which of its models: tokenizer=vqgan-f4, or prior=gpt-s,ordering=raster,seed=0: as many fields as it takes.",
        ),
    ] = None,
    name: Annotated[
        str | None, typer.Option("--name", help="In place of a manifest: a named artifact, trained, imported or pulled.")
    ] = None,
    store: StoreOption = None,
    set_: SetOption = None,
    license_: Annotated[
        str | None, typer.Option("--license", help="What you allow others, as the hub writes it: apache-2.0, cc-by-4.0, ….")
    ] = None,
    private: Annotated[bool, typer.Option("--private", help="Only you see a repository that this makes.")] = False,
) -> None:
    """Write a tokenizer, or a prior with its tokenizers, with a description and a model card; `tamingplat pull` reads it.

    The card has the model's rows of the manifest's table, and how they were made. Names of machines and folders stay here.
    """
    if (manifest is None) == (name is None) or (manifest is None) != (select is None):
        raise TamingplatError("name what to push: MANIFEST with --select, or --name")
    from tamingplat.registry import load_registry
    from tamingplat.report import render_card
    from tamingplat.stages.sharing import Hub, gather, parse_target, select_model, shared_results
    from tamingplat.stages.sharing import push as write
    from tamingplat.store import Store

    target = parse_target(to)
    if target.folder is None:
        Hub().demand_token(target)
    elif private:
        raise TamingplatError(f"{target}: --private is for repositories of the hub, and this is a folder")
    if manifest is not None:
        assert select is not None, "checked above"
        planned = plan_manifest(manifest, store, set_)
        registry, opened = planned.registry, planned.store
        selected = select_model(planned.plan, select, opened, command=_command(manifest, store, set_))
        artifact, results = selected.artifact, shared_results(planned.plan, opened, selected.artifact)
    else:
        assert name is not None, "checked above"
        registry, opened = load_registry(), Store(store_path(store))
        artifact, results = opened.named(name), None
    gathered = gather(artifact, registry, opened, license_=license_, results=results)
    source = str(target) if target.folder is None else "FOLDER"
    card = render_card(gathered.description, source=source, name=name or gathered.description.main.component)
    where = write(gathered, card, target, private=private)
    for role, entry in gathered.description.models.items():
        typer.echo(f"{role}: {entry.kind}:{entry.component}, {entry.key[:12]}")
    typer.echo(f"pushed to {where}")
    if gathered.description.license is None:
        typer.echo("no licence is stated: others may not use it until you say --license", err=True)


def _command(manifest: Path, store: Path | None, overrides: list[str] | None) -> str:
    """What trains the models of a manifest."""
    words = ["tamingplat", "run", str(manifest)]
    words += ["--store", str(store)] if store is not None else []
    words += [word for override in overrides or () for word in ("--set", override)]
    return shlex.join(words)
