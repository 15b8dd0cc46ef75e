"""Why a sampler that chooses among images cannot be used: by whom its samples are measured, and of which classes they are."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from tamingplat.interfaces import Problem
from tamingplat.interfaces.models import Classifier, PlannedClasses, Sampler, TrainedClassifier
from tamingplat.manifest import Cell, ResolvedComponent, training_identity
from tamingplat.stages.build import Builder
from tamingplat.stages.families import NETWORKS, families_of, parts_of
from tamingplat.stages.refusals import refuse
from tamingplat.stages.train_classifier import TRAINING_SPLIT


def class_refusals(
    builder: Builder,
    cell: Cell,
    sampler: Sampler,
    classes: PlannedClasses | None,
    metrics: Sequence[ResolvedComponent],
    split: str,
) -> Iterator[Problem]:
    """Why samples of these classes cannot be drawn, or could not be measured fairly.

    Args:
        builder: Makes components.
        cell: The cell.
        sampler: Its sampler.
        classes: Those of the samples; ``None`` where the condition names none.
        metrics: What the samples are measured by.
        split: The evaluated split.
    """
    if reason := sampler.class_refusal(classes):
        yield refuse(cell.sampler, reason)
    for classifier in parts_of(cell.sampler, ("classifier",)):
        if split in _seen_splits(builder, classifier):
            yield refuse(
                cell.sampler,
                f"chooses samples by {classifier.label}, which is trained on the split {split}, and that is the one that is "
                "measured; set split of [evaluate] to another one, or take another classifier",
            )
        for metric in metrics:
            if builder.load_class(metric).measures == "images" and (what := _shared(builder, classifier, metric)):
                yield refuse(
                    cell.sampler,
                    f"chooses samples by {classifier.label}, and {metric.component.reference} measures them with {what}: "
                    "what a network chose looks better to it than it is; take another classifier, or leave the metric out",
                )


def _shared(builder: Builder, classifier: ResolvedComponent, metric: ResolvedComponent) -> str:
    """The network of a metric whose weights, or whose relatives, a classifier has, in words; empty where there is none."""
    own, families = _weights(builder, classifier), families_of(builder, classifier)
    for network in parts_of(metric, NETWORKS):
        if network.kind == "classifier" and _weights(builder, network) == own:
            return f"the same weights, {network.label}"
        if common := families & families_of(builder, network):
            return f"{network.label}, a relative of it ({', '.join(sorted(common))})"
    return ""


def _seen_splits(builder: Builder, classifier: ResolvedComponent) -> tuple[str, ...]:
    """The splits of the dataset that a classifier was trained on."""
    if issubclass(builder.load_class(classifier), TrainedClassifier):
        return (TRAINING_SPLIT,)
    built: Classifier = builder.plain(classifier)
    return built.seen_splits


_ONLY_WATCHING = ("validate_every", "validation_images")
"""Training settings that say how a training is followed: the weights are the same whatever they are."""


def _weights(builder: Builder, network: ResolvedComponent) -> Any:
    """What decides a classifier's weights, on one dataset."""
    settings = training_identity(network.train) if network.train else {}
    return builder.identity(network), {name: value for name, value in settings.items() if name not in _ONLY_WATCHING}
