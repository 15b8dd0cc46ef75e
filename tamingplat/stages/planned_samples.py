"""What the samples of a cell are made for, and which metrics can hold them to it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from tamingplat.interfaces import CodeSpace, Problem
from tamingplat.interfaces.models import Metric, PlannedSamples
from tamingplat.manifest import Cell, ResolvedComponent
from tamingplat.stages.build import Builder
from tamingplat.stages.condition_parts import conditioners_in
from tamingplat.stages.planned_conditions import PlannedCondition
from tamingplat.stages.refusals import refuse
from tamingplat.stages.trained_parts import parts_without_weights, sampler_without_weights


@dataclass(frozen=True)
class SampleMetrics:
    """The metrics of images of a cell, of which nothing else is refused.

    Attributes:
        builder: Makes components.
        cell: The cell.
        samples: What its samples are made for.
        metrics: All metrics of the manifest.
    """

    builder: Builder
    cell: Cell
    samples: PlannedSamples
    metrics: Sequence[ResolvedComponent]

    def refusals(self) -> Iterator[Problem]:
        """Why metrics would measure something else than what samples are made for."""
        for resolved, metric in self._of_images():
            if not metric.nothing_asked(self.samples) and (reason := metric.samples_refusal(self.samples)):
                yield refuse(resolved, reason)

    def left_out(self) -> dict[ResolvedComponent, str]:
        """The metrics that nothing is asked for, each with a note."""
        cell, found = self.cell, {}
        for resolved, metric in self._of_images():
            if reason := metric.nothing_asked(self.samples):
                found[resolved] = (
                    f"no {resolved.label} of cells with {cell.conditioner.label} and {cell.sampler.label}: {reason}"
                )
        return found

    def _of_images(self) -> Iterator[tuple[ResolvedComponent, Metric]]:
        info = self.builder.dataset(self.cell.dataset).info
        for resolved in self.metrics:
            if self.builder.load_class(resolved).measures == "images":
                yield resolved, self.builder.metric(resolved, parts_without_weights(self.builder, resolved, info))


def sample_metrics(
    builder: Builder, cell: Cell, space: CodeSpace, condition: PlannedCondition, metrics: Sequence[ResolvedComponent]
) -> SampleMetrics:
    """Those of a cell with such codes and such a condition."""
    sampler = sampler_without_weights(builder, cell.sampler, builder.dataset(cell.dataset).info)
    samples = PlannedSamples(
        space=space,
        conditions=tuple((part.component.name, part.config) for _, part in conditioners_in(condition.conditioner)),
        names_class=condition.class_tokens is not None,
        given=sampler.given_positions(space),
    )
    return SampleMetrics(builder, cell, samples, metrics)
