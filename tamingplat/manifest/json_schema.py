"""The JSON Schema of manifests with the installed components' settings, for editors.

What it refuses, reading a manifest refuses too. It cannot say everything that reading one checks: what names mean, which
settings go together, whether files are there.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from pydantic import BaseModel

from tamingplat.interfaces import Component, Kind, TrainingSettings
from tamingplat.manifest.json_settings import REFERENCE, settings_schema
from tamingplat.manifest.schema import BLOCKS, MATRIX_KINDS, SLUG, TABLES, Head
from tamingplat.registry import Registry

Schema = dict[str, Any]

_DIALECT = "https://json-schema.org/draft/2020-12/schema"
_NAMES: Mapping[str, Mapping[str, Kind]] = {"evaluate": {"metrics": "metric"}, "runtime": {"executor": "executor"}}
_KIND = "|".join(BLOCKS)
_SLUG: Mapping[str, Any] = {"pattern": f"^{SLUG}$", "maxLength": 100}


def manifest_schema(registry: Registry) -> Schema:
    """The JSON Schema (draft 2020-12) of manifests.

    A block's settings follow from its ``use``, or from its name where it has none. ``x-taplo`` beside a list of names gives
    each one's summary, which the language server of that name shows.

    Args:
        registry: Says what is installed.
    """
    definitions: Schema = {"train": settings_schema(TrainingSettings, "#/$defs/train")}
    for kind in BLOCKS:
        components = _names(registry, kind)
        definitions[f"name:{kind}"] = _name(kind, components)
        definitions[f"reference:{kind}"] = _reference(kind, components)
        definitions[f"block:{kind}"] = _block(kind, components)
        for component in _distinct(components.values()):
            settings = settings_schema(component.config, f"#/$defs/{_key(component)}")
            settings.pop("required", None)  # a preset, an artifact or an axis may give them; see _missing
            definitions[_key(component)] = settings
            definitions[f"use:{_key(component)}"] = _of_component(registry, component)
    head = settings_schema(Head, "#")
    head["properties"]["name"].update(_SLUG)
    tables = {name: settings_schema(model, f"#/$defs/{name}") for name, model in TABLES.items()}
    for name, fields in _NAMES.items():
        for field, kind in fields.items():
            tables[name]["properties"][field] = _suggested(tables[name]["properties"][field], kind)
    for model in (tables["matrix"], *tables["matrix"]["$defs"].values()):
        for kind in MATRIX_KINDS:
            model["properties"][kind] = _suggested(model["properties"][kind], kind)
    definitions.update(tables)
    return {
        "$schema": _DIALECT,
        "title": "tamingplat manifest",
        "description": "What is trained, sampled and measured; with the settings of the plugins that are installed here.",
        "type": "object",
        "properties": {
            **head["properties"],
            **{kind: _blocks(kind, _names(registry, kind)) for kind in BLOCKS},
            **{name: {"$ref": f"#/$defs/{name}"} for name in tables},
            "axes": _axes(),
        },
        "required": [*head["required"], "matrix"],
        "additionalProperties": False,
        # An axis may give a setting that has no default, and its name could be that of any block.
        "if": {"not": {"required": ["axes"]}},
        "then": {"properties": dict(_missing(registry))},
        "$defs": _resolved(definitions),
    }


def _names(registry: Registry, kind: Kind) -> dict[str, Component]:
    """Every name of a kind that a manifest can use, aliases too, with what it means."""
    names = {name: entry.component for (of_kind, name), entry in registry.components.items() if of_kind == kind}
    for of_kind, alias in registry.policy.aliases:
        key = (kind, registry.canonical(kind, alias))
        if of_kind == kind and alias not in names and key in registry.components:
            names[alias] = registry.components[key].component
    return dict(sorted(names.items()))


def _distinct(components: Iterable[Component]) -> Iterator[Component]:
    yield from {component.name: component for component in components}.values()


def _key(component: Component) -> str:
    return component.reference


def _name(kind: Kind, components: Mapping[str, Component]) -> Schema:
    """A component or a block by its name: installed ones are offered, and any other may be a block's."""
    block = {"type": "string", "minLength": 1, "description": f"A block [{kind}.NAME] of this manifest."}
    return {"anyOf": [_enumerated(components), block]} if components else block


def _enumerated(components: Mapping[str, Component]) -> Schema:
    summaries = [component.summary for component in components.values()]
    return {"enum": list(components), "x-taplo": {"docs": {"enumValues": summaries}}}


def _reference(kind: Kind, components: Mapping[str, Component]) -> Schema:
    """A component that another one's settings name: by its name, or with settings of its own."""
    inline = {
        "type": "object",
        "properties": {"use": {"$ref": f"#/$defs/name:{kind}"}, "config": {"type": "object"}},
        "required": ["use"],
        "additionalProperties": False,
        "allOf": [
            _if_used(name, {"properties": {"config": {"$ref": f"#/$defs/{_key(component)}"}}})
            for name, component in components.items()
        ],
    }
    return {"anyOf": [{"$ref": f"#/$defs/name:{kind}"}, _without_empty(inline)]}


