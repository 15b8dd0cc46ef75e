"""Building components from their resolved settings, each at most once per process where that is safe."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, TypeVar, cast

import torch

from tamingplat.interfaces import ConditionLayout, DatasetInfo, Executor, MapsInfo, UnavailableError, derive_seed
from tamingplat.interfaces.models import (
    Conditioner,
    Dataset,
    FeatureExtractor,
    Metric,
    Ordering,
    Prior,
    Sampler,
    Tokenizer,
    TrainedClassifier,
)
from tamingplat.interfaces.spaces import CodeSpace
from tamingplat.manifest import ResolvedComponent, component_identity
from tamingplat.registry import Registry
from tamingplat.stages.absent import ExpectedDataset, unknown_content
from tamingplat.stages.shuffled import ShuffledDataset
from tamingplat.store import canonical_json

Built = TypeVar("Built")
Trained = Mapping[str, Any]
NOTHING_TRAINED: Trained = MappingProxyType({})


class Builder:
    """Makes the objects that a manifest names.

    Objects without trained weights (datasets, orderings, frozen networks, …) are kept, so that a dataset is opened and a
    network's weights are read once per process.
    """

    def __init__(self, registry: Registry, hash_path: Callable[[Path], str]) -> None:
        self._registry = registry
        # Remembered by path: one run sees one content, and a large folder is gone through once.
        self._hash_path = functools.cache(hash_path)
        self._kept: dict[str, Any] = {}

    def identity(self, resolved: ResolvedComponent) -> dict[str, Any]:
        """What of a component enters content keys; provisional where the manifest names files that are not here."""
        absent = set(resolved.absent)
        return component_identity(resolved, lambda path: unknown_content(path) if path in absent else self._hash_path(path))

    def load_class(self, resolved: ResolvedComponent) -> type[Any]:
        """The component's class, imported now."""
        return self._registry.load_class(resolved.component)

    def _keep(self, resolved: ResolvedComponent, extra: str, make: Callable[[], Built]) -> Built:
        # Runtime settings are in here too, unlike in an identity: they change how an object works.
        settings = resolved.config.model_dump(mode="json")
        name = canonical_json([resolved.component.reference, settings, self.identity(resolved), extra])
        if name not in self._kept:
            self._kept[name] = make()
        return cast(Built, self._kept[name])

    def parts(self, resolved: ResolvedComponent, trained: Trained = NOTHING_TRAINED, path: str = "") -> Mapping[str, Any]:
        """What the component's settings refer to, built; ``trained`` and ``path`` as in ``plain``."""
        return {field: self.plain(part, trained, f"{path}{field}") for field, part in resolved.parts.items()}

    def plain(self, resolved: ResolvedComponent, trained: Trained = NOTHING_TRAINED, path: str = "") -> Any:
        """A component that is made of its settings and parts alone; kept, where nothing that is trained is in it.

        Args:
            resolved: The component.
            trained: The models that a stage trained, by their place in the settings of the whole that they are parts of.
            path: The component's own place in these settings; empty for the whole itself.
        """
        if path in trained:
            return trained[path]
        inside = f"{path}." if path else ""
        make = self.load_class(resolved)
        if any(place.startswith(inside) for place in trained):
            return make(resolved.config, self.parts(resolved, trained, inside))
        return self._keep(resolved, "", lambda: make(resolved.config, self.parts(resolved)))

    def dataset(self, resolved: ResolvedComponent) -> Dataset:
        """The dataset, its splits in a fixed random order; an ``ExpectedDataset`` where its images are not here."""
        return self._keep(resolved, f"shuffled, expected {resolved.expected!r}", lambda: self._open(resolved))

    def _open(self, resolved: ResolvedComponent) -> Dataset:
        if resolved.absence:
            return ExpectedDataset(resolved, resolved.absence)
        dataset = cast(Dataset, self.plain(resolved))
        if resolved.expected is not None:
            try:
                _ = dataset.info
            except UnavailableError as error:
                return ExpectedDataset(resolved, str(error))
        return ShuffledDataset(dataset)

    def ordering(self, resolved: ResolvedComponent) -> Ordering:
        return cast(Ordering, self.plain(resolved))

    def sampler(self, resolved: ResolvedComponent, trained: Trained = NOTHING_TRAINED) -> Sampler:
        return cast(Sampler, self.plain(resolved, trained))

    def executor(self, resolved: ResolvedComponent) -> Executor:
        return cast(Executor, self.plain(resolved))

    def metric(self, resolved: ResolvedComponent, trained: Trained = NOTHING_TRAINED) -> Metric:
        return cast(Metric, self.plain(resolved, trained))

    def extractor(self, resolved: ResolvedComponent, trained: Trained = NOTHING_TRAINED) -> FeatureExtractor:
        return cast(FeatureExtractor, self.plain(resolved, trained))

    def classifier(self, resolved: ResolvedComponent, info: DatasetInfo) -> TrainedClassifier:
        """A new classifier for a dataset, with random weights from torch's default generator."""
        return cast(TrainedClassifier, self.load_class(resolved)(resolved.config, self.parts(resolved), info))

    def conditioner(
        self, resolved: ResolvedComponent, info: DatasetInfo, tokenizers: Mapping[str, Tokenizer], path: str = ""
    ) -> Conditioner:
        """A new conditioner for a dataset.

        Args:
            resolved: The conditioner.
            info: Of the dataset.
            tokenizers: Its own tokenizers and those of its parts, by their place in its settings.
            path: The conditioner's own place in the settings of a whole that it is a part of, with a full stop.
        """
        parts: dict[str, Any] = {}
        for field, part in resolved.parts.items():
            if part.kind == "conditioner":
                parts[field] = self.conditioner(part, info, tokenizers, f"{path}{field}.")
            else:
                parts[field] = tokenizers[path + field] if part.kind == "tokenizer" else self.plain(part)
        return cast(Conditioner, self.load_class(resolved)(resolved.config, parts, info))

    def maps_info(self, conditioner: ResolvedComponent, info: DatasetInfo) -> MapsInfo:
        """What images the own tokenizer of a conditioner sees."""
        maps: MapsInfo | None = self.load_class(conditioner).maps_info(conditioner.config, info)
        assert maps is not None, f"{conditioner.component.reference} refers to a tokenizer, but does not say what it sees"
        return maps

    def tokenizer(self, resolved: ResolvedComponent, info: DatasetInfo | MapsInfo) -> Tokenizer:
        """A new tokenizer with random weights from torch's default generator."""
        make = self.load_class(resolved)
        return cast(Tokenizer, make(resolved.config, self.parts(resolved), image_size=info.image_size, channels=info.channels))

    def prior(self, resolved: ResolvedComponent, space: CodeSpace, layout: ConditionLayout) -> Prior:
        """A new prior with random weights from torch's default generator."""
        return cast(Prior, self.load_class(resolved)(space, layout, resolved.config, self.parts(resolved)))


def initialise(make: Callable[[], Built], *, seed: int, kind: str) -> Built:
    """Build a model whose initial weights depend on (seed, stage kind) alone, so that cells of one seed start alike."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(derive_seed(seed, "initialise", kind))
        return make()
