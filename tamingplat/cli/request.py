"""What the commands that take a manifest have in common: options, loading, planning."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from tamingplat.interfaces import Kind
    from tamingplat.manifest import Manifest, NamedArtifact
    from tamingplat.registry import Registry
    from tamingplat.stages import Plan
    from tamingplat.store import Store

ManifestArgument = Annotated[Path, typer.Argument(help="The manifest, a TOML file.", show_default=False)]
StoreOption = Annotated[
    Path | None,
    typer.Option("--store", help="Where results live; ./store or $TAMINGPLAT_STORE unless given.", show_default=False),
]
SetOption = Annotated[
    list[str] | None,
    typer.Option("--set", help="Override a setting: prior.gpt-s.train.steps=100. Can be repeated.", show_default=False),
]


def store_path(store: Path | None) -> Path:
    """The store's folder: the option, else ``$TAMINGPLAT_STORE``, else ``store`` in the current folder."""
    return store or Path(os.environ.get("TAMINGPLAT_STORE") or "store")


def check_published(manifest: Manifest) -> None:
    """Read every table of published figures, so that a wrong one is found before anything runs.

    Raises:
        ProblemsError: Something is wrong with them, all of it.
    """
    from tamingplat.interfaces import Problem, ProblemsError
    from tamingplat.report import load_published

    problems: list[Problem] = []
    for path in manifest.compare_with:
        try:
            load_published(path)
        except ProblemsError as error:
            problems += error.problems
    if problems:
        raise ProblemsError(problems)


def check_trackers(manifest: Manifest) -> None:
    """See that the trackers that a manifest names are installed.

    Raises:
        ProblemsError: Some are not, all of them.
    """
    from tamingplat.interfaces import ProblemsError
    from tamingplat.manifest import tracker_problems

    if problems := list(tracker_problems(manifest)):
        raise ProblemsError(problems)


@dataclass(frozen=True)
class Planned:
    """A manifest, loaded and planned."""

    registry: Registry
    manifest: Manifest
    store: Store
    plan: Plan


@dataclass(frozen=True)
class _Artifacts:
    """The imported artifacts of a store. Only a manifest that names one has to wait until torch is imported."""

    store: Path | None

    def describe(self, kind: Kind, name: str) -> NamedArtifact:
        """What an artifact is, by its name."""
        from tamingplat.stages import StoredArtifacts
        from tamingplat.store import Store

        return StoredArtifacts(Store(store_path(self.store))).describe(kind, name)


def load(manifest: Path, overrides: Sequence[str] | None, store: Path | None = None) -> tuple[Registry, Manifest]:
    """Load the registry and a manifest; warnings go to standard error. Artifacts that it names are looked up in the store."""
    from tamingplat.manifest import load_manifest
    from tamingplat.registry import load_registry

    registry = load_registry()
    loaded = load_manifest(manifest, registry, overrides or (), artifacts=_Artifacts(store))
    for warning in loaded.warnings:
        typer.echo(f"warning: {warning}", err=True)
    check_published(loaded)
    return registry, loaded


def plan_manifest(manifest: Path, store: Path | None, overrides: Sequence[str] | None) -> Planned:
    """Load and plan a manifest. Nothing is trained."""
    registry, loaded = load(manifest, overrides, store)
    from tamingplat.stages import make_plan
    from tamingplat.store import Store

    opened = Store(store_path(store))
    plan = make_plan(loaded, registry, opened)
    for warning in plan.warnings:
        typer.echo(f"warning: {warning}", err=True)
    return Planned(registry, loaded, opened, plan)
