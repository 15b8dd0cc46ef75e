"""Everything about one component that ``plugins show`` prints."""

from __future__ import annotations

import contextlib
import sys
from typing import TYPE_CHECKING, Any

from tamingplat.interfaces import Component, TamingplatError
from tamingplat.registry.factories import load_target
from tamingplat.registry.fields import describe_fields
from tamingplat.registry.loading import describe_exception
from tamingplat.registry.presets import preset_problems

if TYPE_CHECKING:
    from tamingplat.registry.catalogue import Registry


def describe(registry: Registry, component: Component) -> dict[str, Any]:
    """A registered component in full, ready for JSON.

    Returns:
        ``kind, name, summary, plugin, distribution, version, status, revision, paper, family, factory, aliases``; ``fields``
        as in ``describe_fields``; ``training``, its defaults of a manifest's ``train`` block, or ``None``; ``presets``, each
        with ``name, description, config``; ``illustration``, a picture in text or nothing; and ``problems``, what is wrong
        with the plugin's or the registry files' part of this.
    """
    entry = registry.registered(component.kind, component.name)
    presets = registry.presets(component.kind, component.name)
    problems = [str(problem) for preset in presets.values() for problem in preset_problems(component, preset)]
    picture, wrong = _illustration(component, registry.label(component))
    return {
        "kind": component.kind,
        "name": component.name,
        "summary": component.summary,
        "plugin": entry.plugin,
        "distribution": entry.distribution,
        "version": entry.version,
        "status": entry.status,
        "revision": component.revision,
        "paper": component.paper,
        "family": component.family,
        "factory": component.factory,
        "aliases": sorted(
            name
            for kind, name in registry.policy.aliases
            if kind == component.kind and name != component.name and registry.canonical(kind, name) == component.name
        ),
        "fields": describe_fields(component.config),
        "training": component.training.model_dump(mode="json") if component.training else None,
        "presets": [
            {"name": name, "description": preset.description, "config": dict(preset.config)} for name, preset in presets.items()
        ],
        "illustration": picture,
        "problems": problems + wrong,
    }


def _illustration(component: Component, label: str) -> tuple[str, list[str]]:
    """The picture, and why there is none where the plugin promised one."""
    if not component.illustration:
        return "", []
    try:
        with contextlib.redirect_stdout(sys.stderr):
            draw = load_target(component.illustration, label)
            picture = draw() if callable(draw) else draw
    except TamingplatError as error:
        return "", [str(error)]
    except (Exception, SystemExit) as error:  # noqa: BLE001 - the plugin's own code; the rest can be shown without its picture
        return "", [f"{label}: {component.illustration} failed: {describe_exception(error)}"]
    if not isinstance(picture, str):
        return "", [f"{label}: {component.illustration} returned an object of type {type(picture).__name__}, not a text"]
    return picture, []
