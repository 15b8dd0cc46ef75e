"""``tamingplat import``: models from checkpoints that others wrote, as artifacts that a manifest can name."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tamingplat.cli.request import StoreOption, store_path
from tamingplat.interfaces import TamingplatError

if TYPE_CHECKING:
    from tamingplat.stages import ImportReport


def import_(
    format_: Annotated[str, typer.Argument(metavar="FORMAT", help="The checkpoint's format, such as taming.")],
    checkpoint: Annotated[Path, typer.Argument(help="The file: a zip or legacy file of torch.save, or safetensors.")],
    config: Annotated[Path, typer.Option("--config", help="The configuration that belongs to it, YAML or JSON.")],
    name: Annotated[
        str,
        typer.Option(
            "--as",
            metavar="NAME",
            help="What manifests call it. A prior's own tokenizers are called NAME-tokenizer and NAME-condition.",
        ),
    ],
    store: StoreOption = None,
    codes: Annotated[
        str | None,
        typer.Option("--codes", help="The grid of a prior's codes, such as 16x16, where the configuration does not say it."),
    ] = None,
    condition_length: Annotated[
        int | None,
        typer.Option("--condition-length", min=1, help="Tokens of a prior's condition, where that is not said either."),
    ] = None,
    replace: Annotated[bool, typer.Option("--replace", help="Take the name from the artifact that has it.")] = False,
) -> None:
    """Read a checkpoint and write it to a store. Nothing in the file is executed, whatever it pickles beside its tensors."""
    grid = None if codes is None else _grid(codes)
    from tamingplat.registry import load_registry
    from tamingplat.stages import ImportRequest, import_checkpoint
    from tamingplat.store import Store

    opened = Store(store_path(store))
    request = ImportRequest(format_, checkpoint, config, name, grid, condition_length, replace)
    _print(import_checkpoint(request, load_registry(), opened))


def _grid(text: str) -> tuple[int, ...]:
    sides = text.replace("×", "x").split("x")
    if not all(side.isascii() and side.isdecimal() and 0 < int(side) < 2**31 for side in sides) or len(sides) > 3:
        raise TamingplatError(f"--codes {text}: must be the sides of a grid, such as 16x16")
    return tuple(int(side) for side in sides)


def _print(report: ImportReport) -> None:
    from tamingplat.report import count

    for artifact in report.artifacts:
        kind = artifact.stage.kind.removeprefix("import_")
        present = ", which the store had already" if artifact.present else ""
        typer.echo(f"{artifact.name}: {kind}, {count(artifact.parameters)} parameters, {artifact.stage.key[:12]}{present}")
    for reason, names in report.dropped.items():
        more = f" and {len(names) - 1} more" if len(names) > 1 else ""
        typer.echo(f"dropped {names[0]}{more}: {reason}")
    if report.beside:
        listed = ", ".join(f"{name} ({kind})" for name, kind in report.beside.items())
        typer.echo(f"not looked at, beside the tensors: {listed}")
    for note in report.notes:
        typer.echo(f"note: {note}")
