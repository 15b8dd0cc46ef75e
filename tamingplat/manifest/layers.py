"""Tables laid over each other, and where each of their values comes from."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tamingplat.manifest.checking import Fault, has
from tamingplat.manifest.problems import Location, ProblemCollector
from tamingplat.registry import KeyPath

Locate = Callable[[KeyPath, bool], Location]
"""The place of a path in a table. The flag says that the path names no field, so that its value has no part in the mistake."""


@dataclass(frozen=True)
class Layer:
    """One table, and the place of what stands in it."""

    table: Mapping[str, Any]
    locate: Locate


@dataclass(frozen=True)
class Layers:
    """Tables laid over each other, later ones on top.

    Attributes:
        tables: The layers.
        fallback: The place of what stands in none of them.
    """

    tables: tuple[Layer, ...]
    fallback: Locate

    def under(self, *layers: Layer) -> Layers:
        """These layers with further ones below."""
        return Layers((*layers, *self.tables), self.fallback)

    def merged(self) -> dict[str, Any]:
        """The table that they make together."""
        result: dict[str, Any] = {}
        for layer in self.tables:
            result = deep_merge(result, layer.table)
        return result

    def locate(self, path: KeyPath, unknown: bool = False) -> Location:
        """The place of a path: that of the topmost layer which has it, or has the nearest table around it."""
        for length in range(len(path), 0, -1):
            for layer in reversed(self.tables):
                if has(layer.table, path[:length]):
                    return layer.locate(path, unknown)
        return self.fallback(path, unknown)

    def report(self, problems: ProblemCollector, fault: Fault, prefix: KeyPath = ()) -> None:
        """Note a fault of the table that stands at ``prefix`` in these."""
        problems.add(self.locate((*prefix, *fault.path), fault.unknown), fault.what, fault.remedy)


def deep_merge(below: Mapping[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    """A table with another laid over it: tables are merged, anything else is replaced.

    A component's settings are not merged with those of another component: ``{ use, config }`` over another ``use`` replaces it.
    """
    result = copy.deepcopy(dict(below))
    for key, value in above.items():
        under = result.get(key)
        if isinstance(under, Mapping) and isinstance(value, Mapping) and not _other_component(under, value):
            result[key] = deep_merge(under, value)
        else:
            result[key] = copy.deepcopy(value)
    return result


def nested(path: Sequence[str], value: object) -> dict[str, Any]:
    """The table that has only ``value``, at ``path``."""
    result: Any = value
    for part in reversed(path):
        result = {part: result}
    assert isinstance(result, dict), "a path has at least one part"
    return result


def _other_component(below: Mapping[str, Any], above: Mapping[str, Any]) -> bool:
    selections = all(table.keys() <= {"use", "config"} for table in (below, above))
    return selections and "use" in above and above["use"] != below.get("use")
