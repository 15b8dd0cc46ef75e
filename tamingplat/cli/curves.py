"""``tamingplat curves``: the training curves of a manifest's models, for comparisons at equal steps, time or operations."""

from __future__ import annotations

import csv
import io
import json
from typing import Annotated, Any, Literal

import typer

from tamingplat.cli.request import ManifestArgument, SetOption, StoreOption, plan_manifest

_COLUMNS = (
    "stage",
    "label",
    "split",
    "step",
    "images",
    "seconds",
    "flops",
    "term",
    "value",
    "host",
    "device",
    "threads",
    "contended",
)


def curves(
    manifest: ManifestArgument,
    store: StoreOption = None,
    set_: SetOption = None,
    split: Annotated[
        Literal["validation", "train", "both"],
        typer.Option("--split", help="Which points: validations, training steps, or both."),
    ] = "validation",
    format_: Annotated[Literal["csv", "json"], typer.Option("--format", help="How to print them.")] = "csv",
) -> None:
    """Print every logged loss term with its step, images, training seconds and floating-point operations.

    Seconds are of training alone. They can be compared only between rows of one host, device and number of threads, neither of
    which was contended: those columns stand beside.
    """
    planned = plan_manifest(manifest, store, set_)
    rows: list[dict[str, Any]] = []
    for stage in planned.plan.stages.values():
        artifact = planned.store.find(stage.kind, stage.key) if stage.kind.startswith("train_") else None
        if artifact is None:
            continue
        record = artifact.details["result"]
        machine = {name: record[name] for name in ("host", "device", "threads", "contended")}
        for point in record["curve"]:
            if split in (point["split"], "both"):
                where = {name: point[name] for name in ("split", "step", "images", "seconds", "flops")}
                for term, value in point["terms"].items():
                    rows.append({"stage": stage.kind, "label": stage.label, **where, "term": term, "value": value, **machine})
    if format_ == "json":
        typer.echo(json.dumps(rows, indent=2))
        return
    out = io.StringIO()
    writer = csv.DictWriter(out, _COLUMNS, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    typer.echo(out.getvalue(), nl=False)
