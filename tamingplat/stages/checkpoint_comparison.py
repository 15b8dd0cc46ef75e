"""The models of a checkpoint beside the components that are to hold them: what is missing, left over, or misshapen.

Shape letters: N code positions.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from tamingplat.interfaces import DataError, DatasetInfo, Kind, TamingplatError
from tamingplat.interfaces.models import CheckpointModel, CheckpointModels, CheckpointPrior, CheckpointTokenizer
from tamingplat.manifest import ResolvedComponent, resolve_component
from tamingplat.registry import Registry
from tamingplat.stages.build import Builder
from tamingplat.stages.imported import ImportedTokenizer, ImportPrior, PriorOrigin
from tamingplat.stages.model_record import ArtifactAddress, PriorRecord, TokenizerRecord, portable_config
from tamingplat.stages.skeletons import without_memory
from tamingplat.stages.stage import Stage

_NAMED = 10


@dataclass
class PreparedModel:
    """A model that fits its component, and the artifact that it becomes.

    Attributes:
        name: What it is to be called.
        stage: Its stage, with its key.
        model: Its tensors.
        record: What the artifact's record says of it.
        parameters: How many numbers it learned.
        digest: SHA-256 of its tensors.
    """

    name: str
    stage: Stage
    model: CheckpointModel
    record: dict[str, Any]
    parameters: int
    digest: str


class CheckpointComparison:
    """Compares the models of one checkpoint with components.

    Args:
        checkpoint: The file, for messages.
        configuration: Its configuration, for messages.
        names: All names in the file.
        registry: The components that there are.
        builder: Makes them.
    """

    def __init__(
        self, checkpoint: Path, configuration: Path, names: Sequence[str], registry: Registry, builder: Builder
    ) -> None:
        self._checkpoint, self._configuration, self._names = checkpoint, configuration, names
        self._registry, self._builder = registry, builder
        self._misfits: dict[str, list[str]] = {"missing": [], "unexpected": [], "misshapen": []}
        self._prepared: list[PreparedModel] = []

    def prepare(self, models: CheckpointModels, name: str) -> list[PreparedModel]:
        """Compare everything with the components, and hash it; what others need comes first.

        Args:
            models: The models.
            name: What the tokenizer or the prior is to be called.

        Raises:
            TamingplatError: Something does not fit.
        """
        alone = models.prior is None
        tokenizer = condition = None
        if models.tokenizer is not None:
            tokenizer = self._tokenizer(models.tokenizer, name if alone else f"{name}-tokenizer")
        if models.condition_tokenizer is not None and models.condition_tokenizer is not models.tokenizer:
            condition = self._tokenizer(models.condition_tokenizer, f"{name}-condition")
        elif models.condition_tokenizer is not None:
            condition = tokenizer
        if models.prior is not None:
            self._prior(models.prior, name, tokenizer, condition)
        self._account(models)
        if any(self._misfits.values()):
            complaints = [f"{what}: {_listed(entries)}" for what, entries in self._misfits.items() if entries]
            where = f"{self._checkpoint}: the tensors do not fit the configuration {self._configuration}"
            raise DataError(f"{where}: {'; '.join(complaints)}")
        return self._prepared

    def _resolve(self, model: CheckpointModel, kind: Kind) -> ResolvedComponent:
        return resolve_component(self._registry, kind, model.component, model.config, where=str(self._configuration))

    def _tokenizer(self, model: CheckpointTokenizer, name: str) -> PreparedModel:
        resolved = self._resolve(model, "tokenizer")
        info = DatasetInfo(model.image_size, model.channels, {})
        try:
            with without_memory():
                skeleton = self._builder.tokenizer(resolved, info)
        except TamingplatError as error:
            raise TamingplatError(f"{self._configuration}: {resolved.component.reference}: {error}") from error
        parameters, digest = self._compare(model, skeleton), _digest(model.tensors)
        stage = ImportedTokenizer(self._builder, resolved, 0, model.image_size, model.channels, digest)
        record = TokenizerRecord(resolved.component.name, portable_config(resolved), model.image_size, model.channels)
        return self._add(PreparedModel(name, stage, model, record.to_json(), parameters, digest))

    def _prior(
        self, model: CheckpointPrior, name: str, tokenizer: PreparedModel | None, condition: PreparedModel | None
    ) -> None:
        resolved = self._resolve(model, "prior")
        where = f"{self._configuration}: {resolved.component.reference}"
        reason = self._builder.load_class(resolved).refusal(model.space, model.layout, resolved.config)
        if reason:
            raise TamingplatError(f"{where}: {reason}")
        ordering = self._ordering(model)
        try:
            with without_memory():
                skeleton = self._builder.prior(resolved, model.space, model.layout)
        except TamingplatError as error:
            raise TamingplatError(f"{where}: {error}") from error
        parameters, digest = self._compare(model, skeleton), _digest(model.tensors)
        origin = PriorOrigin(
            prior=resolved,
            ordering=ordering,
            space=model.space,
            layout=model.layout,
            conditioner=model.conditioner,
            tokenizer=_address(tokenizer),
            condition_tokenizer=_address(condition),
            digest=digest,
        )
        record = PriorRecord(
            component=resolved.component.name,
            config=portable_config(resolved),
            space=model.space,
            layout=model.layout,
            ordering=ordering.component.name,
            conditioner=model.conditioner,
            tokenizer=origin.tokenizer,
            condition_tokenizer=origin.condition_tokenizer,
        )
        stage = ImportPrior(self._builder, origin)
        self._add(PreparedModel(name, stage, model, record.to_json(), parameters, digest))

    def _add(self, prepared: PreparedModel) -> PreparedModel:
        self._prepared.append(prepared)
        return prepared

    def _ordering(self, model: CheckpointPrior) -> ResolvedComponent:
        """The ordering that gives the checkpoint's order of codes."""
        orderings = [model.ordering] if model.ordering else list(self._orderings())
        for name in orderings:
            resolved = resolve_component(self._registry, "ordering", name, {}, where=str(self._configuration))
            ordering = self._builder.ordering(resolved)
            if ordering.refusal(model.space):
                continue
            if model.order is None and model.ordering:
                return resolved
            if ordering.random or ordering.grouped:
                continue
            if model.order is None or torch.equal(ordering.plan(model.space, 1).order[0], model.order):
                return resolved
        grid = " and ".join("×".join(map(str, grid)) for grid in model.space.grids)
        which = f"ordering:{model.ordering}" if model.ordering else f"the orderings that are installed ({', '.join(orderings)})"
        raise TamingplatError(f"{self._checkpoint}: its order of codes on a grid of {grid} is not that of {which}")

    def _orderings(self) -> Iterator[str]:
        """The orderings that a checkpoint could mean: what has settings without defaults is no fixed order."""
        for (kind, name), entry in self._registry.components.items():
            fields = entry.component.config.model_fields.values()
            if kind == "ordering" and entry.enabled and not any(setting.is_required() for setting in fields):
                yield name

    def _compare(self, model: CheckpointModel, skeleton: nn.Module) -> int:
        """Note every tensor that the component lacks or has otherwise; how many parameters it has."""
        own, shared = skeleton.state_dict(), _shared_names(skeleton)
        given = {other for name in model.tensors for other in shared.get(name, (name,))}
        self._misfits["missing"] += [model.file_name(name) for name in own if name not in given]
        self._misfits["unexpected"] += [model.file_name(name) for name in model.tensors if name not in own]
        self._misfits["misshapen"] += [
            f"{model.file_name(name)} is {_describe(tensor)} and not {_describe(own[name])}"
            for name, tensor in model.tensors.items()
            if name in own and not _fits(tensor, own[name])
        ]
        return sum(parameter.numel() for parameter in skeleton.parameters())

    def _account(self, models: CheckpointModels) -> None:
        """Every name of the file is used, dropped with a reason, or unexpected."""
        every = (models.tokenizer, models.condition_tokenizer, models.prior)
        used = {model.file_name(name) for model in every if model is not None for name in model.tensors}
        known = {*used, *models.dropped}
        self._misfits["unexpected"] += [name for name in self._names if name not in known]


