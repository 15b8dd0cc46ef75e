"""Imported artifacts that a manifest names: which component they are of, and with which settings."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from pydantic import ValidationError

from tamingplat.interfaces import Component, Config, Kind, Runtime, TamingplatError, field_markers
from tamingplat.manifest.catalogue import Catalogue, find_component
from tamingplat.manifest.layers import Layers
from tamingplat.manifest.problems import ProblemCollector
from tamingplat.manifest.schema import TrainedBlock
from tamingplat.manifest.sentences import shown


class AbsentArtifactError(TamingplatError):
    """No artifact of the store has the name; the message offers the nearest."""


@dataclass(frozen=True)
class NamedArtifact:
    """What is known of an artifact before anything of it is read but its record.

    Attributes:
        component: Name of the component that it is of.
        config: All of the component's settings, as JSON knows them.
    """

    component: str
    config: Mapping[str, Any]


class Artifacts(Protocol):
    """The part of a store that resolving a manifest needs."""

    def describe(self, kind: Kind, name: str) -> NamedArtifact:
        """What an artifact is; ``AbsentArtifactError`` where none has the name, ``TamingplatError`` where it is another."""


@dataclass(frozen=True)
class FoundArtifact:
    """What a block's ``artifact`` leads to.

    Attributes:
        component: The component; ``None`` where the block has to name it, or something is wrong.
        config: Its settings.
        absence: Why there is no artifact yet, where the block itself says what it will be.
        wrong: Whether something is wrong, which was noted.
    """

    component: Component | None = None
    config: Mapping[str, Any] | None = None
    absence: str = ""
    wrong: bool = False


def find_artifact(
    artifacts: Artifacts | None,
    catalogue: Catalogue,
    kind: Kind,
    block: TrainedBlock,
    layers: Layers,
    problems: ProblemCollector,
) -> FoundArtifact:
    """Look a block's artifact up. One that is absent is no mistake where the block says with ``use`` what it will be."""
    location, name = layers.locate(("artifact",)), block.artifact
    assert name is not None, "asked for a block with an artifact"
    if artifacts is None:
        return FoundArtifact(absence="no store is at hand to look it up in")
    try:
        named = artifacts.describe(kind, name)
    except AbsentArtifactError as error:
        if block.use is None:
            problems.add(location, str(error))
        return FoundArtifact(absence=str(error), wrong=block.use is None)
    except TamingplatError as error:
        problems.add(location, str(error))
        return FoundArtifact(wrong=True)
    component = find_component(catalogue, kind, named.component, (), location, problems)
    if component is None:
        return FoundArtifact(wrong=True)
    if block.use is not None:
        used = find_component(catalogue, kind, block.use, (), layers.locate(("use",)), problems)
        if used is not None and used.name != component.name:
            what = f"the artifact {name} is of {component.reference}, not of {used.reference}"
            problems.add(layers.locate(("use",)), what, "remove this, or name another artifact")
        if used is None or used.name != component.name:
            return FoundArtifact(wrong=True)
    try:
        component.config.model_validate(named.config)
    except ValidationError as error:
        what = f"the artifact {name} was imported under other settings of {component.reference}"
        problems.add(location, f"{what} ({error.errors()[0]['msg']})", "import it again")
        return FoundArtifact(wrong=True)
    return FoundArtifact(component, named.config)


def contradictions(config: Config, imported: Mapping[str, Any], name: str, layers: Layers, problems: ProblemCollector) -> bool:
    """Whether settings differ from those that an artifact was made with, each of which is noted.

    Settings that only change rounding may differ.
    """
    original, markers = type(config).model_validate(imported), field_markers(type(config))
    found = False
    for field in type(config).model_fields:
        given, has = getattr(config, field), getattr(original, field)
        if given != has and not any(isinstance(marker, Runtime) for marker in markers[field]):
            what = f"the artifact {name} has {shown(has)} here, and cannot be changed"
            problems.add(layers.locate(("config", field)), what, "remove this")
            found = True
    return found
