"""What a manifest asks of the registry."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any, Protocol

from tamingplat.interfaces import Component, Kind, ProblemsError, TamingplatError
from tamingplat.manifest.problems import Location, ProblemCollector
from tamingplat.registry import near_matches


class Catalogue(Protocol):
    """The part of ``tamingplat.registry.Registry`` that resolving a manifest needs."""

    def find(self, kind: str, name: str) -> Component:
        """A component by its name or an alias; ``TamingplatError`` where there is none."""

    def preset(self, kind: str, name: str, preset: str) -> dict[str, Any]:
        """The settings of a component's preset; ``TamingplatError`` where there is none."""


def find_component(
    catalogue: Catalogue,
    kind: Kind,
    name: str,
    blocks: Iterable[str],
    location: Location,
    problems: ProblemCollector,
    remedy: str = "",
) -> Component | None:
    """A component by its name, else ``None``, and why is noted.

    Args:
        catalogue: Where it is looked for.
        kind: Its kind.
        name: Its name or an alias.
        blocks: Names of blocks that could have been meant instead.
        location: Where it is named.
        problems: Where problems are noted.
        remedy: What else could be done, if nothing is known of that name.
    """
    try:
        return catalogue.find(kind, name)
    except TamingplatError as error:
        text = str(error)
        if not text.startswith("there is no "):  # it exists, and is not installed, or blocked, or offered twice
            remedy = ""
        near = [block for block in near_matches(name, blocks, count=1) if not _names(text, block)]
        if near:
            text = (
                f"{text[:-1]}, or the block {near[0]}?" if text.endswith("?") else f"{text}; did you mean the block {near[0]}?"
            )
        problems.add(location, text, remedy)
        return None


def find_preset(
    catalogue: Catalogue, component: Component, preset: str, location: Location, problems: ProblemCollector
) -> dict[str, Any] | None:
    """The settings of a preset, else ``None``, and why is noted."""
    try:
        return catalogue.preset(component.kind, component.name, preset)
    except ProblemsError as error:
        for problem in error.problems:
            problems.add(location, f"the preset {preset} is wrong: {problem}")
    except TamingplatError as error:
        problems.add(location, str(error))
    return None


def _names(text: str, name: str) -> bool:
    return re.search(rf"(?<![\w-]){re.escape(name)}(?![\w-])", text) is not None
