"""Why a component cannot be had: it is misspelt, not installed, blocked, broken, or offered by several plugins."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tamingplat.registry.schema import ComponentKey
from tamingplat.registry.suggestions import did_you_mean

if TYPE_CHECKING:
    from tamingplat.registry.catalogue import Registry


def why_absent(registry: Registry, key: ComponentKey, *, asked: str) -> str:
    """Why a component is not among the usable ones, with the remedy.

    Args:
        registry: Where it was looked for.
        key: The component, aliases already followed.
        asked: The name that was asked for, perhaps an alias.
    """
    kind, name = key
    subject = f"{kind}:{name}"
    if asked != name:
        alias = registry.policy.aliases[kind, asked]
        subject = f"{kind}:{asked}, an alias of {subject} ({alias.where.partition(': ')[0]}),"
    if key in registry.conflicts:
        return f"{subject} cannot be used: {registry.conflicts[key]}"
    for blocked in registry.blocked:
        if key in blocked.provides:
            return (
                f"{subject} is offered by the plugin {blocked.plugin}, which {blocked.blocked_by} blocks; "
                "remove its `enabled = false` there"
            )
    for broken in registry.broken:
        if key in registry.policy.of(broken.plugin).provides:
            return f"{subject} is offered by the plugin {broken.plugin}, which cannot be loaded: {broken.error}"
    for known in registry.known:
        if key in known.provides:
            return f"{subject} is offered by the plugin {known.plugin}, which is not installed; {known.remedy}"
    return f"there is no {subject.rstrip(',')}; {_guess(registry, key)}"


def _guess(registry: Registry, key: ComponentKey) -> str:
    kind, name = key
    usable = sorted(of_name for of_kind, of_name in registry.components if of_kind == kind)
    further = [of_name for of_kind, of_name in registry.policy.aliases if of_kind == kind]
    further += [
        of_name for plugin in registry.policy.plugins.values() for of_kind, of_name in plugin.provides if of_kind == kind
    ]
    guess = did_you_mean(name, [*usable, *further])
    if guess:
        return guess
    elsewhere = sorted(of_kind for of_kind, of_name in registry.components if of_name == name)
    if elsewhere:
        return f"did you mean the {' or '.join(elsewhere)} of that name?"
    return (f"there are {', '.join(usable)}" if usable else f"no {kind} is installed") + _unlisted(registry)


def _unlisted(registry: Registry) -> str:
    """The plugins that might offer it, for all that is known: unusable ones whose components no registry file lists."""
    names = [broken.plugin for broken in registry.broken if not registry.policy.of(broken.plugin).provides]
    names += [blocked.plugin for blocked in registry.blocked if not blocked.provides]
    if not names:
        return ""
    return f" (it might be offered by {', '.join(names)}, which cannot be used; tamingplat plugins list says why)"
