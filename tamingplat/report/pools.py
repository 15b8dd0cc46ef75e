"""Which lines a column sorts among each other: those whose numbers may be compared, whether or not the column ranks them."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from dataclasses import dataclass
from itertools import count

from tamingplat.report.comparability import settings_of
from tamingplat.report.lines import line_of
from tamingplat.stages import Results

TRAINED_ON_IT = "training on a relative of the metric's network"
"""What keeps a line that is marked as trained on apart, in words."""


@dataclass(frozen=True)
class Pools:
    """The pools of one column.

    Attributes:
        of_line: The pool of every line that has a number, counted from 1 in the order of the table; those that are not to be
            ranked come last.
        split_by: The settings in which pools differ; empty where there is one.
    """

    of_line: Mapping[str, int]
    split_by: tuple[str, ...] = ()

    @property
    def count(self) -> int:
        """How many there are."""
        return len(set(self.of_line.values()))


def pools(results: Results, name: str) -> Pools:
    """The pools of a column; a number without a better end, such as a cost or a rate, has a single one."""
    column = next((column for column in results.columns if column.name == name), None)
    if column is None or not column.better:
        return Pools({})
    kind = "cell" if any(row.kind == "cell" for row in results.rows) else "reconstruction"
    held: dict[str, tuple[bool, Hashable]] = {}
    settings: dict[tuple[bool, Hashable], dict[str, str]] = {}
    for row in results.rows:
        if row.kind == kind and name in row.metrics and line_of(row) not in held:
            own = {setting: value.identity for setting, value in settings_of(row, name).items()}
            key = (name in row.trained_on, tuple(own.items()))
            held[line_of(row)] = key
            settings.setdefault(key, own)
    ordered = sorted(settings, key=lambda key: key[0])
    number = dict(zip(ordered, count(1)))
    return Pools({line: number[key] for line, key in held.items()}, _split_by(settings))


def _split_by(settings: Mapping[tuple[bool, Hashable], Mapping[str, str]]) -> tuple[str, ...]:
    names = dict.fromkeys(name for own in settings.values() for name in own)
    split = [name for name in names if len({own.get(name) for own in settings.values()}) > 1]
    return (*split, *([TRAINED_ON_IT] if len({trained_on for trained_on, _ in settings}) > 1 else []))
