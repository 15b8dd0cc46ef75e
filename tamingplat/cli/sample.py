"""``tamingplat sample``: images from a finished cell, of any number and size."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Annotated, Any

import typer

from tamingplat.cli.files import own_file_problems
from tamingplat.cli.progress import ProgressLine
from tamingplat.cli.request import ManifestArgument, SetOption, StoreOption, store_path
from tamingplat.cli.sizes import parse_files, parse_region, parse_size


def sample(
    manifest: ManifestArgument,
    out: Annotated[
        Path, typer.Option("--out", help="A file for one image or a grid of them (.png, .jpg, .webp), or a folder.")
    ],
    select: Annotated[
        str | None, typer.Option("--select", help="Which cell: prior=gpt-s,ordering=raster: as many fields as it takes.")
    ] = None,
    count: Annotated[int, typer.Option("--count", help="How many images.")] = 16,
    size: Annotated[
        str | None, typer.Option("--size", metavar="WIDTHxHEIGHT", help="In pixels, such as 1280x832; that of the dataset.")
    ] = None,
    seed: Annotated[int | None, typer.Option("--seed", min=0, help="Other images; the cell's own seed by default.")] = None,
    class_: Annotated[
        list[str] | None, typer.Option("--class", help="A class by name or number. Repeated, images take them in turn.")
    ] = None,
    condition: Annotated[
        list[str] | None,
        typer.Option(
            "--condition",
            metavar="COLUMN=FILE",
            help="A file of the condition: segmentation=layout.png. In place of the image whose edges or low resolution it is: "
            "edges=sketch.png, white on black, and low-resolution=small.png.",
        ),
    ] = None,
    complete: Annotated[Path | None, typer.Option("--complete", help="An image of which a part is given.")] = None,
    rows: Annotated[float | None, typer.Option("--rows", help="Given are the first rows: this share of them.")] = None,
    region: Annotated[
        str | None, typer.Option("--region", help="Given is this part: TOP,LEFT,BOTTOM,RIGHT as shares of height and width.")
    ] = None,
    sampler: Annotated[
        str | None, typer.Option("--sampler", help="A sampler block of the manifest, or a component, in place of the cell's.")
    ] = None,
    temperature: Annotated[float | None, typer.Option("--temperature", help="A setting of the sampler.")] = None,
    top_k: Annotated[int | None, typer.Option("--top-k", help="A setting of the sampler.")] = None,
    top_p: Annotated[float | None, typer.Option("--top-p", help="A setting of the sampler.")] = None,
    guidance: Annotated[float | None, typer.Option("--guidance", help="A setting of the sampler.")] = None,
    stride: Annotated[int | None, typer.Option("--stride", help="A setting of the sampler sliding-window.")] = None,
    tile: Annotated[
        int | None, typer.Option("--tile", min=16, help="Encode and decode in squares of so many pixels, to save memory.")
    ] = None,
    batch_size: Annotated[int | None, typer.Option("--batch-size", min=1, help="Images at a time.")] = None,
    columns: Annotated[int | None, typer.Option("--columns", min=1, help="Of a grid.")] = None,
    store: StoreOption = None,
    set_: SetOption = None,
) -> None:
    """Draw images from a cell whose models are trained; without --seed and others they are those of its row in the table."""
    from tamingplat.interfaces import Problem, ProblemsError
    from tamingplat.report.mosaic import WRITTEN_SUFFIXES, writable_problem

    problems: list[Problem] = []
    grid = out.suffix.lower() in WRITTEN_SUFFIXES
    if out.suffix and not grid and not out.is_dir():
        what = f"images are not written as {out.suffix}"
        problems.append(Problem(f"--out {out}", what, f"end it in {', '.join(WRITTEN_SUFFIXES)}, or name a folder"))
    elif reason := writable_problem(out, folder=not grid):
        problems.append(Problem(f"--out {out}", reason))
    wanted_size = parse_size(size, problems)
    given = parse_region(rows, region, problems)
    files = parse_files(condition or (), problems)
    targets = [out] if grid else [_numbered(out, number) for number in range(count)]
    problems += own_file_problems(targets, [*files.values(), *([] if complete is None else [complete])])
    from tamingplat.stages import use_threads
    from tamingplat.stages.finished import FinishedCell, SampleOptions, Wanted, open_manifest, select_cell
    from tamingplat.stages.selection import parse_selection

    if problems:
        raise ProblemsError(problems)
    opened = open_manifest(manifest, store_path(store), set_ or ())
    planned = select_cell(opened, parse_selection(select) if select else {}, by_sampler=sampler is None)
    asked: dict[str, Any] = {"temperature": temperature, "top_k": top_k, "top_p": top_p, "guidance": guidance, "stride": stride}
    options = SampleOptions(
        count=count,
        size=wanted_size,
        seed=seed,
        wanted=Wanted(tuple(class_ or ()), files),
        complete=complete,
        region=given,
        sampler=sampler,
        settings={name: value for name, value in asked.items() if value is not None},
        tile=tile,
        batch_size=batch_size,
    )
    sampling = FinishedCell(opened, planned).prepare(options)
    use_threads(opened.plan.manifest.runtime.threads)
    began = time.monotonic()
    pixels = f"{sampling.size[1]}×{sampling.size[0]} pixels"
    typer.echo(f"{planned.cell.label}: {count} images of {pixels} with {sampling.sampler.label}", err=True)
    with ProgressLine() as line:
        written = _write(sampling.draw(line.report), out, grid=grid, columns=columns)
    seconds = time.monotonic() - began
    typer.echo(f"{written} ({seconds:.1f} s)")


def _write(batches: Any, out: Path, *, grid: bool, columns: int | None) -> str:
    """Write images as they come, or all of them as a grid; what was written, in words."""
    import numpy as np

    from tamingplat.report.mosaic import mosaic, write_image

    if grid:
        write_image(out, mosaic(np.concatenate(list(batches)), columns))
        return str(out)
    number = 0
    for images in batches:
        for image in images:
            write_image(_numbered(out, number), image)
            number += 1
    return f"{out}: {number} images"


def _numbered(folder: Path, number: int) -> Path:
    return folder / f"{number:05}.png"
