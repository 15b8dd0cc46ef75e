"""``tamingplat plugins check``: whether a plugin keeps the promises of its kinds, and is packaged as it should be."""

from __future__ import annotations

import dataclasses
import os
import tomllib
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from tamingplat.testing.packaging import Distribution
    from tamingplat.testing.verdicts import Verdict

_SIGNS = {"kept": "kept", "broken": "BROKEN", "known": "known", "not applicable": "-"}


def check(
    subject: Annotated[
        str,
        typer.Argument(metavar="PATH|NAME", help="A project's folder, an installed plugin, or a component as kind:name."),
    ],
    settings: Annotated[
        list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="A setting of the component, as TOML has it.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
    listing_seconds: Annotated[float, typer.Option(help="How long listing a plugin may take.", min=0.1)] = 20.0,
    promise_seconds: Annotated[float, typer.Option(help="How long each promise may take.", min=1.0)] = 120.0,
) -> None:
    """Examine a plugin: its packaging, how it is listed, and every promise of each component; exit with 1 if one is broken."""
    from tamingplat.cli.console import make_console, print_json
    from tamingplat.interfaces import TamingplatError
    from tamingplat.testing.checking import check_distribution

    distribution, component = _find(subject)
    if settings and component is None:
        raise TamingplatError("--set is for one component: name it as kind:name")
    console, verdicts = make_console(), []
    for verdict in check_distribution(
        distribution,
        component=component,
        settings=_parse(settings or []),
        listing_seconds=listing_seconds,
        promise_seconds=promise_seconds,
    ):
        verdicts.append(verdict)
        if not as_json:
            said = f": {verdict.message}" if verdict.message else ""
            console.print(f"{_SIGNS[verdict.status]:<7} {verdict.subject} {verdict.promise}{said}", soft_wrap=True)
    broken = sum(verdict.status == "broken" for verdict in verdicts)
    if as_json:
        print_json([dataclasses.asdict(verdict) for verdict in verdicts])
    else:
        console.print(_summary(verdicts))
    raise typer.Exit(1 if broken else 0)


def _find(subject: str) -> tuple[Distribution, str | None]:
    """What to examine, and the one component that was named, if any."""
    from tamingplat.registry import installed_plugins, load_registry
    from tamingplat.testing.packaging import find_distribution, installed_distribution, project_in

    if Path(subject).is_dir() or os.sep in subject or subject.endswith(".toml"):
        path = Path(subject)
        return project_in(path.parent if path.name == "pyproject.toml" else path), None
    kind, colon, name = subject.partition(":")
    if not colon:
        return find_distribution(subject), None
    entry = load_registry().registered(kind, name)
    plugin = next(one for one in installed_plugins() if (one.name, one.distribution) == (entry.plugin, entry.distribution))
    return installed_distribution(entry.distribution, (plugin,)), entry.component.reference


def _parse(settings: Sequence[str]) -> dict[str, Any]:
    """``a.b=1`` and the like as nested tables; what is no TOML value is taken as text."""
    from tamingplat.interfaces import TamingplatError

    parsed: dict[str, Any] = {}
    for setting in settings:
        key, equals, text = setting.partition("=")
        if not equals or not key.strip():
            raise TamingplatError(f"--set takes KEY=VALUE, not {setting!r}")
        try:
            value: Any = tomllib.loads(f"value = {text}")["value"]
        except tomllib.TOMLDecodeError:
            value = text
        *tables, last = key.strip().split(".")
        place = parsed
        for table in tables:
            place = place.setdefault(table, {})
        place[last] = value
    return parsed


def _summary(verdicts: Sequence[Verdict]) -> str:
    counts = {status: sum(verdict.status == status for verdict in verdicts) for status in _SIGNS}
    texts = [f"{counts['kept']} kept", f"{counts['broken']} broken"]
    texts += [
        f"{counts[status]} {what}"
        for status, what in (("known", "known"), ("not applicable", "not applicable"))
        if counts[status]
    ]
    return ", ".join(texts)
