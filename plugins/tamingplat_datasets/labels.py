"""Classes: what a column of labels means, and the number of each label."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

MOST_CLASSES = 65_536

Label = str | int | bool


class UnusableLabelError(ValueError):
    """A label is missing or is none of the classes. Says why, not which image's it is."""


@dataclass(frozen=True)
class Classes:
    """The classes of a dataset.

    Attributes:
        names: In the order of their numbers.
        numbers: The number of each value of the column; ``None`` where the column holds numbers already.
    """

    names: tuple[str, ...]
    numbers: Mapping[Label, int] | None = None

    @classmethod
    def of_values(cls, values: Iterable[Label]) -> Classes:
        """The distinct values in sorted order: numbers by size, words by code points."""
        ordered = sorted(set(values))  # a column has one type
        return cls(tuple(str(value) for value in ordered), {value: number for number, value in enumerate(ordered)})

    def number(self, value: Any) -> int:
        """The class number of a value of the column.

        Raises:
            UnusableLabelError: There is no such class.
        """
        if value is None:
            raise UnusableLabelError("no label")
        if self.numbers is None:
            if not 0 <= value < len(self.names):
                raise UnusableLabelError(f"label {value} outside the {len(self.names)} classes")
            return int(value)
        if value not in self.numbers:
            raise UnusableLabelError(f"label {value!r} does not occur in the training split")
        return self.numbers[value]

    def unknown(self, values: Iterable[Label]) -> list[Label]:
        """Which of some values are none of the classes, sorted."""
        assert self.numbers is not None
        return sorted(set(values) - set(self.numbers))


def first_few(values: Iterable[object], most: int = 8) -> str:
    """The first few values, for a message."""
    shown = [str(value) for value in values]
    return ", ".join(shown[:most]) + (f" and {len(shown) - most} more" if len(shown) > most else "")
