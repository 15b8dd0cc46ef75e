"""What the record of an artifact says of the model in it: enough to build it again, and to know what it goes together with.

It stands in the record under ``model``, for trained and imported models alike.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from tamingplat.interfaces import CodeSpace, ConditionLayout, ConditionPart, DataError, Kind, TamingplatError
from tamingplat.manifest import AbsentArtifactError, NamedArtifact, ResolvedComponent
from tamingplat.store import Artifact, Store

MODEL = "model"


@dataclass(frozen=True)
class ArtifactAddress:
    """Where an artifact lies in a store."""

    stage: str
    key: str


@dataclass(frozen=True)
class TokenizerRecord:
    """A tokenizer.

    Attributes:
        component: Name of its component.
        config: All of its settings, as JSON knows them.
        image_size: Height and width in pixels of the images that it was made for.
        channels: Their channels.
    """

    component: str
    config: Mapping[str, Any]
    image_size: tuple[int, int]
    channels: int

    def to_json(self) -> dict[str, Any]:
        """The record in JSON's types."""
        return {
            "kind": "tokenizer",
            "component": self.component,
            "config": dict(self.config),
            "image_size": list(self.image_size),
            "channels": self.channels,
        }


@dataclass(frozen=True)
class PriorRecord:
    """A prior.

    Attributes:
        component: Name of its component.
        config: All of its settings, as JSON knows them.
        space: The codes.
        layout: The parts of its condition.
        ordering: Name of the ordering that it was trained under.
        conditioner: Name of the conditioner that gives its condition; empty where that is unknown.
        tokenizer: The tokenizer that gives its codes; ``None`` where that is unknown.
        condition_tokenizer: The tokenizer that gives its condition, where it has one.
    """

    component: str
    config: Mapping[str, Any]
    space: CodeSpace
    layout: ConditionLayout
    ordering: str
    conditioner: str
    tokenizer: ArtifactAddress | None
    condition_tokenizer: ArtifactAddress | None = None

    def to_json(self) -> dict[str, Any]:
        """The record in JSON's types."""
        return {
            "kind": "prior",
            "component": self.component,
            "config": dict(self.config),
            "grids": [list(grid) for grid in self.space.grids],
            "vocab_size": self.space.vocab_size,
            "layout": layout_json(self.layout),
            "ordering": self.ordering,
            "conditioner": self.conditioner,
            "tokenizer": self.tokenizer and vars(self.tokenizer),
            "condition_tokenizer": self.condition_tokenizer and vars(self.condition_tokenizer),
        }


def layout_json(layout: ConditionLayout) -> list[dict[str, Any]]:
    """The parts of a condition in JSON's types."""
    return [{"name": part.name, "vocab_size": part.vocab_size, "grid": part.grid and list(part.grid)} for part in layout]


def portable_config(resolved: ResolvedComponent) -> dict[str, Any]:
    """All settings of a component as JSON knows them, those of the components that it refers to among them."""
    config: dict[str, Any] = resolved.config.model_dump(mode="json")
    for place, part in resolved.parts.items():
        *around, last = place.split(".")
        table: Any = config
        for name in around:
            table = table[int(name) if isinstance(table, list) else name]
        changed = part.config.model_dump(exclude_defaults=True)
        own = {name: value for name, value in portable_config(part).items() if name in changed}
        selection = {"use": part.component.name, **({"config": own} if own else {})}
        table[int(last) if isinstance(table, list) else last] = selection
    return config


def read_model_record(artifact: Artifact) -> TokenizerRecord | PriorRecord:
    """What an artifact's record says of its model.

    Raises:
        TamingplatError: It holds no model.
        DataError: The record is damaged.
    """
    model = artifact.details.get(MODEL)
    if not isinstance(model, Mapping):
        raise TamingplatError(
            f"{artifact.directory}: this artifact holds no tokenizer and no prior, or was made before such "
            "were recorded; name another one"
        )
    try:
        if model["kind"] == "tokenizer":
            height, width = model["image_size"]
            return TokenizerRecord(model["component"], model["config"], (height, width), model["channels"])
        return PriorRecord(
            component=model["component"],
            config=model["config"],
            space=CodeSpace(tuple(tuple(grid) for grid in model["grids"]), model["vocab_size"]),
            layout=tuple(
                ConditionPart(part["name"], part["vocab_size"], part["grid"] and tuple(part["grid"]))
                for part in model["layout"]
            ),
            ordering=model["ordering"],
            conditioner=model["conditioner"],
            tokenizer=model["tokenizer"] and ArtifactAddress(**model["tokenizer"]),
            condition_tokenizer=model["condition_tokenizer"] and ArtifactAddress(**model["condition_tokenizer"]),
        )
    except (KeyError, TypeError, ValueError) as error:
        raise DataError(f"{artifact.directory}: the record of the model is damaged ({error}); make it again") from error


class StoredArtifacts:
    """The imported artifacts of a store, for manifests that name them."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def describe(self, kind: Kind, name: str) -> NamedArtifact:
        """What an artifact is, by its name.

        Raises:
            AbsentArtifactError: No artifact has the name.
            TamingplatError: It is not imported, or of another kind.
        """
        record = read_model_record(self.find(kind, name))
        return NamedArtifact(record.component, record.config)

    def find(self, kind: Kind, name: str) -> Artifact:
        """The artifact of a kind with a name; errors as above."""
        self._store.check_name(name)
        if name not in self._store.names():
            try:
                self._store.named(name)
            except TamingplatError as error:
                raise AbsentArtifactError(str(error)) from error
        artifact = self._store.named(name)
        if not artifact.stage.startswith("import_"):
            raise TamingplatError(
                f"{name!r} names what this store trained ({artifact.stage}); a manifest finds that by its settings, "
                "and takes imported artifacts by name"
            )
        is_kind = artifact.stage.removeprefix("import_")
        if is_kind != kind:
            raise TamingplatError(f"the artifact {name!r} is a {is_kind}, not a {kind}")
        return artifact
