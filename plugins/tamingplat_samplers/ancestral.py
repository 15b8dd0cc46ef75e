"""Ancestral sampling: each step's codes are drawn given all before them.

Shape letters: B batch, N code positions, S steps of the plan, K positions of one step, V vocabulary.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import torch
from torch import Tensor

from tamingplat.interfaces import Config
from tamingplat.interfaces.models import PriorState, Sampler, SampleRequest, Visits, gumbel_noise, uniform_noise
from tamingplat_samplers import filters
from tamingplat_samplers.config import AncestralConfig
from tamingplat_samplers.schedule import visiting_schedule

_MIXED_K_STREAM = 1


class Ancestral(Sampler):
    """Draws along the visiting plan with temperature, then top-k (or a k of each sample's own), then top-p.

    A code is the argmax of its float64 filtered logits plus Gumbel noise that is addressed by (seed, sample, canonical
    position, code), which is a draw from their softmax (Gumbel-max). Sample i is thus the same in every batch and process.
    """

    needs: ClassVar[Visits] = "in_order"

    def __init__(self, config: Config, parts: Mapping[str, Any]) -> None:
        super().__init__(config, parts)
        assert isinstance(config, AncestralConfig)
        self._config = config

    @torch.no_grad()
    def sample(self, request: SampleRequest) -> Tensor:
        """Codes, int64 (B, N); those that are given stay.

        Raises:
            TamingplatError: Given positions are no prefix of the visiting order, and the prior can predict the next step alone.
        """
        prior, plan, given = request.prior, request.plan, request.given
        codes = torch.zeros_like(plan.order, memory_format=torch.contiguous_format)
        if given is not None:
            codes = torch.where(given[1], given[0], codes)
        schedule = visiting_schedule(plan, None if given is None else given[1], prior.visits)
        k = self._k(request)
        state: PriorState | None = None
        for step in schedule:
            logits, state = prior.logits(
                codes, step.visited, step.targets, request.condition, lengths=step.lengths, state=state, sizes=plan.sizes
            )
            drawn = self._draw(logits.double(), k, request, step.targets)
            if given is not None:
                drawn = torch.where(given[1].gather(1, step.targets), given[0].gather(1, step.targets), drawn)
            codes.scatter_(1, step.targets, drawn)
        return codes

    def _k(self, request: SampleRequest) -> int | Tensor | None:
        """The k of every sample: one number, or int64 (B, 1) drawn from the set at (seed, sample); ``None`` keeps all codes."""
        choices = self._config.mixed_k
        if choices is None:
            return self._config.top_k
        address = torch.zeros_like(request.indices)[:, None]
        uniform = uniform_noise(request.seed, request.indices, address, 1, stream=_MIXED_K_STREAM)[..., 0]
        return torch.tensor(choices, device=uniform.device)[(uniform * len(choices)).long()]

    def _draw(self, logits: Tensor, k: int | Tensor | None, request: SampleRequest, positions: Tensor) -> Tensor:
        """Codes int64 (B, K) of float64 logits (B, K, V) at canonical ``positions`` (B, K)."""
        if self._config.temperature == 0:
            return logits.argmax(-1)
        logits = logits / self._config.temperature
        if k is not None:
            logits = filters.top_k(logits, k.expand(positions.shape) if isinstance(k, Tensor) else k)
        logits = filters.top_p(logits, self._config.top_p)
        return (logits + gumbel_noise(request.seed, request.indices, positions, logits.shape[-1])).argmax(-1)