def _block(kind: Kind, components: Mapping[str, Component]) -> Schema:
    """A block ``[kind.NAME]``: its own fields, and the settings of what it uses."""
    block = settings_schema(BLOCKS[kind], f"#/$defs/block:{kind}")
    properties = block["properties"]
    description = properties["use"].get("description", "")
    properties["use"] = {**(_enumerated(components) if components else {"type": "string"}), "description": description}
    properties["preset"] = {"type": "string", "description": properties["preset"].get("description", "")}
    block["allOf"] = [_if_used(name, {"$ref": f"#/$defs/use:{_key(component)}"}) for name, component in components.items()]
    return _without_empty(block)


def _blocks(kind: Kind, components: Mapping[str, Component]) -> Schema:
    """The table of all blocks of a kind."""
    unnamed = {
        name: {
            "description": component.summary,
            "if": {"not": _says_what_it_is(kind)},
            "then": {"$ref": f"#/$defs/use:{_key(component)}"},
        }
        for name, component in components.items()
    }
    return {
        "type": "object",
        "description": f"Blocks of kind {kind} by name: a component with settings.",
        "propertyNames": dict(_SLUG),
        "properties": unnamed,
        # One that is not named after its component says which one it uses.
        "additionalProperties": _says_what_it_is(kind),
        "allOf": [{"additionalProperties": {"$ref": f"#/$defs/block:{kind}"}}],
    }


def _says_what_it_is(kind: Kind) -> Schema:
    fields = [field for field in ("use", "artifact") if field in BLOCKS[kind].model_fields]
    return {"anyOf": [{"required": [field]} for field in fields]}


def _of_component(registry: Registry, component: Component) -> Schema:
    """What follows for a block that uses a component: its settings, its presets, and whether it is trained."""
    properties: Schema = {"config": {"$ref": f"#/$defs/{_key(component)}"}}
    presets = registry.presets(component.kind, component.name)
    descriptions = [preset.description or name for name, preset in presets.items()]
    properties["preset"] = {"enum": list(presets), "x-taplo": {"docs": {"enumValues": descriptions}}} if presets else False
    if "train" in BLOCKS[component.kind].model_fields:
        properties["train"] = {"$ref": "#/$defs/train"} if component.training is not None else {"maxProperties": 0}
    return {"properties": properties}


def _missing(registry: Registry) -> Iterator[tuple[str, Schema]]:
    """For each kind, the settings without a default that a block has to give, unless a preset or an artifact does."""
    for kind in BLOCKS:
        lacking = {name: _required(component.config) for name, component in _names(registry, kind).items()}
        demands = {name: _demand(kind, fields) for name, fields in lacking.items() if fields}
        if demands:
            unnamed = {name: {"if": {"not": _says_what_it_is(kind)}, "then": demand} for name, demand in demands.items()}
            used = [_if_used(name, demand) for name, demand in demands.items()]
            yield kind, {"properties": unnamed, "allOf": [{"additionalProperties": {"allOf": used}}]}


def _required(config: type[BaseModel]) -> list[str]:
    return [field.alias or name for name, field in config.model_fields.items() if field.is_required()]


def _demand(kind: Kind, fields: list[str]) -> Schema:
    others = [field for field in ("preset", "artifact") if field in BLOCKS[kind].model_fields]
    return {
        "if": {"not": {"anyOf": [{"required": [field]} for field in others]}},
        "then": {"required": ["config"], "properties": {"config": {"required": fields}}},
    }


def _if_used(name: str, then: Schema) -> Schema:
    return {"if": {"properties": {"use": {"const": name}}, "required": ["use"]}, "then": then}


def _axes() -> Schema:
    """Settings as axes, as quoted keys or as nested tables."""
    values = {"type": "array", "minItems": 1}
    return {
        "type": "object",
        "description": 'Values of settings, crossed with the cells: "prior.gpt.train.learning_rate" = [3e-4, 1e-3]',
        "propertyNames": {"pattern": rf"^\s*[\"']?({_KIND})[\"']?\s*(\..*)?$"},
        "additionalProperties": {"anyOf": [values, {"type": "object"}]},
    }


def _suggested(schema: Any, kind: Kind) -> Any:
    """A field of the schema in which every name is one of a kind of component."""
    if isinstance(schema, Mapping):
        if schema.get("type") == "string":
            kept = {key: value for key, value in schema.items() if key not in ("type", "minLength")}
            return {**kept, "$ref": f"#/$defs/name:{kind}"}
        return {key: value if key == "default" else _suggested(value, kind) for key, value in schema.items()}
    return [_suggested(value, kind) for value in schema] if isinstance(schema, list) else schema


def _resolved(schema: Any) -> Any:
    """A schema in which references to components lead to what can stand there."""
    if isinstance(schema, Mapping):
        kind = schema.get(REFERENCE)
        rest = {key: _resolved(value) for key, value in schema.items() if key != REFERENCE}
        return rest if kind is None else {**rest, "$ref": f"#/$defs/reference:{kind}"}
    return [_resolved(value) for value in schema] if isinstance(schema, list) else schema


def _without_empty(schema: Schema) -> Schema:
    """Without an empty ``allOf``, which JSON Schema does not permit."""
    return {key: value for key, value in schema.items() if key != "allOf" or value}
