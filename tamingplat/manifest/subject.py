"""What a resolver works on, and what comes of it."""

from __future__ import annotations

from dataclasses import dataclass

from tamingplat.interfaces import Kind
from tamingplat.manifest.axes import Axis
from tamingplat.manifest.layers import Layers
from tamingplat.manifest.problems import Location
from tamingplat.manifest.resolved import ResolvedComponent

BlockKey = tuple[Kind, str]
Chain = tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class Subject:
    """What is being resolved: a block, a component without one, or a component named inside another's settings.

    Attributes:
        name: The block's name, else the component's.
        layers: The block's tables, the values of its axes on top.
        location: Where a message about it as a whole points.
        axes: Its own axes.
        chain: What it is inside of, outermost first, itself last: a block by its kind and name, anything else by what it is
            and its reference.
    """

    kind: Kind
    name: str
    layers: Layers
    location: Location
    axes: tuple[Axis, ...]
    chain: Chain


@dataclass(frozen=True)
class Outcome:
    """A component, or ``None`` where something is wrong, and the names of the axes that this depends on."""

    component: ResolvedComponent | None
    axes: frozenset[str] = frozenset()
