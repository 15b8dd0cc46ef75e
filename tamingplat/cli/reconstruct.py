"""``tamingplat reconstruct``: the user's own images to codes and back."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from tamingplat.cli.files import own_file_problems
from tamingplat.cli.progress import ProgressLine
from tamingplat.cli.request import ManifestArgument, SetOption, StoreOption, store_path


def reconstruct(
    manifest: ManifestArgument,
    images: Annotated[Path, typer.Option("--images", help="An image, or a folder of them.")],
    out: Annotated[Path, typer.Option("--out", help="The folder for the reconstructions, under the images' names, as PNG.")],
    select: Annotated[
        str | None, typer.Option("--select", help="Which tokenizer: tokenizer=vqgan-f4: as many fields as it takes.")
    ] = None,
    crop: Annotated[
        bool, typer.Option("--crop", help="Cut what is beyond a size that the tokenizer takes, on all sides alike.")
    ] = False,
    tile: Annotated[
        int | None, typer.Option("--tile", min=16, help="Encode and decode in squares of so many pixels, to save memory.")
    ] = None,
    beside: Annotated[bool, typer.Option("--beside", help="Write each image beside its reconstruction.")] = False,
    store: StoreOption = None,
    set_: SetOption = None,
) -> None:
    """Reconstruct images of any size that a trained tokenizer takes, and say how close they are."""
    import numpy as np

    from tamingplat.engine import Progress
    from tamingplat.interfaces import Problem, ProblemsError
    from tamingplat.report.mosaic import mosaic, writable_problem, write_image
    from tamingplat.stages import use_threads
    from tamingplat.stages.finished import open_manifest, open_tokenizer
    from tamingplat.stages.selection import parse_selection

    if reason := writable_problem(out, folder=True):
        raise ProblemsError([Problem(f"--out {out}", reason)])
    opened = open_manifest(manifest, store_path(store), set_ or ())
    tokenizer = open_tokenizer(opened, parse_selection(select) if select else {})
    paths = tokenizer.prepare(images, crop=crop, tile=tile)
    targets = {path: out / f"{_name(path, paths)}.png" for path in paths}
    if problems := list(own_file_problems(targets.values(), paths)):
        raise ProblemsError(problems)
    use_threads(opened.plan.manifest.runtime.threads)
    with ProgressLine() as line:
        for number, made in enumerate(tokenizer.reconstructions(paths, crop=crop, tile=tile)):
            assert made.path is not None, "every image came from a file"
            picture = mosaic(np.stack([made.original, made.image]), 2) if beside else made.image
            target = targets[made.path]
            write_image(target, picture)
            error = np.square(made.original.astype(np.float64) - made.image).mean()
            told = "identical" if error == 0 else f"PSNR {10 * np.log10(255**2 / error):.2f} dB"
            line.print(f"{target}: {made.image.shape[2]}×{made.image.shape[1]}, {len(made.codes)} codes, {told}")
            line.report(Progress(stage="reconstructing", step=number + 1, steps=len(paths)))


def _name(path: Path, paths: list[Path]) -> str:
    """The file's name without suffix, or with it where two would be the same."""
    return path.name.replace(".", "-") if sum(other.stem == path.stem for other in paths) > 1 else path.stem
