"""Collecting everything that is wrong with a manifest, each thing once, in the order of the file."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from tamingplat.interfaces import Problem, ProblemsError


@dataclass(frozen=True)
class Location:
    """A place in a manifest, or in an override.

    Attributes:
        rank: Sorts places: those of the file in its order, then the overrides in the order given.
        text: What a message begins with: ``file:line: field`` or ``--set key=value: field``.
    """

    rank: tuple[int, int]
    text: str

    def within(self, field: str) -> Location:
        """The same place, naming something of its own there."""
        return Location(self.rank, f"{self.text}: {field}")


class ProblemCollector:
    """Problems as they are found. Nothing is raised before everything was looked at."""

    def __init__(self) -> None:
        self._found: dict[Problem, tuple[int, int]] = {}

    def add(self, location: Location, what: str, remedy: str = "") -> None:
        """Note a problem; one that was noted before is not noted again."""
        self._found.setdefault(Problem(location.text, what, remedy), location.rank)

    @property
    def problems(self) -> tuple[Problem, ...]:
        """Everything that was found, in the order of the file."""
        return tuple(sorted(self._found, key=self._found.__getitem__))

    def raise_if_any(self) -> None:
        """End here if anything was found.

        Raises:
            ProblemsError: With every problem.
        """
        raise_problems(self.problems)


def raise_problems(problems: Iterable[Problem]) -> None:
    """Raise ``ProblemsError`` with these problems, if there are any."""
    found = tuple(problems)
    if found:
        raise ProblemsError(found)
