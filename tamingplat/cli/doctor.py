"""``tamingplat doctor``: what this machine has, what is installed, and what is wrong with either."""

from __future__ import annotations

import contextlib
import os
import platform
import re
import sys
import tomllib
from importlib import metadata
from typing import TYPE_CHECKING, Annotated, Any

import typer
from pydantic import ValidationError

from tamingplat.interfaces import ENTRY_POINT_GROUP, Component, Config, Selection, TamingplatError, references

if TYPE_CHECKING:
    from rich.console import Console

    from tamingplat.registry import Registry

_NETWORKS = ("perceptual", "feature_extractor", "classifier")


def doctor(as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False) -> None:
    """Examine the machine and the installation; exit with 1 when something is wrong with it."""
    from tamingplat.cli.console import make_console, print_json
    from tamingplat.registry import load_registry

    report = examine(load_registry())
    if as_json:
        print_json(report)
    else:
        _print_report(make_console(), report)
    raise typer.Exit(1 if report["problems"] else 0)


def examine(registry: Registry) -> dict[str, Any]:
    """Everything that the command prints, ready for JSON.

    Returns:
        ``machine``, facts by name; ``packages``, each with ``name, version, needs``; ``devices``, a text for each accelerator;
        ``weights``, each network with ``component, present, remedy``, where a missing file is no problem until a manifest
        needs it; ``notices``, what is odd about the registry files and stops nothing; and ``problems``, a text for everything
        that should be mended.
    """
    packages, problems = _packages()
    devices, device_problems = _devices()
    weights, weight_problems = _weights(registry)
    return {
        "machine": _machine(),
        "packages": packages,
        "devices": devices,
        "weights": weights,
        "notices": list(registry.notices),
        "problems": [*problems, *device_problems, *_plugin_problems(registry), *weight_problems],
    }


def _machine() -> dict[str, str]:
    usable = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return {
        "python": f"{platform.python_version()} ({sys.executable})",
        "platform": platform.platform(),
        "cores": f"{usable} usable of {os.cpu_count()}",
    }


def _packages() -> tuple[list[dict[str, str | None]], list[str]]:
    """The packages that tamingplat needs, with the versions that are installed."""
    from tamingplat.registry import installed_version

    rows, problems = [], []
    for requirement in _requirements():
        found = re.match(r"[A-Za-z0-9._-]+", requirement)
        assert found is not None, f"a requirement without a name: {requirement!r}"
        name = found.group()
        version = installed_version(name)
        rows.append({"name": name, "version": version, "needs": requirement[len(name) :].strip()})
        if version is None:
            problems.append(f"the package {name} is not installed: pip install '{requirement}'")
    return rows, problems


def _requirements() -> list[str]:
    """What tamingplat needs, as the installed distribution says it, or the checkout that it is run from."""
    try:
        needed = metadata.requires("tamingplat") or []
    except metadata.PackageNotFoundError:
        needed = _pyproject().get("project", {}).get("dependencies", [])
    return [requirement.partition(";")[0].strip() for requirement in needed if "extra ==" not in requirement]


def _pyproject() -> dict[str, Any]:
    """The checkout's pyproject.toml; empty where tamingplat is installed as a wheel."""
    from tamingplat.registry import checkout_root

    root = checkout_root()
    return tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8")) if root else {}


def _devices() -> tuple[list[str], list[str]]:
    try:
        import torch
    except (ImportError, OSError) as error:
        return [], [f"torch cannot be imported: {error}"]
    devices = []
    for index in range(torch.cuda.device_count()):
        properties = torch.cuda.get_device_properties(index)
        devices.append(f"cuda:{index} {properties.name}, {properties.total_memory / 2**30:.0f} GiB")
    if torch.backends.mps.is_available():
        devices.append("mps")
    devices += [f"xpu:{index} {torch.xpu.get_device_name(index)}" for index in range(torch.xpu.device_count())]
    return devices, []


def _plugin_problems(registry: Registry) -> list[str]:
    from tamingplat.registry import how_to_install, installed_plugins, installed_version

    problems = [str(broken) for broken in registry.broken]
    problems += [f"{kind}:{name} cannot be used: {reason}" for (kind, name), reason in registry.conflicts.items()]
    installed = {plugin.name for plugin in installed_plugins()}
    # Those of another distribution that is not installed are merely known, and nothing is wrong with that.
    expected = {known.plugin: known.distribution for known in registry.known if installed_version(known.distribution)}
    declared = _pyproject().get("project", {})
    for plugin in declared.get("entry-points", {}).get(ENTRY_POINT_GROUP, {}):
        expected[plugin] = declared["name"]
    absent: dict[str, list[str]] = {}
    for plugin, distribution in expected.items():
        if plugin not in installed:
            absent.setdefault(distribution, []).append(plugin)
    problems += [
        f"not installed: {', '.join(plugins)}; {how_to_install(distribution, ', '.join(plugins))}"
        for distribution, plugins in absent.items()
    ]
    return problems


def _weights(registry: Registry) -> tuple[list[dict[str, Any]], list[str]]:
    """Which networks have their weights on this machine, with default settings."""
    rows: list[dict[str, Any]] = []
    problems: list[str] = []
    for (kind, _), entry in registry.components.items():
        if kind not in _NETWORKS:
            continue
        component = entry.component
        if component.training is not None:
            continue  # a stage of a plan makes its weights
        try:
            with contextlib.redirect_stdout(sys.stderr):
                remedy = _build(registry, component, component.config()).missing()
        except ValidationError:
            remedy = "not examined: it has settings without a default"
        except TamingplatError as error:
            remedy = str(error)
        except Exception as error:  # noqa: BLE001 - a plugin's own code; the other networks can be examined all the same
            remedy = f"it could not be examined: {type(error).__name__}: {error}"
            problems.append(f"{registry.label(component)}: {type(error).__name__}: {error}")
        rows.append({"component": component.reference, "present": remedy is None, "remedy": remedy or ""})
    return rows, problems


def _build(registry: Registry, component: Component, config: Config) -> Any:
    """A network with the components that its settings name."""
    parts = {}
    for field, reference in references(component.config).items():
        selection = dict(config)[field]
        if isinstance(selection, Selection):
            part = registry.find(reference.kind, selection.use)
            parts[field] = _build(registry, part, part.config.model_validate(selection.config))
    return registry.load_class(component)(config, parts)


def _print_report(console: Console, report: dict[str, Any]) -> None:
    from tamingplat.cli.console import make_table, print_table

    machine = make_table("", "")
    machine.show_header = False
    for name, value in report["machine"].items():
        machine.add_row(name, value)
    machine.add_row("accelerators", ", ".join(report["devices"]) or "none; everything runs on the CPU")
    print_table(console, machine)
    console.print()
    packages = make_table("package", "installed", "needs")
    for row in report["packages"]:
        packages.add_row(row["name"], row["version"] or "not installed", row["needs"])
    print_table(console, packages)
    console.print()
    weights = make_table("network", "weights")
    for row in report["weights"]:
        weights.add_row(row["component"], "present" if row["present"] else row["remedy"])
    print_table(console, weights)
    console.print()
    for notice in report["notices"]:
        console.print(f"note: {notice}", soft_wrap=True)
    for problem in report["problems"]:
        console.print(f"problem: {problem}", style="bold red", soft_wrap=True)
    console.print("nothing is wrong" if not report["problems"] else f"{len(report['problems'])} to be mended")
