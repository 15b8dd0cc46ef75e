"""``tamingplat export``: models of a store as checkpoints that others read."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from tamingplat.cli.request import StoreOption, store_path


def export(
    format_: Annotated[str, typer.Argument(metavar="FORMAT", help="The checkpoint's format, such as taming.")],
    name: Annotated[str, typer.Argument(help="An artifact's name; `tamingplat store name` gives one to what was trained.")],
    out: Annotated[Path, typer.Option("--out", help="The file, .safetensors; its configuration goes beside it as .yaml.")],
    store: StoreOption = None,
    replace: Annotated[bool, typer.Option("--replace", help="Replace files that are there.")] = False,
) -> None:
    """Write a model, and for a prior its tokenizers, in the layout of a checkpoint format.

    The file holds the state dict alone, under the format's names, and no pickle. What insists on a pickled file gets one by
    torch.save({"state_dict": safetensors.torch.load_file(FILE)}, OTHER); `tamingplat import` takes either.
    """
    from tamingplat.registry import load_registry
    from tamingplat.stages import export_checkpoint
    from tamingplat.store import Store

    report = export_checkpoint(format_, name, out, load_registry(), Store(store_path(store)), replace=replace)
    typer.echo(f"{report.tensors}: {report.count} tensors")
    typer.echo(f"{report.configuration}: the configuration")
