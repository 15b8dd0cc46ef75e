"""From artifacts of a store to what is shared of them: a description, and the files of weights."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import tamingplat
from tamingplat.engine import load_tensors
from tamingplat.interfaces import DataError, Kind, TamingplatError
from tamingplat.interfaces.models import CheckpointModels, CheckpointPrior, CheckpointTokenizer
from tamingplat.manifest import ResolvedComponent, portable_settings, resolve_component
from tamingplat.registry import Registry
from tamingplat.stages.build import Builder
from tamingplat.stages.checkpoint_comparison import CheckpointComparison, PreparedModel
from tamingplat.stages.imported import ImportedTokenizer, ImportPrior
from tamingplat.stages.model_record import ArtifactAddress, PriorRecord, TokenizerRecord, read_model_record
from tamingplat.stages.sharing.description import (
    FORMAT,
    ComponentEntry,
    FileEntry,
    PriorEntry,
    Role,
    SharedModel,
    TokenizerEntry,
    weights_file,
)
from tamingplat.stages.sharing.made import ResultsEntry
from tamingplat.stages.sharing.origin import model_origin, shared_source
from tamingplat.stages.tokenizer_stage import WEIGHTS
from tamingplat.store import Artifact, Store

EXPENDABLE: tuple[Kind, ...] = ("perceptual",)
"""What a model refers to in its loss alone: its files are of no use to who gets the model."""


@dataclass(frozen=True)
class Gathered:
    """What is shared of a model.

    Attributes:
        description: What is said of it.
        files: Where the weights lie now, by the name that they get.
    """

    description: SharedModel
    files: Mapping[str, Path]


def gather(
    artifact: Artifact,
    registry: Registry,
    store: Store,
    *,
    license_: str | None = None,
    results: ResultsEntry | None = None,
) -> Gathered:
    """Everything that is shared of a tokenizer, or of a prior with its tokenizers. Every byte of the weights is read.

    Args:
        artifact: The model, trained, imported or pulled.
        registry: The components that there are.
        store: Where the artifacts lie.
        license_: What the author allows; without it, what a pulled model came with.
        results: Of ``shared_results``; without them, what a pulled model came with.

    Raises:
        TamingplatError: The artifact holds no model, something that it needs is absent, or it cannot be used elsewhere.
        DataError: An artifact is damaged.
    """
    return _Gatherer(registry, store).gather(artifact, license_, results)


class _Gatherer:
    def __init__(self, registry: Registry, store: Store) -> None:
        self._registry, self._store = registry, store
        self._builder = Builder(registry, store.fingerprint)
        self._artifacts: dict[Role, Artifact] = {}
        self._left_out: dict[Role, tuple[str, ...]] = {}

    def gather(self, artifact: Artifact, license_: str | None, results: ResultsEntry | None) -> Gathered:
        record = read_model_record(artifact)
        if isinstance(record, TokenizerRecord):
            models = CheckpointModels(tokenizer=self._tokenizer("tokenizer", artifact, record))
        else:
            models = self._with_tokenizers(artifact, record)
        about: Literal["tokenizer", "prior"] = "tokenizer" if models.prior is None else "prior"
        by_role: dict[Role, Any] = {
            "tokenizer": models.tokenizer,
            "condition": models.condition_tokenizer,
            "prior": models.prior,
        }
        names = [model.file_name(name) for role in self._artifacts for model in [by_role[role]] for name in model.tensors]
        where = artifact.directory
        comparison = CheckpointComparison(where, where / "stage.json", names, self._registry, self._builder)
        prepared = comparison.prepare(models, "shared")
        items = {role: item for role in self._artifacts for item in prepared if item.model is by_role[role]}
        entries: dict[Role, Any] = {role: self._entry(role, item) for role, item in items.items()}
        source = shared_source(artifact)
        description = SharedModel(
            format=FORMAT,
            tamingplat=tamingplat.__version__,
            key=entries[about].key,
            about=about,
            models=entries,
            files={weights_file(role): self._file(found) for role, found in self._artifacts.items()},
            license=license_ or source.get("license"),
            results=results or source.get("results"),
        )
        files = {weights_file(role): found.path(WEIGHTS) for role, found in self._artifacts.items()}
        return Gathered(description, files)

    def _with_tokenizers(self, artifact: Artifact, record: PriorRecord) -> CheckpointModels:
        if record.tokenizer is None:
            raise TamingplatError(
                f"{artifact.directory}: this prior was imported without its tokenizer, and is of no use to others without it"
            )
        self._check_ordering(artifact, record)
        tokenizer = self._needed("tokenizer", record.tokenizer)
        condition = None
        if record.condition_tokenizer == record.tokenizer:
            condition = tokenizer
        elif record.condition_tokenizer is not None:
            condition = self._needed("condition", record.condition_tokenizer)
        elif own := sum(1 for _ in _tokenizers_in(artifact.details["identity"].get("conditioner"))):
            raise TamingplatError(
                f"{artifact.directory}: its condition has {own} tokenizers of its own, and a prior is shared with one at most"
            )
        self._artifacts["prior"] = artifact
        prior = CheckpointPrior(
            space=record.space,
            layout=record.layout,
            conditioner=record.conditioner,
            ordering=record.ordering,
            **self._settings("prior", "prior", artifact, record),
        )
        return CheckpointModels(tokenizer=tokenizer, prior=prior, condition_tokenizer=condition)

    def _check_ordering(self, artifact: Artifact, record: PriorRecord) -> None:
        """The record of a prior knows its ordering by its name alone."""
        if artifact.stage.startswith("import_"):
            return
        where = str(artifact.directory)
        plain = self._builder.identity(resolve_component(self._registry, "ordering", record.ordering, {}, where=where))
        if artifact.details["identity"]["ordering"]["config"] != plain["config"]:
            raise TamingplatError(
                f"{where}: this prior was trained under ordering:{record.ordering} with settings of its own, "
                "and is shared with the name of its ordering alone"
            )

    def _needed(self, role: Role, address: ArtifactAddress) -> CheckpointTokenizer:
        found = self._store.find(address.stage, address.key)
        if found is None:
            raise DataError(
                f"{self._store.directory(address.stage, address.key)}: the prior's tokenizer is gone; make it again"
            )
        record = read_model_record(found)
        assert isinstance(record, TokenizerRecord), found.directory
        return self._tokenizer(role, found, record)

    def _tokenizer(self, role: Role, artifact: Artifact, record: TokenizerRecord) -> CheckpointTokenizer:
        self._artifacts[role] = artifact
        settings = self._settings(role, "tokenizer", artifact, record)
        return CheckpointTokenizer(image_size=record.image_size, channels=record.channels, **settings)

    def _settings(self, role: Role, kind: Kind, artifact: Artifact, record: TokenizerRecord | PriorRecord) -> dict[str, Any]:
        artifact.verify()
        component = self._registry.find(kind, record.component)
        portable = portable_settings(
            self._registry, component, record.config, expendable=EXPENDABLE, where=str(artifact.directory)
        )
        self._left_out[role] = portable.left_out
        return {
            "component": component.name,
            "config": portable.config,
            "tensors": load_tensors(artifact.path(WEIGHTS)),
            "prefix": f"{weights_file(role)}: ",
        }

    def _entry(self, role: Role, item: PreparedModel) -> TokenizerEntry | PriorEntry:
        stage, record = item.stage, item.record
        common = {
            "component": record["component"],
            "key": stage.key,
            "config": record["config"],
            "left_out": self._left_out[role],
            "digest": item.digest,
            "parameters": item.parameters,
            "origin": model_origin(self._artifacts[role]),
        }
        if isinstance(stage, ImportedTokenizer):
            components = tuple(self._components(stage.tokenizer))
            size = (record["image_size"][0], record["image_size"][1])
            return TokenizerEntry(
                kind="tokenizer", components=components, image_size=size, channels=record["channels"], **common
            )
        assert isinstance(stage, ImportPrior), stage.kind
        origin = stage.origin
        entries = [*self._components(origin.prior), *self._components(origin.ordering)]
        if origin.conditioner:
            entries.append(self._component("conditioner", origin.conditioner))
        condition: Any = None
        if origin.condition_tokenizer is not None:
            condition = "tokenizer" if origin.condition_tokenizer == origin.tokenizer else "condition"
        wanted = ("grids", "vocab_size", "layout", "ordering", "conditioner")
        return PriorEntry(
            kind="prior",
            components=tuple(entries),
            tokenizer="tokenizer",
            condition_tokenizer=condition,
            **{name: record[name] for name in wanted},
            **common,
        )

    def _components(self, resolved: ResolvedComponent) -> Iterator[ComponentEntry]:
        yield self._component(resolved.kind, resolved.component.name)
        for part in resolved.parts.values():
            yield from self._components(part)

    def _component(self, kind: Kind, name: str) -> ComponentEntry:
        found = self._registry.registered(kind, name)
        return ComponentEntry(
            kind=kind,
            name=found.component.name,
            revision=found.component.revision,
            plugin=found.plugin,
            distribution=found.distribution,
            version=found.version,
        )

    @staticmethod
    def _file(artifact: Artifact) -> FileEntry:
        stated = artifact.record["files"][WEIGHTS]
        return FileEntry(sha256=stated["sha256"], size=stated["size"])


def _tokenizers_in(identity: object) -> Iterator[str]:
    """The tokenizers in the identity of a conditioner, each use once."""
    if isinstance(identity, Mapping):
        if identity.get("kind") == "tokenizer":
            yield str(identity.get("name"))
            return
        for value in identity.values():
            yield from _tokenizers_in(value)
    elif isinstance(identity, list | tuple):
        for value in identity:
            yield from _tokenizers_in(value)
