"""Reading a table of a configuration field by field, noting everything that is wrong with it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from tamingplat.interfaces import Problem


class Section:
    """A table of a configuration.

    Args:
        table: What stands there; anything but a table is noted and read as an empty one.
        path: Where it stands, such as ``model.params``.
        problems: Takes what is wrong.
    """

    def __init__(self, table: object, path: str, problems: list[Problem]) -> None:
        self.path = path
        self.problems = problems
        self._read: set[str] = set()
        if not isinstance(table, Mapping):
            self.wrong("", "must be a table", "give the configuration that belongs to the checkpoint")
            table = {}
        self._table: Mapping[str, Any] = {str(name): value for name, value in table.items()}

    def __contains__(self, name: str) -> bool:
        return self._table.get(name) is not None

    def wrong(self, name: str, what: str, remedy: str = "") -> None:
        """Note that something is wrong with a field."""
        self.problems.append(Problem(".".join(part for part in (self.path, name) if part), what, remedy))

    def value(self, name: str) -> Any:
        """What stands in a field, ``None`` where nothing does."""
        self._read.add(name)
        return self._table.get(name)

    def section(self, name: str) -> Section:
        """A table inside this one; where there is none, an empty one."""
        value = self.value(name)
        return Section({} if value is None else value, f"{self.path}.{name}" if self.path else name, self.problems)

    def text(self, name: str, default: str = "") -> str:
        """A text."""
        value = self.value(name)
        if value is None:
            return default
        if not isinstance(value, str):
            self.wrong(name, f"must be text, not {value!r}")
            return default
        return value

    def boolean(self, name: str, default: bool = False) -> bool:
        """True or false."""
        value = self.value(name)
        if value is None:
            return default
        if not isinstance(value, bool):
            self.wrong(name, f"must be true or false, not {value!r}")
            return default
        return value

    def integer(self, name: str, default: int | None = None, *, least: int = 1) -> int:
        """A whole number that is at least ``least``; required where there is no default."""
        value = self.value(name)
        if value is None and default is not None:
            return default
        if value is None:
            self.wrong(name, "is missing", "give the configuration that belongs to the checkpoint")
            return least
        if isinstance(value, bool) or not isinstance(value, int) or value < least:
            self.wrong(name, f"must be a whole number, at least {least}, not {value!r}")
            return least
        return value

    def number(self, name: str, default: float) -> float:
        """A number that is not negative. YAML takes ``1e-8`` for text, which is meant as a number all the same."""
        value = self.value(name)
        if value is None:
            return default
        try:
            number = float("nan") if isinstance(value, bool) else float(value)
        except (TypeError, ValueError):
            number = float("nan")
        if not 0 <= number < float("inf"):
            self.wrong(name, f"must be a number that is not negative, not {value!r}")
            return default
        return number

    def integers(self, name: str) -> list[int]:
        """A list of positive whole numbers."""
        value = self.value(name)
        if value is None:
            self.wrong(name, "is missing", "give the configuration that belongs to the checkpoint")
            return []
        if not isinstance(value, list | tuple) or not all(type(item) is int and item > 0 for item in value):
            self.wrong(name, f"must be a list of positive whole numbers, not {value!r}")
            return []
        return list(value)

    def settings(self) -> dict[str, Any]:
        """The table ``settings`` as it is: settings of a component of ours."""
        value = self.value("settings")
        if value is not None and not isinstance(value, Mapping):
            self.wrong("settings", "must be a table")
            return {}
        return {str(name): item for name, item in (value or {}).items()}

    def unread(self) -> Iterator[str]:
        """The fields that nothing asked for."""
        for name in self._table:
            if name not in self._read:
                yield f"{self.path}.{name}" if self.path else name
