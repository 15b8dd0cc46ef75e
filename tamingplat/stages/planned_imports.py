"""Imported models in a plan: finding them in the store, and why one cannot be used where a manifest asks for it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from tamingplat.interfaces import CodeSpace, ConditionLayout, DatasetInfo, MapsInfo, TamingplatError, Windows
from tamingplat.manifest import Cell, ResolvedComponent, resolve_component
from tamingplat.registry import Registry
from tamingplat.stages.absent import unknown_content
from tamingplat.stages.build import Builder
from tamingplat.stages.condition_parts import conditioner_without_weights
from tamingplat.stages.encode import EncodeConditions, EncodeDataset
from tamingplat.stages.imported import ImportedPrior, ImportedTokenizer, PriorOrigin
from tamingplat.stages.model_record import ArtifactAddress, PriorRecord, StoredArtifacts, TokenizerRecord, read_model_record
from tamingplat.stages.stage import Stage
from tamingplat.store import Artifact, Store

_AGAIN = "was imported under another revision or other settings of {}; import it again"


class RefusedError(Exception):
    """Why an imported artifact cannot be used."""


class ImportPlanner:
    """Makes the stages of imported models.

    Args:
        builder: Makes components.
        registry: The components that there are.
        store: Where the artifacts lie.
    """

    def __init__(self, builder: Builder, registry: Registry, store: Store) -> None:
        self._builder, self._registry, self._store = builder, registry, store
        self._artifacts = StoredArtifacts(store)

    def tokenizer(self, resolved: ResolvedComponent, info: DatasetInfo | MapsInfo) -> ImportedTokenizer:
        """The stage of an imported tokenizer, which is to see such images.

        Raises:
            RefusedError: It cannot be used.
        """
        if resolved.artifact_absence:
            return ImportedTokenizer(self._builder, resolved, 0, info.image_size, info.channels, self._unknown(resolved))
        artifact, record = self._find(resolved)
        assert isinstance(record, TokenizerRecord)
        if record.channels != info.channels:
            raise RefusedError(
                f"the artifact {resolved.artifact} takes images of {record.channels} channels, and these have {info.channels}"
            )
        digest = str(artifact.details["weights"])
        stage = ImportedTokenizer(self._builder, resolved, 0, record.image_size, record.channels, digest)
        self._check_key(resolved, stage, artifact)
        return stage

    def prior(
        self,
        cell: Cell,
        codes: EncodeDataset,
        conditions: EncodeConditions | None,
        space: CodeSpace,
        layout: ConditionLayout,
        windows: Windows | None = None,
    ) -> ImportedPrior:
        """The stage of an imported prior, which is to be used with these codes and conditions.

        Space and layout are those of one of the ``windows``, where there are any.

        Raises:
            RefusedError: It cannot be used with them; every reason.
        """
        resolved = cell.prior
        if resolved.artifact_absence:
            origin = PriorOrigin(
                resolved, cell.ordering, space, layout, cell.conditioner.component.name, None, None, self._unknown(resolved)
            )
        else:
            artifact, record = self._find(resolved)
            assert isinstance(record, PriorRecord)
            if reasons := list(self._reasons(cell, record, codes, conditions, space, layout)):
                raise RefusedError(f"the artifact {resolved.artifact} {'; and it '.join(reasons)}")
            origin = PriorOrigin(
                prior=resolved,
                ordering=resolve_component(self._registry, "ordering", record.ordering, {}, where=resolved.where),
                space=record.space,
                layout=record.layout,
                conditioner=record.conditioner,
                tokenizer=record.tokenizer,
                condition_tokenizer=record.condition_tokenizer,
                digest=str(artifact.details["weights"]),
            )
        stage = ImportedPrior(
            builder=self._builder,
            codes=codes,
            conditions=conditions,
            prior=resolved,
            ordering=cell.ordering,
            conditioner=cell.conditioner,
            seed=cell.seed,
            space=origin.space,
            layout=origin.layout,
            windows=windows,
            origin=origin,
        )
        if not resolved.artifact_absence:
            self._check_key(resolved, stage, artifact)
        return stage

    def _find(self, resolved: ResolvedComponent) -> tuple[Artifact, TokenizerRecord | PriorRecord]:
        assert resolved.artifact is not None, resolved.label
        try:
            artifact = self._artifacts.find(resolved.kind, resolved.artifact)
            return artifact, read_model_record(artifact)
        except TamingplatError as error:
            raise RefusedError(str(error)) from error

    @staticmethod
    def _unknown(resolved: ResolvedComponent) -> str:
        """In place of the hash of tensors that are not here."""
        return unknown_content(Path(resolved.artifact or ""))

    @staticmethod
    def _check_key(resolved: ResolvedComponent, stage: Stage, artifact: Artifact) -> None:
        if stage.key != artifact.key:
            raise RefusedError(f"the artifact {resolved.artifact} {_AGAIN.format(resolved.component.reference)}")

    def _reasons(
        self,
        cell: Cell,
        record: PriorRecord,
        codes: EncodeDataset,
        conditions: EncodeConditions | None,
        space: CodeSpace,
        layout: ConditionLayout,
    ) -> Iterator[str]:
        """Why a prior cannot be used, each as what is said of it."""
        if record.space != space:
            yield f"models {_codes(record.space)}, and {codes.tokenizer.name} gives {_codes(space)}"
        elif record.tokenizer is not None and record.tokenizer.key != codes.tokenizer.key:
            yield f"was imported with its own tokenizer, {self._called(record.tokenizer)}, and has learned that one's codes"
        if record.ordering != cell.ordering.component.name:
            yield f"was trained under ordering:{record.ordering}, not {cell.ordering.component.reference}"
        conditioner = cell.conditioner.component
        if record.conditioner and record.conditioner != conditioner.name:
            yield f"was trained under conditioner:{record.conditioner}, not {conditioner.reference}"
        elif not _same_condition(record.layout, layout, self._dropout(cell, codes, conditions)):
            yield f"was trained with {_condition(record.layout)}, and {conditioner.reference} gives {_condition(layout)}"
        elif record.condition_tokenizer is not None:
            own = {stage.key for stage in (conditions.inputs if conditions else ())}
            if record.condition_tokenizer.key not in own:
                yield f"was imported with a tokenizer of its condition, {self._called(record.condition_tokenizer)}"

    def _dropout(self, cell: Cell, codes: EncodeDataset, conditions: EncodeConditions | None) -> float:
        info = self._builder.dataset(codes.dataset).info
        own = conditions.tokenizers if conditions else ()
        return conditioner_without_weights(self._builder, cell.conditioner, info, own).dropout

    def _called(self, address: ArtifactAddress) -> str:
        """An artifact's name, or its key."""
        names = []
        for name in self._store.names():
            try:
                artifact = self._store.named(name)
            except TamingplatError:
                continue  # a name without its artifact is what `store verify` tells of
            if (artifact.stage, artifact.key) == (address.stage, address.key):
                names.append(name)
        return " or ".join(names) or f"{address.stage} {address.key[:12]}"


def _same_condition(record: ConditionLayout, layout: ConditionLayout, dropout: float) -> bool:
    """Whether conditions are of one shape. A prior that never saw a null index has no row for it, and is given none."""
    if [part.grid for part in record] != [part.grid for part in layout]:
        return False
    for had, has in zip(record, layout, strict=True):
        if has.vocab_size != had.vocab_size and not (has.vocab_size == had.vocab_size + 1 and dropout == 0):
            return False
    return True


def _codes(space: CodeSpace) -> str:
    grids = " and ".join("×".join(map(str, grid)) for grid in space.grids)
    return f"{grids} codes of {space.vocab_size}"


def _condition(layout: ConditionLayout) -> str:
    if not layout:
        return "no condition"
    parts = (f"{'×'.join(map(str, part.grid)) if part.grid else '1'} of {part.vocab_size} tokens" for part in layout)
    return f"a condition of {' and '.join(parts)}"
