"""Components with all their settings, as Markdown."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from tamingplat.interfaces import Component, TrainingSettings
from tamingplat.registry import Registry

_MARKERS = {"runtime": "Never changes what a result means.", "file": "Known by its content, relative to the manifest."}


def written_value(value: Any) -> str:
    """A setting's value as TOML would have it, where it has it."""
    if value is None:
        return "none"
    if isinstance(value, Mapping):
        if not value:
            return "{}"
        return "{ " + ", ".join(f"{key} = {written_value(inner)}" for key, inner in value.items()) + " }"
    if isinstance(value, list | tuple):
        return f"[{', '.join(written_value(inner) for inner in value)}]"
    return json.dumps(value, ensure_ascii=False)


def component_section(registry: Registry, component: Component) -> str:
    """All about one component under a heading of the fourth level."""
    described = registry.describe(component)
    lines = [f"#### `{component.reference}`", "", f"{_sentence(component.summary)}"]
    facts = [f"class `{component.factory}`", f"revision {component.revision}"]
    facts += [f"also called {', '.join(f'`{alias}`' for alias in described['aliases'])}"] if described["aliases"] else []
    facts += [f"[paper]({component.paper})"] if component.paper else []
    facts += [f"family {component.family}"] if component.family else []
    lines += ["", f"{'; '.join(facts)}."]
    lines += ["", *(settings_table(described["fields"]) if described["fields"] else ["It has no settings."])]
    if component.training is not None:
        lines += ["", _training(component.training)]
    if described["presets"]:
        lines += ["", "Presets:", ""]
        lines += [f"- `{preset['name']}`: {_sentence(preset['description'])}" for preset in described["presets"]]
    return "\n".join(lines)


def settings_table(fields: Iterable[Mapping[str, Any]]) -> Iterator[str]:
    """Settings as a table; ``fields`` are those of ``describe_fields``."""
    yield "| setting | type | default | limits | meaning |"
    yield "|---|---|---|---|---|"
    for field in fields:
        default = "required" if field["required"] else f"`{written_value(field['default'])}`"
        notes = [_note(marker) for marker in field["marker"].split()]
        row = (
            f"`{field['name']}`",
            field["type"],
            default,
            ", ".join(field["constraints"]),
            " ".join([_sentence(field["description"]), *notes]),
        )
        yield f"| {' | '.join(map(_cell, row))} |"


def _training(training: TrainingSettings) -> str:
    usual = TrainingSettings()
    own = {name: value for name, value in training if value != getattr(usual, name)}
    if not own:
        return "It is trained, with the defaults of [training settings](#training-settings)."
    values = ", ".join(f"`{name} = {written_value(value)}`" for name, value in own.items())
    return f"It is trained. What differs from the defaults of [training settings](#training-settings): {values}."


def _note(marker: str) -> str:
    kind = marker.removeprefix("ref:")
    return f"Names a {kind.replace('_', ' ')}." if kind != marker else _MARKERS[marker]


def _sentence(text: str) -> str:
    return text if not text or text.endswith((".", "…", "!", "?")) else f"{text}."


def _cell(text: str) -> str:
    return " ".join(text.replace("|", "\\|").split())
