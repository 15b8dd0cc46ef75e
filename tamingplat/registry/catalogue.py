"""The frozen catalogue of what is installed, and finding a component in it."""

from __future__ import annotations

import copy
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from tamingplat.interfaces import KINDS, Component, Kind, ProblemsError, TamingplatError
from tamingplat.registry import absence, description, factories
from tamingplat.registry.discovery import how_to_install
from tamingplat.registry.loading import BrokenPlugin
from tamingplat.registry.policy import PluginPolicy, Policy, Preset
from tamingplat.registry.presets import preset_problems
from tamingplat.registry.schema import ComponentKey, Status, parse_kind
from tamingplat.registry.suggestions import did_you_mean


class UnknownComponentError(TamingplatError):
    """A component that is named is not among the usable ones; the message says why and what to do."""


@dataclass(frozen=True)
class Registered:
    """A component of an installed plugin.

    Attributes:
        component: What the plugin says of it.
        plugin: The plugin's entry point.
        distribution: What declares the plugin.
        version: That distribution's version.
        status: How far the plugin can be relied on.
        enabled: False where another plugin's component of this name is meant, or nothing says which.
        error: Why it cannot be used, if that is a mistake to be mended.
    """

    component: Component
    plugin: str
    distribution: str
    version: str
    status: Status
    enabled: bool = True
    error: str = ""


@dataclass(frozen=True)
class KnownPlugin:
    """A plugin that registry.toml knows and that is not installed.

    Attributes:
        plugin: Its entry point's name.
        distribution: What to install to get it.
        provides: The components that it offers.
        blocked_by: The registry file that would block it; empty where none does.
    """

    plugin: str
    distribution: str
    provides: tuple[ComponentKey, ...]
    blocked_by: str = ""

    @property
    def remedy(self) -> str:
        """How to get it."""
        block = f", and remove its `enabled = false` from {self.blocked_by}" if self.blocked_by else ""
        return how_to_install(self.distribution, self.plugin) + block


