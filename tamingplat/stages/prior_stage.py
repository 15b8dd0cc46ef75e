"""What a trained and an imported prior have in common: a stage whose artifact holds a prior's weights.

Shape letters: N code positions.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, field

import torch

from tamingplat.engine import load_weights
from tamingplat.interfaces import CodeSpace, ConditionLayout, Windows, derive_seed
from tamingplat.interfaces.models import Conditioner, Ordering, Prior, VisitPlan
from tamingplat.manifest import ResolvedComponent
from tamingplat.stages.build import Builder
from tamingplat.stages.condition_parts import conditioner_without_weights
from tamingplat.stages.encode import EncodeConditions, EncodeDataset
from tamingplat.stages.stage import Stage, StageContext
from tamingplat.stages.tokenizer_stage import WEIGHTS


def visit_plan(ordering: Ordering, space: CodeSpace, indices: Sequence[int], *, seed: int) -> VisitPlan:
    """The plan of the images with these indices: the same for an image whatever batch it is in."""
    if not ordering.random:
        return ordering.plan(space, len(indices))
    plans = []
    for index in indices:
        generator = torch.Generator().manual_seed(derive_seed(seed, "visit plan", index))
        plans.append(ordering.plan(space, 1, generator=generator))
    return VisitPlan(torch.cat([plan.order for plan in plans]), plans[0].sizes)


@dataclass(frozen=True, eq=False, repr=False)
class PriorStage(Stage):
    """A stage that leaves the weights of a prior behind, in ``weights.safetensors``.

    Attributes:
        builder: Makes components.
        codes: The encoded dataset that it is trained or measured on.
        conditions: The same for conditions; ``None`` where P = 0.
        prior: The component with its settings.
        ordering: Gives the visiting plans.
        conditioner: Gives the conditions.
        seed: Of its training, if it is trained, and of its samples.
        space: The codes that the prior models.
        layout: The parts of the condition that it was made for.
        windows: Where these are of a window: the windows over the images' codes and conditions; ``None`` for whole images.
    """

    builder: Builder
    codes: EncodeDataset
    conditions: EncodeConditions | None
    prior: ResolvedComponent
    ordering: ResolvedComponent
    conditioner: ResolvedComponent
    seed: int
    space: CodeSpace
    layout: ConditionLayout
    windows: Windows | None = field(default=None, kw_only=True)

    @property
    def image_space(self) -> CodeSpace:
        """The codes of an image of the dataset."""
        return self.space if self.windows is None else self.windows.space

    @property
    def image_layout(self) -> ConditionLayout:
        """The parts of the condition of an image of the dataset."""
        return self.layout if self.windows is None else self.windows.layout

    @property
    def name(self) -> str:
        """What a person would call the prior."""
        condition = f", {self.conditioner.label}" if self.conditions else ""
        return f"{self.prior.label} on {self.codes.tokenizer.name}, {self.ordering.label}{condition}, seed {self.seed}"

    @property
    def sources(self) -> tuple[Stage, ...]:
        """The codes and the conditions."""
        return (self.codes, self.conditions) if self.conditions else (self.codes,)

    def make_conditioner(self, builder: Builder) -> Conditioner:
        """The conditioner, to ask it for the null index."""
        info = builder.dataset(self.codes.dataset).info
        tokenizers = self.conditions.tokenizers if self.conditions else ()
        return conditioner_without_weights(builder, self.conditioner, info, tokenizers)

    @property
    def sampled_with(self) -> tuple[Stage, ...]:
        """What sampling needs and the prior's own artifact does not imply."""
        return ()

    @property
    def measured_with(self) -> tuple[Stage, ...]:
        """What a likelihood needs and the prior's own artifact does not imply."""
        return ()

    @abstractmethod
    def build(self, builder: Builder) -> Prior:
        """The prior, without what it learned."""


def load_prior(stage: PriorStage, context: StageContext) -> Prior:
    """A finished prior in eval mode on the context's device."""
    prior = stage.build(context.builder)
    load_weights(prior, context.artifact(stage).path(WEIGHTS))
    return prior.to(context.device).eval()
