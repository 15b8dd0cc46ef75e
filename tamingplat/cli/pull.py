"""``tamingplat pull``: models that others pushed, as artifacts that a manifest can name."""

from __future__ import annotations

from typing import Annotated

import typer

from tamingplat.cli.request import StoreOption, store_path


def pull(
    source: Annotated[str, typer.Argument(help="A folder, or hf://owner/name, with @revision or not.")],
    name: Annotated[
        str,
        typer.Option(
            "--as",
            metavar="NAME",
            help="What manifests call it. A prior's own tokenizers are called NAME-tokenizer and NAME-condition.",
        ),
    ],
    store: StoreOption = None,
    replace: Annotated[bool, typer.Option("--replace", help="Take the name from the artifact that has it.")] = False,
    max_size: Annotated[
        float, typer.Option("--max-size", min=0, metavar="GIB", help="Refuse weights of more gibibytes than this.")
    ] = 16,
) -> None:
    """Check what was pushed and write it to a store. Nothing of it is executed: weights are safetensors, the rest is JSON."""
    from tamingplat.registry import load_registry
    from tamingplat.report import count
    from tamingplat.stages.sharing import PullRequest, parse_target
    from tamingplat.stages.sharing import pull as get
    from tamingplat.store import Store

    request = PullRequest(parse_target(source), name, replace, int(max_size * 2**30))
    report = get(request, load_registry(), Store(store_path(store)))
    for artifact in report.artifacts:
        kind = artifact.stage.kind.removeprefix("import_")
        present = ", which the store had already" if artifact.present else ""
        typer.echo(f"{artifact.name}: {kind}, {count(artifact.parameters)} parameters, {artifact.stage.key[:12]}{present}")
    for note in report.notes:
        typer.echo(f"note: {note}")
    typer.echo(f"licence: {report.description.license or 'none is stated; ask its author'}")