def _address(prepared: PreparedModel | None) -> ArtifactAddress | None:
    return None if prepared is None else ArtifactAddress(prepared.stage.kind, prepared.stage.key)


def _shared_names(skeleton: nn.Module) -> dict[str, list[str]]:
    """All names of each tensor that a module holds under several, by each of them: a file needs one."""
    names: dict[int, list[str]] = {}
    every = (*skeleton.named_parameters(remove_duplicate=False), *skeleton.named_buffers(remove_duplicate=False))
    for name, tensor in every:
        names.setdefault(id(tensor), []).append(name)
    return {name: group for group in names.values() if len(group) > 1 for name in group}


def _digest(tensors: Mapping[str, Tensor]) -> str:
    """SHA-256 of tensors with their names, types and shapes, whatever file they are in."""
    total = hashlib.sha256()
    for name in sorted(tensors):
        tensor = tensors[name].detach().contiguous()
        total.update(f"{name}\0{tensor.dtype}\0{tuple(tensor.shape)}\0".encode())
        if tensor.numel():
            total.update(tensor.reshape(-1).view(torch.uint8).numpy().data)
    return total.hexdigest()


def _fits(tensor: Tensor, own: Tensor) -> bool:
    return tensor.shape == own.shape and tensor.is_floating_point() == own.is_floating_point()


def _describe(tensor: Tensor) -> str:
    return f"{str(tensor.dtype).removeprefix('torch.')} {tuple(tensor.shape)}"


def _listed(entries: Sequence[str]) -> str:
    every = list(dict.fromkeys(entries))
    return ", ".join(every[:_NAMED]) + (f" and {len(every) - _NAMED} more" if len(every) > _NAMED else "")