@dataclass(frozen=True, kw_only=True)
class Registry:
    """What is installed and usable. Made by ``load_registry`` and never changed.

    Attributes:
        components: Everything that can be used, by kind and name.
        set_aside: Components of working plugins that are not used, because another plugin offers one of the same name.
        broken: Plugins that could not be loaded.
        blocked: Plugins that a registry file blocks; they were not imported.
        known: Plugins that registry.toml knows and that are not installed.
        conflicts: Why a component that several plugins offer, or one that a choice misses, cannot be used.
        notices: What is odd and stops nothing: an alias that an installed component covers, a preset of nothing.
        policy: The registry files together.
    """

    components: Mapping[ComponentKey, Registered]
    set_aside: tuple[Registered, ...]
    broken: tuple[BrokenPlugin, ...]
    blocked: tuple[PluginPolicy, ...]
    known: tuple[KnownPlugin, ...]
    conflicts: Mapping[ComponentKey, str]
    notices: tuple[str, ...]
    policy: Policy

    def canonical(self, kind: str, name: str) -> str:
        """The component's own name, where ``name`` is an alias of it; else ``name``, whether it exists or not.

        An installed component comes before an alias of the same name.
        """
        key = self._key(kind, name)
        while key not in self.components and key not in self.conflicts and key in self.policy.aliases:
            key = self.policy.aliases[key].target
        return key[1]

    def find(self, kind: str, name: str) -> Component:
        """A component by its name or an alias.

        Raises:
            UnknownComponentError: There is none that can be used; the message says what was meant or what to install.
        """
        return self.registered(kind, name).component

    def registered(self, kind: str, name: str) -> Registered:
        """A component by its name or an alias, with the plugin that it comes from; raises as ``find`` does."""
        key = (self._key(kind, name)[0], self.canonical(kind, name))
        if key not in self.components:
            raise UnknownComponentError(absence.why_absent(self, key, asked=name))
        return self.components[key]

    def presets(self, kind: str, name: str) -> Mapping[str, Preset]:
        """The presets of a component, whether a file gives them under its own name or under an alias."""
        meant = self.canonical(kind, name)
        found: dict[str, Preset] = {}
        for (of_kind, of_name), presets in self.policy.presets.items():
            if of_kind == kind and self.canonical(of_kind, of_name) == meant:
                found.update(presets)
        return found

    def preset(self, kind: str, name: str, preset: str) -> dict[str, Any]:
        """The settings of a preset, as a manifest's ``config`` would give them.

        Raises:
            UnknownComponentError: There is no such component.
            TamingplatError: It has no such preset.
            ProblemsError: The preset does not fit the component's settings; every misfit at once.
        """
        component = self.find(kind, name)
        presets = self.presets(kind, name)
        if preset not in presets:
            remedy = did_you_mean(preset, presets) or (f"there are {', '.join(presets)}" if presets else "it has none")
            raise TamingplatError(f"{component.reference} has no preset {preset!r}; {remedy}")
        problems = preset_problems(component, presets[preset])
        if problems:
            raise ProblemsError(problems)
        return copy.deepcopy(dict(presets[preset].config))

    def load_class(self, component: Component) -> type:
        """The class of a component, imported now and checked against the interface of its kind.

        Raises:
            UnavailableError: Importing it needs a package that is not installed.
            TamingplatError: It cannot be imported, or is not a complete implementation; the message names plugin and component.
        """
        return factories.load_component_class(component, self.label(component))

    def label(self, component: Component) -> str:
        """``component (plugin, distribution version)``, for errors."""
        for entry in (*self.components.values(), *self.set_aside):
            if entry.component == component:
                return f"{component.reference} (plugin {entry.plugin}, {entry.distribution} {entry.version})"
        return component.reference

    def describe(self, component: Component) -> dict[str, Any]:
        """Everything about a component that ``plugins show`` prints, ready for JSON."""
        return description.describe(self, component)

    def rows(self, kind: str | None = None) -> list[dict[str, Any]]:
        """One row per component, and one per plugin that is broken; those that are blocked by what they are known to offer.

        Each has ``kind, name, summary, distribution, version, status, enabled, error``. A plugin as a whole is of kind
        ``plugin``.

        Args:
            kind: Leaves out what certainly is of another kind.
        """
        rows = [
            _row(
                entry.component.kind,
                entry.component.name,
                entry.component.summary,
                (entry.distribution, entry.version, entry.status),
                enabled=entry.enabled,
                error=entry.error,
            )
            for entry in (*self.components.values(), *self.set_aside)
            if kind in (None, entry.component.kind)
        ]
        order = {name: place for place, name in enumerate(KINDS)}
        rows.sort(key=lambda row: (order[row["kind"]], row["name"], row["distribution"]))
        for policy in self.blocked:
            origin = (policy.distribution, "", policy.status)
            keys: Iterable[tuple[str, str]] = policy.provides or (("plugin", policy.plugin),)
            rows += [_row(*key, "", origin, enabled=False) for key in keys if kind in (None, "plugin", key[0])]
        for broken in self.broken:
            offered = self.policy.of(broken.plugin).provides
            if kind is None or not offered or kind in {of_kind for of_kind, _ in offered}:
                origin = (broken.distribution, broken.version, self.policy.of(broken.plugin).status)
                rows.append(_row("plugin", broken.plugin, "", origin, error=broken.error))
        return rows

    def _key(self, kind: str, name: str) -> ComponentKey:
        try:
            return parse_kind(kind), name
        except ValueError as error:
            raise UnknownComponentError(str(error)) from None


def _row(
    kind: Kind | str, name: str, summary: str, origin: tuple[str, str, str], *, enabled: bool = True, error: str = ""
) -> dict[str, Any]:
    distribution, version, status = origin
    return {
        "kind": kind,
        "name": name,
        "summary": summary,
        "distribution": distribution,
        "version": version,
        "status": status,
        "enabled": enabled,
        "error": error,
    }
