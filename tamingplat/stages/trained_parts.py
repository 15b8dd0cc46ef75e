"""The trained parts of samplers, metrics and feature extractors: classifiers that a stage trains before they are used."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from tamingplat.interfaces import DatasetInfo, TamingplatError
from tamingplat.interfaces.models import Sampler, TrainedClassifier
from tamingplat.manifest import ResolvedComponent
from tamingplat.stages.build import Builder, Trained
from tamingplat.stages.skeletons import without_memory
from tamingplat.stages.stage import StageContext
from tamingplat.stages.train_classifier import TrainClassifier, load_classifier

TrainedParts = tuple[tuple[str, TrainClassifier], ...]
"""The stages of the classifiers among a component's parts, each with its place in the component's settings."""


def trained_in(builder: Builder, resolved: ResolvedComponent, path: str = "") -> Iterator[tuple[str, ResolvedComponent]]:
    """The classifiers that a stage trains among a component's parts and theirs, each with its place in the settings."""
    for setting, part in resolved.parts.items():
        place = f"{path}{setting}"
        if part.kind == "classifier" and issubclass(builder.load_class(part), TrainedClassifier):
            yield place, part
        else:
            yield from trained_in(builder, part, f"{place}.")


def parts_without_weights(builder: Builder, resolved: ResolvedComponent, info: DatasetInfo) -> Trained:
    """The trained parts of a component for a dataset, without memory for their weights.

    Raises:
        TamingplatError: One of them cannot be trained on such a dataset.
    """
    made = {}
    for place, part in trained_in(builder, resolved):
        reason = builder.load_class(part).refusal(part.config, info)
        if not reason and part.train is None:
            reason = "its plugin gives no training settings, so that it cannot be trained"
        if reason:
            raise TamingplatError(f"{part.component.reference}: {reason}")
        with without_memory():
            made[place] = builder.classifier(part, info).eval()
    return made


def sampler_without_weights(builder: Builder, resolved: ResolvedComponent, info: DatasetInfo) -> Sampler:
    """A sampler to ask what it refuses and what it takes as given; errors as in ``parts_without_weights``."""
    return builder.sampler(resolved, parts_without_weights(builder, resolved, info))


def load_parts(parts: TrainedParts, context: StageContext) -> Trained:
    """The finished classifiers of a component, in eval mode on the context's device."""
    return {place: load_classifier(stage, context) for place, stage in parts}


@dataclass
class PartPlanner:
    """Makes the stages of the classifiers that samplers, metrics and feature extractors refer to.

    Attributes:
        builder: Makes components.
        validation_split: What their validation terms are measured on.
        parameters: Number of parameters by the key of the stage that makes the model.
    """

    builder: Builder
    validation_split: str
    parameters: dict[str, int] = field(default_factory=dict)

    def of(self, resolved: ResolvedComponent, dataset: ResolvedComponent) -> TrainedParts:
        """The stages of a component's trained parts, for a dataset that none of them refuses."""
        return tuple((place, self._stage(part, dataset)) for place, part in trained_in(self.builder, resolved))

    def _stage(self, classifier: ResolvedComponent, dataset: ResolvedComponent) -> TrainClassifier:
        assert classifier.train is not None, f"{classifier.label} is refused"
        stage = TrainClassifier(self.builder, classifier, dataset, self.validation_split, classifier.train)
        if stage.key not in self.parameters:
            with without_memory():
                skeleton = stage.build(self.builder)
            self.parameters[stage.key] = sum(parameter.numel() for parameter in skeleton.parameters())
        return stage
