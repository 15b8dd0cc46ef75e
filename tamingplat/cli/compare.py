"""``tamingplat compare``: the table of one or several manifests, from what the store holds."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from tamingplat.cli.request import Planned, SetOption, StoreOption, plan_manifest

if TYPE_CHECKING:
    from rich.console import Console

    from tamingplat.stages import Results


def compare(
    manifests: Annotated[list[Path], typer.Argument(help="Manifests, TOML files.", show_default=False)],
    store: StoreOption = None,
    set_: SetOption = None,
    format_: Annotated[
        Literal["table", "json", "csv", "markdown", "latex"], typer.Option("--format", help="How to print it.")
    ] = "table",
    wide: Annotated[bool, typer.Option("--wide", help="Every column, not the headlines alone.")] = False,
) -> None:
    """Print the comparison table from what is in the store; nothing is trained."""
    from tamingplat.report import to_csv, to_json, to_latex, to_markdown
    from tamingplat.stages import collect_results, join_results

    planned = [plan_manifest(manifest, store, set_) for manifest in manifests]
    every = [collect_results(one.plan, one.store) for one in planned]
    results = join_results(every)
    match format_:
        case "json":
            typer.echo(to_json(results))
        case "csv":
            typer.echo(to_csv(results), nl=False)
        case "markdown":
            typer.echo(to_markdown(results, wide=wide), nl=False)
        case "latex":
            typer.echo(to_latex(results, wide=wide), nl=False)
        case "table":
            from tamingplat.cli.console import make_console

            print_comparison(make_console(), planned, results, wide=wide)
    raise typer.Exit(1 if any(row.status == "failed" for row in results.rows) else 0)


def print_comparison(console: Console, planned: list[Planned], results: Results, *, wide: bool = False) -> None:
    """The table, its notes, and the published figures beside ours."""
    from rich.text import Text

    from tamingplat.report import PublishedTable, load_published, published_table, rich_table

    table, notes = rich_table(results, wide=wide)
    console.print(table)
    for note in notes:
        console.print(Text(f"  {note}", style="dim"))
    for one in planned:
        for table_of_figures in map(load_published, one.manifest.compare_with):
            if isinstance(table_of_figures, PublishedTable):
                console.print()
                console.print(published_table(table_of_figures, results))
