"""``tamingplat compare``: the table of one or several manifests, from what the store holds."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from tamingplat.cli.request import SetOption, StoreOption, plan_manifest
from tamingplat.interfaces import Problem, ProblemsError

if TYPE_CHECKING:
    from rich.console import Console

    from tamingplat.report import View


def compare(
    manifests: Annotated[list[Path], typer.Argument(help="Manifests, TOML files.", show_default=False)],
    store: StoreOption = None,
    set_: SetOption = None,
    format_: Annotated[
        Literal["table", "json", "csv", "markdown", "latex"], typer.Option("--format", help="How to print it.")
    ] = "table",
    wide: Annotated[
        bool, typer.Option("--wide", help="Every column, not the headlines alone; json and csv always have them.")
    ] = False,
    sort: Annotated[
        str,
        typer.Option("--sort", metavar="COLUMN[:desc]", help="Order of the lines, any heading; the manifest's unless given."),
    ] = "",
    filter_: Annotated[
        list[str] | None,
        typer.Option(
            "--filter",
            metavar="CONDITIONS",
            help="Lines to show: 'prior=gpt,ordering=raster|z-curve' or 'nll<3'. Hides lines and changes no verdict; "
            "'seed=0' takes rows of that seed alone. Can be repeated.",
            show_default=False,
        ),
    ] = None,
    differences: Annotated[
        bool, typer.Option("--differences", help="Every difference from the best, with its interval and what decides it.")
    ] = False,
    evolution: Annotated[bool, typer.Option("--evolution", help="Validation NLL along training, line by line.")] = False,
    rates: Annotated[
        bool, typer.Option("--rate-distortion", help="Bits per image beside distortion; always where tokenizers differ.")
    ] = False,
) -> None:
    """Print the comparison table from what is in the store; nothing is trained."""
    asked = {"differences": differences, "evolution": evolution, "rate-distortion": rates}
    sections = [name for name, wanted in asked.items() if wanted]
    _check_format(format_, [*sections, *(["wide"] if wide else [])])

    from tamingplat.report import collect, make_view, to_csv, to_json, to_latex, to_markdown

    planned = [plan_manifest(manifest, store, set_) for manifest in manifests]
    collected = collect([one.plan for one in planned], planned[0].store)
    view = make_view(collected, filters=filter_ or (), sort=sort, wide=wide, sections=sections)
    match format_:
        case "json":
            typer.echo(to_json(view.everything, view.rankings, view.rows))
        case "csv":
            typer.echo(to_csv(view.everything, view.rankings, view.rows), nl=False)
        case "markdown":
            typer.echo(to_markdown(view.tables()), nl=False)
        case "latex":
            typer.echo(to_latex(view.tables()), nl=False)
        case "table":
            from tamingplat.cli.console import make_console

            print_comparison(make_console(), view)
    raise typer.Exit(1 if any(row.status == "failed" for row in collected.results.rows) else 0)


_TABLES = "--format table, markdown or latex"
_INSTEAD = {
    "wide": "leave it out: every column is there",
    "differences": f"leave it out: json has differences and csv verdicts in every row; or use {_TABLES}",
    "evolution": f"use {_TABLES}, or tamingplat curves for every point",
    "rate-distortion": f"leave it out: rates and distortions are columns; or use {_TABLES}",
}
"""What to do instead of asking for a table of its own where single rows are printed."""


def _check_format(layout: str, options: list[str]) -> None:
    """See that the format has what is asked for.

    Raises:
        ProblemsError: It has single rows alone, and tables of their own were asked for.
    """
    what = f"says nothing to --format {layout}, whose rows are those of single seeds"
    problems = [Problem(f"--{option}", what, _INSTEAD[option]) for option in options]
    if problems and layout in ("json", "csv"):
        raise ProblemsError(problems)


def print_comparison(console: Console, view: View) -> None:
    """The tables with their notes."""
    from rich.text import Text

    from tamingplat.report import to_rich

    for number, table in enumerate(view.tables()):
        if number:
            console.print()
        for part in to_rich(table, console.width):
            console.print(part)
        for note in table.notes:
            console.print(Text(f"  {note}", style="dim"))
