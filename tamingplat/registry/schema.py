"""What may stand in a registry.toml, and reading one with everything that is wrong with it."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal, get_args

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StrictBool, ValidationError
from pydantic_core import ErrorDetails

from tamingplat.interfaces import KINDS, Kind, Problem
from tamingplat.registry.suggestions import did_you_mean
from tamingplat.registry.toml_lines import KeyPath, key_lines, line_of

SCHEMA_VERSION = 1
Status = Literal["stable", "experimental", "deprecated"]
ComponentKey = tuple[Kind, str]

_NAME = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")


def parse_kind(text: str) -> Kind:
    """``text`` as a kind of component.

    Raises:
        ValueError: There is no such kind.
    """
    for kind in KINDS:
        if kind == text:
            return kind
    remedy = did_you_mean(text, KINDS) or f"the kinds are {', '.join(KINDS)}"
    raise ValueError(f"unknown kind {text!r}; {remedy}")


def parse_reference(text: str) -> ComponentKey:
    """``"tokenizer:vqgan"`` as ``("tokenizer", "vqgan")``.

    Raises:
        ValueError: It does not read ``kind:name``, or the kind does not exist.
    """
    kind, colon, name = text.partition(":")
    if not colon:
        raise ValueError(f"a component is written kind:name, such as tokenizer:vqgan, not {text!r}")
    known = parse_kind(kind)
    if not _NAME.fullmatch(name):
        raise ValueError(f"{name!r} is not the name of a component: lower-case letters and digits, joined by single hyphens")
    return known, name


def _reference(text: str) -> str:
    parse_reference(text)
    return text


Reference = Annotated[str, AfterValidator(_reference)]
Word = Annotated[str, Field(min_length=1)]


class _Block(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class PluginBlock(_Block):
    """``[plugin.NAME]``: what is known of a plugin. A later file overrides single fields."""

    distribution: Word | None = Field(None, description="What to install to get it.")
    provides: list[Reference] | None = Field(None, description="The components that it offers.")
    status: Status | None = Field(None, description="How far it can be relied on.")
    enabled: StrictBool | None = Field(None, description="False blocks it: it is not imported.")


class PresetBlock(_Block):
    """``[preset."KIND:NAME".PRESET]``: settings of a component under a name. A later file replaces a preset."""

    config: dict[str, Any] = Field(description="Settings of the component; those that are not given keep their defaults.")
    description: str = Field("", description="What it is, for listings.")


class RegistryFile(_Block):
    """A whole registry.toml."""

    schema_version: Literal[1] = Field(alias="schema", description="Version of this format.")
    plugin: dict[str, PluginBlock] = Field(default_factory=dict, description="Plugins by their entry point's name.")
    alias: dict[Reference, Reference] = Field(default_factory=dict, description="Further names of components.")
    preset: dict[Reference, dict[Word, PresetBlock]] = Field(default_factory=dict, description="Named settings.")
    conflict: dict[Reference, Word] = Field(
        default_factory=dict, description="The plugin whose component is meant where several offer one of that name."
    )


@dataclass(frozen=True)
class Source:
    """A registry file that was read.

    Attributes:
        path: As it is shown to the user.
        content: What it holds.
        lines: The line of every key.
    """

    path: Path
    content: RegistryFile
    lines: Mapping[KeyPath, int]

    def where(self, *keys: str) -> str:
        """``file:line: field`` of a key, for problems."""
        return _where(self.path, self.lines, keys)


def read_registry_file(path: Path) -> Source | list[Problem]:
    """A registry file, or everything that is wrong with it."""
    try:
        text = path.read_bytes().decode()
    except OSError as error:
        return [Problem(str(path), f"cannot be read: {error.strerror or error}", "correct the path or its permissions")]
    except UnicodeDecodeError as error:
        return [Problem(str(path), f"is not UTF-8 text: {error.reason} at byte {error.start}", "save it as UTF-8")]
    try:
        values = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        found = re.search(r"\(at line (\d+), column \d+\)", str(error))
        line = int(found.group(1)) if found else text.count("\n") + 1
        what = str(error).partition(" (at ")[0]
        return [Problem(f"{path}:{line}", f"not valid TOML: {what}", "correct the syntax")]
    lines = key_lines(text)
    try:
        return Source(path, RegistryFile.model_validate(values), lines)
    except ValidationError as error:
        return [_problem(path, lines, details) for details in error.errors()]


def _where(path: Path, lines: Mapping[KeyPath, int], keys: KeyPath) -> str:
    place = f"{path}:{line_of(lines, keys)}"
    return f"{place}: {dotted(keys)}" if keys else place


def dotted(keys: KeyPath) -> str:
    """A key's path as TOML writes it."""
    text = ""
    for key in keys:
        if isinstance(key, int):
            text += f"[{key}]"
        else:
            text += ("." if text else "") + (key if re.fullmatch(r"[A-Za-z0-9_-]+", key) else f'"{key}"')
    return text


def _problem(path: Path, lines: Mapping[KeyPath, int], details: ErrorDetails) -> Problem:
    keys = tuple(key for key in details["loc"] if key != "[key]")
    where = _where(path, lines, keys)
    value = details["input"]
    match details["type"]:
        case "extra_forbidden":
            fields = _fields_beside(keys)
            remedy = did_you_mean(str(keys[-1]), fields) or f"the fields here are {', '.join(fields)}"
            return Problem(where, "unknown field", remedy)
        case "missing" if keys == ("schema",):
            return Problem(where, "is missing", f"write schema = {SCHEMA_VERSION} at the top")
        case "missing":
            return Problem(where, "is missing", "add it")
        case "literal_error" if keys == ("schema",):
            remedy = "upgrade tamingplat" if isinstance(value, int) and value > SCHEMA_VERSION else "write 1"
            return Problem(where, f"unknown version {value!r}; this tamingplat reads schema = {SCHEMA_VERSION}", remedy)
        case "literal_error":
            choices = get_args(Status)
            remedy = did_you_mean(str(value), choices) or f"write one of {', '.join(choices)}"
            return Problem(where, f"unknown status {value!r}", remedy)
        case "value_error":
            what, _, remedy = details["msg"].removeprefix("Value error, ").partition("; ")
            return Problem(where, what, remedy or "correct the name")
        case "dict_type" | "model_type":
            return Problem(where, f"must be a table, not {value!r}", "write it as a table of fields")
        case _:
            return Problem(where, f"{details['msg'][0].lower()}{details['msg'][1:]}, not {value!r}", "correct the value")


def _fields_beside(keys: KeyPath) -> list[str]:
    block: type[BaseModel] = RegistryFile
    if len(keys) > 1:
        block = PluginBlock if keys[0] == "plugin" else PresetBlock
    return [field.alias or name for name, field in block.model_fields.items()]
