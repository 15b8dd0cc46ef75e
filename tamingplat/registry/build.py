"""Making the catalogue: what is installed, with the registry files laid over it."""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Mapping, Sequence, Set
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType

from tamingplat.interfaces import ProblemsError
from tamingplat.registry.catalogue import KnownPlugin, Registered, Registry
from tamingplat.registry.discovery import InstalledPlugin, claimed_twice, installed_plugins, same_distribution
from tamingplat.registry.guard import LONGEST
from tamingplat.registry.loading import BrokenPlugin, load_plugin
from tamingplat.registry.policy import PluginPolicy, Policy, load_policy, packaged_file, registry_files, unknown_plugins
from tamingplat.registry.schema import ComponentKey
from tamingplat.registry.suggestions import did_you_mean


def load_registry(
    *,
    directory: Path | None = None,
    environ: Mapping[str, str] | None = None,
    plugins: Sequence[InstalledPlugin] | None = None,
    packaged: Path | None = None,
    seconds: float = LONGEST,
) -> Registry:
    """The catalogue of what is installed. Imports every plugin's entry point and nothing that they name.

    A plugin that cannot be loaded is reported in ``broken`` and stops no other.

    Args:
        directory: Where a ``registry.toml`` may lie that overrides the packaged one; the working directory by default.
        environ: Environment, whose ``TAMINGPLAT_REGISTRY`` may name a file that overrides both; the process's by default.
        plugins: Stand in for the installed ones.
        packaged: Stands in for the packaged registry file.
        seconds: How long each plugin may take to be listed, before it counts as broken.

    Raises:
        ProblemsError: A registry file is wrong; everything that is wrong in any of them.
    """
    environ = os.environ if environ is None else environ
    policy = load_policy(registry_files(packaged or packaged_file(), directory or Path(), environ))
    installed = tuple(installed_plugins() if plugins is None else plugins)
    problems = unknown_plugins(policy, [plugin.name for plugin in installed])
    if problems:
        raise ProblemsError(problems)
    twice = claimed_twice(installed)
    broken = [_ambiguous(plugin, claims) for claims in twice.values() for plugin in claims]
    blocked: dict[str, PluginPolicy] = {}
    offers: dict[ComponentKey, list[Registered]] = defaultdict(list)
    notices: list[str] = []
    for plugin in installed:
        said = policy.of(plugin.name)
        if not said.enabled:
            blocked[plugin.name] = replace(said, distribution=said.distribution or plugin.distribution)
        elif plugin.name not in twice:
            loaded = load_plugin(plugin, seconds=seconds)
            if isinstance(loaded, BrokenPlugin):
                broken.append(loaded)
                continue
            notices += _talking(plugin, loaded.printed)
            notices += _impostor(plugin, said)
            status = said.status if not _impostor(plugin, said) else "experimental"
            for component in loaded.components:
                entry = Registered(component, plugin.name, plugin.distribution, plugin.version, status)
                offers[component.kind, component.name].append(entry)
    components, set_aside, conflicts = _settle(offers, policy)
    notices += [
        f"{alias.where}: not used, because {components[key].plugin} offers a component of that name"
        for key, alias in policy.aliases.items()
        if key in components
    ]
    notices += _pointless({*components, *conflicts}, policy)
    names = {plugin.name for plugin in installed}
    return Registry(
        components=MappingProxyType(components),
        set_aside=tuple(set_aside),
        broken=tuple(entry for entry in broken if entry.plugin not in blocked),
        blocked=tuple(blocked.values()),
        known=tuple(
            KnownPlugin(said.plugin, said.distribution, said.provides, said.blocked_by)
            for said in policy.plugins.values()
            if said.plugin not in names
        ),
        conflicts=MappingProxyType(conflicts),
        notices=tuple(notices),
        policy=policy,
    )


def _settle(
    offers: Mapping[ComponentKey, Sequence[Registered]], policy: Policy
) -> tuple[dict[ComponentKey, Registered], list[Registered], dict[ComponentKey, str]]:
    """Which plugin's component is meant by each name, those that are not meant, and the names for which nothing says it."""
    components: dict[ComponentKey, Registered] = {}
    set_aside: list[Registered] = []
    conflicts: dict[ComponentKey, str] = {}
    for key in sorted(offers):
        entries = offers[key]
        choice = policy.choices.get(key)
        chosen = [entry for entry in entries if choice is None or entry.plugin == choice.plugin]
        if len(chosen) == 1:
            components[key] = chosen[0]
            set_aside += [replace(entry, enabled=False) for entry in entries if entry is not chosen[0]]
            continue
        offering = " and ".join(f"{entry.plugin} ({entry.distribution} {entry.version})" for entry in entries)
        reference = f'"{key[0]}:{key[1]}"'
        if choice is None:
            conflicts[key] = (
                f"the plugins {offering} both offer it; choose one in registry.toml: "
                f'[conflict] {reference} = "{entries[0].plugin}", or uninstall or block the other'
            )
        else:
            conflicts[key] = (
                f"{choice.where} chooses the plugin {choice.plugin}, which is not usable here or does not offer it; "
                f"it is offered by {offering}: choose that one, or remove the line"
            )
        set_aside += [replace(entry, enabled=False, error=conflicts[key]) for entry in entries]
    return components, set_aside, conflicts


def _pointless(offered: Set[ComponentKey], policy: Policy) -> list[str]:
    """Aliases, presets and choices of components that no plugin offers, installed or not: misspelt, most likely."""
    known = {*offered, *policy.aliases, *(key for plugin in policy.plugins.values() for key in plugin.provides)}
    named = [(alias.target, alias.where) for alias in policy.aliases.values()]
    named += [(key, preset.where) for key, presets in policy.presets.items() for preset in presets.values()]
    named += [(key, choice.where) for key, choice in policy.choices.items()]
    notices = []
    for (kind, name), where in named:
        if (kind, name) not in known:
            guess = did_you_mean(name, [of_name for of_kind, of_name in known if of_kind == kind])
            notices.append(f"{where}: no plugin that is known offers {kind}:{name}" + (f"; {guess}" if guess else ""))
    return notices


def _ambiguous(plugin: InstalledPlugin, claims: Sequence[InstalledPlugin]) -> BrokenPlugin:
    origins = " and ".join(f"{claim.distribution} {claim.version} ({claim.target})" for claim in claims)
    return BrokenPlugin(
        plugin.name,
        plugin.distribution,
        plugin.version,
        f"several entry points have the name {plugin.name}: {origins}",
        "uninstall all but one of these distributions",
    )


def _talking(plugin: InstalledPlugin, printed: str) -> list[str]:
    """Standard output belongs to the command that is running: others read it, as JSON perhaps."""
    if not printed:
        return []
    return [
        f"the plugin {plugin.name} ({plugin.distribution} {plugin.version}) writes to standard output when it is listed "
        f'("{printed}"), which went to standard error; it should print nothing there, and log what has to be said'
    ]


def _impostor(plugin: InstalledPlugin, said: PluginPolicy) -> list[str]:
    """A status is said of a distribution's plugin, and not of another distribution's that has taken its name."""
    if not said.distribution or same_distribution(said.distribution, plugin.distribution):
        return []
    return [
        f"the plugin {plugin.name} comes from {plugin.distribution} {plugin.version}, and not from {said.distribution}, "
        "of which the registry files speak"
    ]
