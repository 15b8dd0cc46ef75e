"""What draws samples from a finished cell: its own sampler, another one, with some settings changed, for another size."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

from pydantic import ValidationError

from tamingplat.interfaces import CodeSpace, ConditionLayout, Problem, Region, TamingplatError
from tamingplat.interfaces.models import PlannedClasses, PriorScope, Sampler
from tamingplat.manifest import Manifest, ResolvedComponent, resolve_component
from tamingplat.registry import Registry
from tamingplat.stages.build import Builder
from tamingplat.stages.prior_stage import PriorStage
from tamingplat.stages.refusals import given_refusal
from tamingplat.stages.trained_parts import sampler_without_weights

_OTHER_SIZES = "wavefront"
"""What draws images of other sizes than the prior's where nobody says what does: the samples of sliding-window, sooner."""


def named_sampler(manifest: Manifest, registry: Registry, name: str) -> ResolvedComponent:
    """A manifest's block of a sampler, or a component, by its name.

    Raises:
        ProblemsError: There is none, or it needs settings.
    """
    known = manifest.samplers.get(name)
    return known if known is not None else resolve_component(registry, "sampler", name, {}, where=f"--sampler {name}")


def with_settings(sampler: ResolvedComponent, settings: Mapping[str, Any]) -> ResolvedComponent:
    """A sampler with some settings changed, each in the sampler itself or else in the one that it wraps.

    Raises:
        TamingplatError: It has no such setting, or not with such a value.
    """
    own = {name: value for name, value in settings.items() if name in type(sampler.config).model_fields}
    rest = {name: value for name, value in settings.items() if name not in own}
    if own:
        try:
            config = type(sampler.config).model_validate({**sampler.config.model_dump(), **own})
        except ValidationError as error:
            told = "; ".join(
                f"{'.'.join(map(str, fault['loc'])) or 'settings'}: {fault['msg'].removeprefix('Value error, ')}"
                for fault in error.errors()
            )
            raise TamingplatError(f"{sampler.component.reference}: {told}") from error
        sampler = dataclasses.replace(sampler, config=config)
    if rest:
        place = _place_of_wrapped(sampler)
        if place is None:
            missing = ", ".join("--" + name.replace("_", "-") for name in rest)
            raise TamingplatError(
                f"{sampler.component.reference} has no setting for {missing}; choose another one with --sampler"
            )
        sampler = _with_wrapped(sampler, place, with_settings(sampler.parts[place], rest))
    return sampler


def completes_images(sampler: ResolvedComponent) -> bool:
    """Whether a sampler, or one that it wraps, is ``completion``."""
    place = _place_of_wrapped(sampler)
    return sampler.component.name == "completion" or (place is not None and completes_images(sampler.parts[place]))


def completing(registry: Registry, sampler: ResolvedComponent, region: Region) -> ResolvedComponent:
    """A sampler that completes images of which a region is given; one that completes images already is given this region."""
    if completes_images(sampler):
        return with_settings(sampler, {"region": region})
    wrapper = resolve_component(registry, "sampler", "completion", {"region": list(region)}, where="--complete")

    def completed(drawing: ResolvedComponent) -> ResolvedComponent:
        label = f"completion of {drawing.label}"
        return dataclasses.replace(wrapper, parts=MappingProxyType({"sampler": drawing}), label=label)

    # Inside what chooses among images: it then knows that each is a completion of its own.
    return _innermost(sampler, completed)


def for_other_sizes(registry: Registry, sampler: ResolvedComponent) -> ResolvedComponent:
    """A sampler whose innermost one is of windows, with those settings of the former that both have."""
    plain = resolve_component(registry, "sampler", _OTHER_SIZES, {}, where=f"sampler:{_OTHER_SIZES}")
    settings = type(plain.config).model_fields

    def of_windows(drawing: ResolvedComponent) -> ResolvedComponent:
        return with_settings(plain, {name: value for name, value in drawing.config.model_dump().items() if name in settings})

    return _innermost(sampler, of_windows)


def _place_of_wrapped(sampler: ResolvedComponent) -> str | None:
    """The setting that names the sampler that a sampler wraps; ``None`` where it wraps none."""
    return next((place for place, part in sampler.parts.items() if part.kind == "sampler"), None)


def _with_wrapped(sampler: ResolvedComponent, place: str, wrapped: ResolvedComponent) -> ResolvedComponent:
    return dataclasses.replace(sampler, parts=MappingProxyType({**sampler.parts, place: wrapped}))


def _innermost(sampler: ResolvedComponent, change: Callable[[ResolvedComponent], ResolvedComponent]) -> ResolvedComponent:
    """A sampler with the one that draws, which every other one wraps, changed."""
    place = _place_of_wrapped(sampler)
    if place is None:
        return change(sampler)
    return _with_wrapped(sampler, place, _innermost(sampler.parts[place], change))


def _told(sampler: ResolvedComponent) -> str:
    """The component's name before a reason, where the place does not say it."""
    reference = sampler.component.reference
    return "" if sampler.where in ("", reference) else f"{reference}: "


@dataclasses.dataclass(frozen=True)
class Canvas:
    """What is to be drawn, and from what.

    Attributes:
        space: The codes.
        layout: The condition's parts.
        guidable: Whether the prior also learned the absent condition.
    """

    space: CodeSpace
    layout: ConditionLayout
    guidable: bool

    def refusals(self, builder: Builder, prior: PriorStage, sampler: ResolvedComponent) -> list[Problem]:
        """Why a sampler cannot draw this from a prior: every reason."""
        ordering = builder.ordering(prior.ordering)
        visits = builder.load_class(prior.prior).visits
        where = sampler.where or sampler.component.reference
        try:
            built = sampler_without_weights(builder, sampler, builder.dataset(prior.codes.dataset).info)
        except TamingplatError as error:
            return [Problem(where, str(error))]
        if built.needs == "any_subset" and visits == "in_order":
            return [
                Problem(where, f"needs predictions of any position given any others, and {prior.prior.label} predicts the next")
            ]
        reason = (
            ordering.refusal(self.space)
            or built.refusal(self.space, self.layout, ordering=prior.ordering.component.name)
            or self._scope_refusal(built, prior)
            or given_refusal(built, ordering, self.space, visits)
        )
        return [Problem(where, f"{_told(sampler)}{reason}")] if reason else []

    def class_refusals(
        self, builder: Builder, prior: PriorStage, sampler: ResolvedComponent, classes: PlannedClasses | None
    ) -> list[Problem]:
        """Why a sampler that draws this cannot draw it of such classes; ``None`` where the condition names none."""
        built = sampler_without_weights(builder, sampler, builder.dataset(prior.codes.dataset).info)
        reason = built.class_refusal(classes)
        where, remedy = sampler.where or sampler.component.reference, "--sampler takes another sampler"
        return [Problem(where, f"{_told(sampler)}{reason}", remedy)] if reason else []

    def fits_whole(self, builder: Builder, prior: PriorStage, sampler: ResolvedComponent) -> bool:
        """Whether a sampler draws images of this size from a prior of its size."""
        built = sampler_without_weights(builder, sampler, builder.dataset(prior.codes.dataset).info)
        return not self._scope_refusal(built, prior)

    def _scope_refusal(self, sampler: Sampler, prior: PriorStage) -> str | None:
        return sampler.prior_refusal(self.space, self.layout, PriorScope(prior.space, prior.layout, self.guidable))
