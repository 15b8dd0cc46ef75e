"""Which commands there are. A new one is a function in a file of its own here, registered below."""

from __future__ import annotations

from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from tamingplat.cli import plugins, store
from tamingplat.cli.compare import compare
from tamingplat.cli.curves import curves
from tamingplat.cli.doctor import doctor
from tamingplat.cli.export import export
from tamingplat.cli.import_ import import_
from tamingplat.cli.plan import plan
from tamingplat.cli.pull import pull
from tamingplat.cli.push import push
from tamingplat.cli.reconstruct import reconstruct
from tamingplat.cli.report import report
from tamingplat.cli.run import run
from tamingplat.cli.sample import sample
from tamingplat.cli.schema import schema
from tamingplat.cli.stage import stage
from tamingplat.cli.validate import validate


class Interruption(Exception):  # noqa: N818 - what the user did is no error
    """The user interrupted a command. Typer would end the process by itself, with a status that depends on its version."""


class _Group(TyperGroup):
    """Lets an interruption reach ``main``."""

    def invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt as error:
            raise Interruption from error


def make_app() -> typer.Typer:
    """The whole command line."""
    app = typer.Typer(
        cls=_Group,
        no_args_is_help=True,
        pretty_exceptions_enable=False,
        help="Train, sample, measure and compare image tokenizers, priors, orderings, conditioners and samplers.",
    )
    app.callback()(_options)
    for command in (run, validate, plan, compare, report, curves, sample, reconstruct, stage, schema):
        app.command(command.__name__)(command)
    app.command("import")(import_)
    app.command("export")(export)
    app.command("push")(push)
    app.command("pull")(pull)
    app.add_typer(plugins.app, name="plugins")
    app.add_typer(store.app, name="store")
    app.command("doctor")(doctor)
    return app


def _print_version(wanted: bool) -> None:
    if wanted:
        from tamingplat import __version__

        typer.echo(f"tamingplat {__version__}")
        raise typer.Exit


def _options(
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    pass
