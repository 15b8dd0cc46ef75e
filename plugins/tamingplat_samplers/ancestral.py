"""Ancestral sampling: each step's codes are drawn given all before them.

Shape letters: B batch, N code positions, S steps of the plan, K positions of one step, V vocabulary.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import torch
from torch import Tensor

from tamingplat.interfaces import CodeSpace, ConditionLayout, Config
from tamingplat.interfaces.models import (
    PriorScope,
    PriorState,
    Sampler,
    SampleRequest,
    VisitPlan,
    Visits,
    whole_image_refusal,
)
from tamingplat_samplers.config import AncestralConfig
from tamingplat_samplers.drawing import Drawer, Guidance, NoiseInOrder, guidance_refusal
from tamingplat_samplers.schedule import visiting_schedule


class Ancestral(Sampler):
    """Draws along the visiting plan with guidance, temperature, then top-k (or a k of each sample's own), then top-p.

    A code is the argmax of its float64 filtered logits plus Gumbel noise that is addressed by (seed, sample, canonical
    position, code), which is a draw from their softmax (Gumbel-max). Sample i is thus the same in every batch and process.
    """

    needs: ClassVar[Visits] = "in_order"

    def __init__(self, config: Config, parts: Mapping[str, Any]) -> None:
        super().__init__(config, parts)
        assert isinstance(config, AncestralConfig)
        self._config = config
        self._drawer = Drawer(config)

    def prior_refusal(self, space: CodeSpace, layout: ConditionLayout, scope: PriorScope) -> str | None:
        """Why the prior is one of a part of the image, or cannot be guided."""
        return whole_image_refusal(space, scope) or guidance_refusal(self._config, scope)

    @torch.no_grad()
    def sample(self, request: SampleRequest) -> Tensor:
        """Codes, int64 (B, N); those that are given stay.

        Raises:
            TamingplatError: Given positions are no prefix of the visiting order, and the prior can predict the next step alone.
        """
        prior, plan, given = request.prior, request.plan, request.given
        count = len(plan.order)
        noise = NoiseInOrder(request.seed, request.indices, plan.order)
        guidance = Guidance(self._config)
        condition = torch.cat(guidance.conditions(request.condition, request.null_condition))
        if guidance.guides:
            # The order is doubled here and sliced at every step, so that a prior can tell its slices without reading them.
            plan = VisitPlan(guidance.repeat(plan.order), plan.sizes, plan.shared)
            if given is not None:
                given = (guidance.repeat(given[0]), guidance.repeat(given[1]))
        codes = torch.zeros_like(plan.order, memory_format=torch.contiguous_format)
        if given is not None:
            codes = torch.where(given[1], given[0], codes)
        schedule = visiting_schedule(plan, None if given is None else given[1], prior.visits)
        state: PriorState | None = None
        for step in schedule:
            logits, state = prior.logits(
                codes, step.visited, step.targets, condition, lengths=step.lengths, state=state, sizes=plan.sizes
            )
            of_step = noise.at(step.start, step.start + step.targets.shape[1])
            drawn = guidance.repeat(self._drawer.draw(guidance.combine(logits), request.seed, request.indices, of_step))
            if given is not None:
                drawn = torch.where(given[1].gather(1, step.targets), given[0].gather(1, step.targets), drawn)
            codes.scatter_(1, step.targets, drawn)
        return codes[:count]
