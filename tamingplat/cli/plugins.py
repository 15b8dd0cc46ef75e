"""``tamingplat plugins``: what is installed, and all about one component."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tamingplat.cli.plugin_check import check
from tamingplat.cli.reference import reference
from tamingplat.cli.scaffold import new_plugin

if TYPE_CHECKING:
    from rich.console import Console

    from tamingplat.registry import Registry

app = typer.Typer(no_args_is_help=True, help="What is installed, and what each component offers.")
app.command("check")(check)
app.command("new")(new_plugin)
app.command("reference")(reference)

JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON.")]


@app.command("list")
def list_plugins(
    kind: Annotated[str | None, typer.Option("--kind", help="One kind alone: tokenizer, prior, ordering, ….")] = None,
    as_json: JsonOption = False,
) -> None:
    """List the installed components, and the plugins that cannot be used with the reason."""
    from tamingplat.cli.console import make_console, print_json
    from tamingplat.interfaces import TamingplatError
    from tamingplat.registry import load_registry, parse_kind

    if kind is not None:
        try:
            parse_kind(kind)
        except ValueError as error:
            raise TamingplatError(f"--kind: {error}") from None
    registry = load_registry()
    if as_json:
        print_json(registry.rows(kind))
        for notice in registry.notices:
            typer.echo(f"note: {notice}", err=True)
    else:
        _print_rows(make_console(), registry, kind)


@app.command("show")
def show_plugin(
    component: Annotated[str, typer.Argument(metavar="KIND:NAME", help="Such as tokenizer:vqgan.")],
    as_json: JsonOption = False,
) -> None:
    """Show one component: its settings with types, defaults and descriptions, its paper, presets and plugin."""
    from tamingplat.cli.console import make_console, print_json
    from tamingplat.registry import load_registry

    registry = load_registry()
    kind, name = _parse(registry, component)
    described = registry.describe(registry.find(kind, name))
    if as_json:
        print_json(described)
    else:
        _print_component(make_console(), described)


def _parse(registry: Registry, text: str) -> tuple[str, str]:
    from tamingplat.interfaces import TamingplatError
    from tamingplat.registry import near_matches

    kind, colon, name = text.partition(":")
    if colon and name:
        return kind, name
    near = near_matches(text, {of_name for _, of_name in registry.components}, count=1)
    meant = [f"{of_kind}:{of_name}" for of_kind, of_name in registry.components if of_name in near]
    guess = f"did you mean {' or '.join(meant)}?" if meant else "such as tokenizer:vqgan"
    raise TamingplatError(f"a component is written KIND:NAME, not {text!r}; {guess}")


def _print_rows(console: Console, registry: Registry, kind: str | None) -> None:
    from tamingplat.cli.console import make_table, print_table

    rows = registry.rows(kind)
    table = make_table("kind", "name", "summary", "from", "status", "")
    for row in rows:
        state = "" if row["enabled"] and not row["error"] else "cannot be used" if row["error"] else "not used"
        origin = f"{row['distribution']} {row['version']}".strip()
        table.add_row(row["kind"], row["name"], row["summary"], origin, row["status"], state)
    print_table(console, table)
    errors = {f"{row['kind']}:{row['name']}": row["error"] for row in rows if row["error"]}
    _print_list(console, "Cannot be used", [f"{name}: {error}" for name, error in errors.items()])
    _print_list(
        console, "Blocked", [f"{policy.plugin}: `enabled = false` in {policy.blocked_by}" for policy in registry.blocked]
    )
    _print_list(
        console,
        "Known and not installed",
        [
            f"{known.plugin} ({', '.join(':'.join(key) for key in known.provides)}): {known.remedy}"
            for known in registry.known
            if kind is None or kind in {of_kind for of_kind, _ in known.provides}
        ],
    )
    _print_list(console, "Notes", list(registry.notices))


def _print_list(console: Console, title: str, lines: list[str]) -> None:
    if lines:
        console.print(f"\n{title}", style="bold")
        for line in lines:
            console.print(f"  {line}")


def _print_component(console: Console, described: Mapping[str, Any]) -> None:
    from tamingplat.cli.console import make_table, print_table

    console.print(f"{described['kind']}:{described['name']}", style="bold")
    console.print(described["summary"])
    facts = make_table("", "")
    facts.show_header = False
    facts.add_row("plugin", f"{described['plugin']}, {described['distribution']} {described['version']}, {described['status']}")
    facts.add_row("revision", str(described["revision"]))
    for label in ("paper", "family"):
        if described[label]:
            facts.add_row(label, described[label])
    if described["aliases"]:
        facts.add_row("also called", ", ".join(described["aliases"]))
    facts.add_row("class", described["factory"])
    print_table(console, facts)
    if described["illustration"]:
        console.print(f"\n{described['illustration']}", soft_wrap=True)
    _print_fields(console, described["fields"])
    if described["training"] is not None:
        console.print()
        training = make_table("setting", "default", title="Training (the train block of a manifest)")
        for name, value in described["training"].items():
            training.add_row(name, _value(value))
        print_table(console, training)
    presets = []
    for preset in described["presets"]:
        presets += [": ".join(filter(None, [preset["name"], preset["description"]])), f"    {_value(preset['config'])}"]
    _print_list(console, "Presets", presets)
    _print_list(console, "Problems", list(described["problems"]))


def _print_fields(console: Console, fields: list[dict[str, Any]]) -> None:
    from tamingplat.cli.console import make_table, print_table

    console.print()
    if not fields:
        console.print("It has no settings.")
        return
    table = make_table("", "", title="Settings")
    table.show_header = False
    for field in fields:
        default = "required" if field["required"] else f"default {_value(field['default'])}"
        facts = [field["type"], default, *field["constraints"], field["marker"]]
        table.add_row(field["name"], f"{', '.join(filter(None, facts))}\n{field['description']}")
    print_table(console, table)


def _value(value: Any) -> str:
    from tamingplat.reference import written_value

    return written_value(value)
