"""Families of networks: whose weights the networks behind a component have, however deep in its settings they are."""

from __future__ import annotations

from collections.abc import Iterator

from tamingplat.interfaces.models import Classifier, TrainedClassifier
from tamingplat.manifest import ResolvedComponent
from tamingplat.stages.build import Builder

NETWORKS = ("perceptual", "feature_extractor", "classifier")
"""Kinds of components that are networks with weights of their own."""


def parts_of(resolved: ResolvedComponent, kinds: tuple[str, ...]) -> Iterator[ResolvedComponent]:
    """The parts of some kinds that a component has, and those that these have."""
    for part in resolved.parts.values():
        if part.kind in kinds:
            yield part
        yield from parts_of(part, kinds)


def families_of(builder: Builder, network: ResolvedComponent) -> frozenset[str]:
    """The families whose weights one network has: its component's and, of a classifier, those that its settings choose."""
    families = frozenset(name for name in (network.component.family,) if name)
    if network.kind != "classifier" or issubclass(builder.load_class(network), TrainedClassifier):
        return families
    built: Classifier = builder.plain(network)
    return families | built.families


def families_behind(builder: Builder, resolved: ResolvedComponent) -> frozenset[str]:
    """The families of all networks that a component refers to, and that these refer to."""
    return frozenset(name for network in parts_of(resolved, NETWORKS) for name in families_of(builder, network))
