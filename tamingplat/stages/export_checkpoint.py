"""From artifacts of a store to a checkpoint in a format that others read."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from tamingplat.engine import load_tensors, save_tensors
from tamingplat.interfaces import DataError, TamingplatError
from tamingplat.interfaces.models import CheckpointModels, CheckpointPrior, CheckpointTokenizer
from tamingplat.manifest import resolve_component
from tamingplat.registry import Registry
from tamingplat.stages.build import Builder
from tamingplat.stages.import_checkpoint import load_format
from tamingplat.stages.model_record import ArtifactAddress, PriorRecord, TokenizerRecord, read_model_record
from tamingplat.stages.tokenizer_stage import WEIGHTS
from tamingplat.store import Artifact, Store


@dataclass(frozen=True)
class ExportReport:
    """What an export wrote.

    Attributes:
        tensors: The file of tensors.
        configuration: The file of settings.
        count: Number of tensors.
    """

    tensors: Path
    configuration: Path
    count: int


def export_checkpoint(format_: str, name: str, out: Path, registry: Registry, store: Store, *, replace: bool) -> ExportReport:
    """Write a named artifact, and for a prior the tokenizers that it came with or was trained on, to one checkpoint.

    Args:
        format_: Name of the checkpoint format.
        name: Of the artifact, imported or trained.
        out: A safetensors file; the configuration goes beside it, under the same name with ``.yaml``.
        registry: The components that there are.
        store: Where the artifacts lie.
        replace: Whether files that are there are replaced.

    Raises:
        TamingplatError: The format has no such model, an artifact is absent or holds none, or a file cannot be written.
    """
    configuration = out.with_suffix(".yaml")
    if out.suffix != ".safetensors":
        raise TamingplatError(f"{out}: the name must end in .safetensors: no pickles are written")
    there = [str(path) for path in (out, configuration) if path.exists()]
    if there and not replace:
        raise TamingplatError(f"{' and '.join(there)}: there is such a file already; name another one, or add --replace")
    form = load_format(format_, registry)
    exporter = _Exporter(registry, store)
    tensors, table = form.write(exporter.models(store.named(name)))
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        save_tensors(tensors, out)
        beside = configuration.with_name(f".{configuration.name}.{os.getpid()}.partial")
        try:
            beside.write_text(yaml.safe_dump(table, sort_keys=False, allow_unicode=True), encoding="utf-8")
            beside.replace(configuration)
        finally:
            beside.unlink(missing_ok=True)
    except OSError as error:
        raise TamingplatError(f"{error.filename or out}: cannot be written: {error.strerror}") from error
    return ExportReport(out, configuration, len(tensors))


class _Exporter:
    def __init__(self, registry: Registry, store: Store) -> None:
        self._registry, self._store = registry, store
        self._builder = Builder(registry, store.fingerprint)

    def models(self, artifact: Artifact) -> CheckpointModels:
        """The model of an artifact with what belongs to it."""
        record = read_model_record(artifact)
        information = dict(artifact.details.get("source", {}).get("information", {}))
        if isinstance(record, TokenizerRecord):
            return CheckpointModels(tokenizer=self._tokenizer(artifact, record), information=information)
        tokenizer = self._at(record.tokenizer)
        own = tokenizer if record.condition_tokenizer == record.tokenizer else self._at(record.condition_tokenizer)
        return CheckpointModels(
            tokenizer=tokenizer, prior=self._prior(artifact, record), condition_tokenizer=own, information=information
        )

    def _at(self, address: ArtifactAddress | None) -> CheckpointTokenizer | None:
        if address is None:
            return None
        artifact = self._store.find(address.stage, address.key)
        if artifact is None:
            raise DataError(
                f"{self._store.directory(address.stage, address.key)}: the prior's tokenizer is gone; make it again"
            )
        record = read_model_record(artifact)
        assert isinstance(record, TokenizerRecord)
        return self._tokenizer(artifact, record)

    def _settings(self, kind: Any, record: TokenizerRecord | PriorRecord, artifact: Artifact) -> dict[str, Any]:
        where = str(artifact.directory)
        resolved = resolve_component(self._registry, kind, record.component, record.config, where=where)
        return {
            "component": resolved.component.name,
            "config": dict(record.config),
            "changed": frozenset(resolved.config.model_dump(mode="json", exclude_defaults=True)),
            "tensors": load_tensors(artifact.path(WEIGHTS)),
        }

    def _tokenizer(self, artifact: Artifact, record: TokenizerRecord) -> CheckpointTokenizer:
        settings = self._settings("tokenizer", record, artifact)
        return CheckpointTokenizer(image_size=record.image_size, channels=record.channels, **settings)

    def _prior(self, artifact: Artifact, record: PriorRecord) -> CheckpointPrior:
        resolved = resolve_component(self._registry, "ordering", record.ordering, {}, where=str(artifact.directory))
        ordering = self._builder.ordering(resolved)
        if ordering.random or ordering.grouped:
            raise TamingplatError(f"{artifact.directory}: ordering:{record.ordering} is no fixed order of single codes")
        return CheckpointPrior(
            space=record.space,
            layout=record.layout,
            conditioner=record.conditioner,
            ordering=record.ordering,
            order=ordering.plan(record.space, 1).order[0],
            **self._settings("prior", record, artifact),
        )
