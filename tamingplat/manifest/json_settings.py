"""Settings classes as JSON Schema, as TOML writes them: no null, a name or a table where another component is referred to."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel
from pydantic.errors import PydanticInvalidForJsonSchema
from pydantic.json_schema import GenerateJsonSchema, JsonSchemaValue
from pydantic_core import core_schema

from tamingplat.interfaces import Selection, references
from tamingplat.manifest.model_fields import accepts_none

REFERENCE = "x-tamingplat-reference"
"""Stands, with the kind, where a component is referred to, until a document says what can stand there."""

_NONE = {"const": "none", "description": "Switches it off; TOML has no null."}
_SELECTION = f"{Selection.__module__}.{Selection.__qualname__}".replace(".", "__")


def settings_schema(model: type[BaseModel], pointer: str) -> JsonSchemaValue:
    """The JSON Schema (draft 2020-12) of a settings class, with the fields' descriptions, defaults and limits.

    Args:
        model: The class.
        pointer: Where the schema will stand in its document, such as ``#/$defs/tokenizer:vqgan``.
    """
    schema = model.model_json_schema(schema_generator=_Generator, ref_template=f"{pointer}/$defs/{{model}}")
    written: JsonSchemaValue = _for_toml(schema)
    return written


class _Generator(GenerateJsonSchema):
    """Leaves open what pydantic cannot say: an editor may miss a mistake, and must never mark what is right."""

    def model_schema(self, schema: core_schema.ModelSchema) -> JsonSchemaValue:
        """A model, in which references to components are marked."""
        written = super().model_schema(schema)
        model: type[BaseModel] = schema["cls"]
        for name, reference in references(model).items():
            field = model.model_fields[name]
            properties = written["properties"]
            key = field.alias or name
            properties[key] = _marked(properties[key], reference.kind)
            if "default" in properties[key]:
                default = field.get_default(call_default_factory=True, validated_data={})
                properties[key]["default"] = default.use if isinstance(default, Selection) and not default.config else None
            if accepts_none(field.annotation):
                properties[key].setdefault("description", field.description or "")
        return written

    def function_before_schema(self, schema: core_schema.BeforeValidatorFunctionSchema) -> JsonSchemaValue:
        """What a function changes before it is checked can be anything, unless its author says what."""
        if schema.get("json_schema_input_schema"):
            return super().function_before_schema(schema)
        return {"anyOf": [self.generate_inner(schema["schema"]), {}]}

    def function_wrap_schema(self, schema: core_schema.WrapValidatorFunctionSchema) -> JsonSchemaValue:
        """As ``function_before_schema``."""
        if schema.get("json_schema_input_schema"):
            return super().function_wrap_schema(schema)
        return {"anyOf": [self.generate_inner(schema["schema"]), {}]}

    def handle_invalid_for_json_schema(self, schema: Any, error_info: str) -> JsonSchemaValue:
        """A type that JSON Schema has no words for can be anything."""
        try:
            return super().handle_invalid_for_json_schema(schema, error_info)
        except PydanticInvalidForJsonSchema:
            return {}

    def emit_warning(self, kind: Any, detail: str) -> None:
        """A default that is no JSON is left out, and needs no mention."""


def _marked(schema: Any, kind: str) -> Any:
    """A schema in which everything that is a ``Selection`` is marked as a reference to a kind of component."""
    if isinstance(schema, Mapping):
        if _SELECTION in str(schema.get("$ref", "")):
            return {**{key: value for key, value in schema.items() if key != "$ref"}, REFERENCE: kind}
        return {key: _marked(value, kind) for key, value in schema.items()}
    return [_marked(value, kind) for value in schema] if isinstance(schema, list) else schema


def _for_toml(schema: Any, *, names: bool = False) -> Any:
    """Without titles, which repeat the names, and without null; ``names`` where keys are names and no words of JSON Schema."""
    if isinstance(schema, list):
        return [_for_toml(value) for value in schema]
    if not isinstance(schema, Mapping):
        return schema
    if not names and schema.get("type") == "null":
        return dict(_NONE)
    written = {}
    for key, value in schema.items():
        if not names and (key == "title" or (key == "default" and value is None)):
            continue
        literal = not names and key in ("default", "enum", "const", "examples")
        written[key] = value if literal else _for_toml(value, names=not names and key in ("properties", "$defs"))
    return written
