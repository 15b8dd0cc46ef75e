"""Completion: a part of every image is given, and the rest is drawn.

Esser, Rombach and Ommer, "Taming Transformers for High-Resolution Image Synthesis", CVPR 2021, Sec. 4.2 (image completions) and
Appendix, Fig. 29 to 31 (the given part being the beginning of the visiting order).

Shape letters: B batch, C/H/W image, N code positions.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from tamingplat.interfaces import CodeSpace, ConditionLayout, Config
from tamingplat.interfaces.models import PlannedClasses, PriorScope, Sampler, SampleRequest, encode_given
from tamingplat_samplers.config import CompletionConfig


class Completion(Sampler):
    """Has another sampler draw what does not lie in a region of the images, whose codes are given.

    The region's codes come from encoding it alone: codes of the whole image would tell of what is to be drawn.
    """

    def __init__(self, config: Config, parts: Mapping[str, Any]) -> None:
        super().__init__(config, parts)
        assert isinstance(config, CompletionConfig)
        self._region, self._leaking = config.region, config.encode == "full"
        self._sampler: Sampler = parts["sampler"]
        self.needs = self._sampler.needs  # type: ignore[misc]

    def refusal(self, space: CodeSpace, layout: ConditionLayout, *, ordering: str) -> str | None:
        """Why the region is none of such codes, or why the other sampler cannot draw them."""
        return self._region.refusal(space) or self._sampler.refusal(space, layout, ordering=ordering)

    def prior_refusal(self, space: CodeSpace, layout: ConditionLayout, scope: PriorScope) -> str | None:
        """Why the other sampler cannot draw from a prior that was trained so."""
        return self._sampler.prior_refusal(space, layout, scope)

    def class_refusal(self, classes: PlannedClasses | None) -> str | None:
        """Why the other sampler cannot draw samples of such classes."""
        return self._sampler.class_refusal(classes)

    def drawn(self, counts: Sequence[int]) -> int:
        """How many images the other sampler draws."""
        return self._sampler.drawn(counts)

    def given_positions(self, space: CodeSpace) -> npt.NDArray[np.bool_]:
        """The codes of the region, bool (N,)."""
        return self._region.mask(space)

    @torch.no_grad()
    def sample(self, request: SampleRequest) -> Tensor:
        """Codes, int64 (B, N); those of the region are the images', unless other ones are given.

        Raises:
            TamingplatError: The tokenizer cannot encode a part of an image alone.
        """
        assert request.images is not None, "whoever asks for completions gives the images"
        codes, mask = encode_given(request.tokenizer, request.images, self._region, leaking=self._leaking)
        if request.given is not None:
            codes = torch.where(request.given[1], request.given[0], codes)
            mask = mask | request.given[1]
        return self._sampler.sample(replace(request, given=(codes, mask)))
