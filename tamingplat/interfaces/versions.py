"""Which version the interfaces have, what changed from one to the next, and which versions a plugin supports.

A version is raised by what breaks a plugin that was written for the one before: a method that plugins have to implement, one
that is called otherwise, a class or a function that is gone. Methods with a default and fields with a default break nothing and
raise nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

Interface = int | tuple[int, int]
"""The one version that a plugin supports, or the oldest and the newest."""

CHANGES: Mapping[int, tuple[str, ...]] = {
    1: ("The first version.",),
}
"""What each version changed for plugins. The changelog's section for plugin authors says the same."""

INTERFACE_VERSION = max(CHANGES)


@dataclass(frozen=True)
class Mismatch:
    """Why a plugin cannot be used with these interfaces, and what to do about it."""

    what: str
    remedy: str


def versions_of(interface: object) -> tuple[int, int] | None:
    """The oldest and the newest version that a component supports; ``None`` where what it states is neither form."""
    first, last = interface if isinstance(interface, tuple) and len(interface) == 2 else (interface, interface)
    for one in (first, last):
        if not isinstance(one, int) or isinstance(one, bool):
            return None
    assert isinstance(first, int) and isinstance(last, int), "looked at above"
    return (first, last) if first <= last else None


def mismatch(
    interface: object, *, current: int = INTERFACE_VERSION, changes: Mapping[int, tuple[str, ...]] = CHANGES
) -> Mismatch | None:
    """Why a component with this ``interface`` cannot be used; ``None`` where it can.

    Args:
        interface: What the component states.
        current: The version that the interfaces have.
        changes: What each version changed.
    """
    versions = versions_of(interface)
    if versions is None:
        return Mismatch(
            f"states interface = {interface!r}, which is neither a version nor a range of versions",
            "let it state one version, or the oldest and the newest: interface=(1, 2)",
        )
    first, last = versions
    if first <= current <= last:
        return None
    supported = f"version {first}" if first == last else f"versions {first} to {last}"
    what = f"is written for {supported} of the interfaces, and this tamingplat has version {current}"
    if first > current:
        return Mismatch(what, "upgrade tamingplat")
    since = [f"{number}: {' '.join(changes[number])}" for number in range(last + 1, current + 1) if number in changes]
    return Mismatch(
        what + (f"; what changed in version {'; in version '.join(since)}" if since else ""),
        "upgrade the plugin, or, where none of this concerns it, let it state the newer version too",
    )
