"""``tamingplat compare``: the table of one or several manifests, from what the store holds."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from tamingplat.cli.request import Planned, SetOption, StoreOption, plan_manifest

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
    wide: Annotated[bool, typer.Option("--wide", help="Every column, not the headlines alone.")] = False,
    sort: Annotated[
        str, typer.Option("--sort", metavar="COLUMN[:desc]", help="Order of the lines; the manifest's unless given.")
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
    from tamingplat.report import (
        asks_for_speed_ups,
        load_published,
        make_view,
        to_csv,
        to_json,
        to_latex,
        to_markdown,
        with_speed_ups,
    )
    from tamingplat.stages import collect_results, join_results

    planned = [plan_manifest(manifest, store, set_) for manifest in manifests]
    results = join_results([collect_results(one.plan, one.store) for one in planned])
    if asks_for_speed_ups(load_published(path) for one in planned for path in one.manifest.compare_with):
        results = with_speed_ups(results)
    asked = {"differences": differences, "evolution": evolution, "rate-distortion": rates}
    sections = [name for name, wanted in asked.items() if wanted]
    view = make_view(results, filters=filter_ or (), sort=sort, wide=wide, sections=sections)
    match format_:
        case "json":
            typer.echo(to_json(view.everything, view.rankings, view.rows))
        case "csv":
            typer.echo(to_csv(view.everything, view.rows), nl=False)
        case "markdown":
            typer.echo(to_markdown(view.tables()), nl=False)
        case "latex":
            typer.echo(to_latex(view.tables()), nl=False)
        case "table":
            from tamingplat.cli.console import make_console

            print_comparison(make_console(), planned, view)
    raise typer.Exit(1 if any(row.status == "failed" for row in results.rows) else 0)


def print_comparison(console: Console, planned: list[Planned], view: View) -> None:
    """The tables, their notes, and the published figures beside ours."""
    from rich.text import Text

    from tamingplat.report import PublishedTable, load_published, published_table, to_rich

    for number, table in enumerate(view.tables()):
        if number:
            console.print()
        for part in to_rich(table, console.width):
            console.print(part)
        for note in table.notes:
            console.print(Text(f"  {note}", style="dim"))
    for one in planned:
        for table_of_figures in map(load_published, one.manifest.compare_with):
            if isinstance(table_of_figures, PublishedTable):
                console.print()
                console.print(published_table(table_of_figures, view.everything.results))
