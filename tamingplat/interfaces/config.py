"""Settings of a component: a frozen pydantic model with a description for every field.

Three kinds of field are marked, because content keys treat them differently:

``Annotated[int, Runtime()]``
    may change rounding but never meaning (device, workers, threads, compile) and stays out of content keys;
``FilePath``
    a file or a folder, relative to the manifest, that enters a key as the hash of its content and never as its path;
``Annotated[Selection, Ref("perceptual")]``
    names another component, which is built and handed over in ``parts`` under the field's name.
"""

from __future__ import annotations

import typing
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, model_validator

from tamingplat.interfaces.kinds import Kind


class Config(BaseModel):
    """Base of every component's settings: immutable, and a field that does not exist is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid", validate_default=True, allow_inf_nan=False)


@dataclass(frozen=True)
class Runtime:
    """Marks a field that never changes what a result means, and so stays out of content keys."""


@dataclass(frozen=True)
class FileContent:
    """Marks a path whose content, not whose name, enters content keys."""


@dataclass(frozen=True)
class Ref:
    """Marks a field that names another component.

    Attributes:
        kind: The kind of component that may be named.
    """

    kind: Kind


FilePath = Annotated[Path, FileContent()]


class Selection(Config):
    """A component chosen by name, with its settings: a manifest block's name, or ``{ use = "…", config = { … } }``."""

    use: str = Field(min_length=1, description="A manifest block or an installed component, by name.")
    config: dict[str, Any] = Field(default_factory=dict, description="Settings of the component.")

    @model_validator(mode="before")
    @classmethod
    def _name_alone(cls, value: Any) -> Any:
        return {"use": value} if isinstance(value, str) else value


class NoConfig(Config):
    """Settings of a component that has none."""


Marker = Runtime | FileContent | Ref


def _markers_in(annotation: Any) -> Iterator[Marker]:
    if typing.get_origin(annotation) is Annotated:
        inner, *metadata = typing.get_args(annotation)
        yield from (item for item in metadata if isinstance(item, Runtime | FileContent | Ref))
        yield from _markers_in(inner)
    else:
        for argument in typing.get_args(annotation):
            yield from _markers_in(argument)


def field_markers(config: type[BaseModel]) -> Mapping[str, tuple[Marker, ...]]:
    """The markers of every field of a settings class, also those inside ``X | None`` and containers."""
    return {
        name: (
            *(item for item in field.metadata if isinstance(item, Runtime | FileContent | Ref)),
            *_markers_in(field.annotation),
        )
        for name, field in config.model_fields.items()
    }


def references(config: type[BaseModel]) -> Mapping[str, Ref]:
    """The fields of a settings class that name another component."""
    found: dict[str, Ref] = {}
    for name, markers in field_markers(config).items():
        refs = [marker for marker in markers if isinstance(marker, Ref)]
        if refs:
            found[name] = refs[0]
    return found
