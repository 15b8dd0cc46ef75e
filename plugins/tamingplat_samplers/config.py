"""Settings of the samplers."""

from __future__ import annotations

import math
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from tamingplat.interfaces import Config, Ref, Region, Runtime, Selection


class LogitsConfig(Config):
    """What samplers do to logits before a code is drawn: guidance, temperature, top-k, top-p, in that order."""

    guidance: float = Field(
        1.0,
        ge=0,
        description="Before all else, s in logits u + s·(c − u), where c are a conditional prior's with the condition and u "
        "without it. 1 is off; above 1 the condition counts for more, at the cost of a second pass; 0 draws without it. Only "
        "for priors that were trained with a share of absent conditions (the conditioner's dropout).",
    )
    temperature: float = Field(
        1.0, ge=0, description="Then logits are divided by it; 0 takes the most likely code at every step, whatever the noise."
    )
    top_k: int | None = Field(
        None,
        ge=1,
        description="Then only so many of the most likely codes are kept, the lower code first among equals; none keeps all.",
    )
    top_p: float = Field(
        1.0,
        gt=0,
        le=1,
        description="Then the smallest set of the most likely codes whose probability, after top-k, is at least this; 1 "
        "keeps all.",
    )
    mixed_k: tuple[Annotated[int, Field(ge=1)], ...] | None = Field(
        None, description="In place of top_k, a set from which each sample draws its own k, all equally likely."
    )

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if 0 < self.temperature < 1e-6:
            raise ValueError("a temperature below 1e-6 is beyond double precision; 0 takes the most likely code")
        if self.mixed_k is not None:
            if not self.mixed_k:
                raise ValueError("mixed_k must hold at least one k; leave it out to draw none")
            if self.top_k is not None:
                raise ValueError("top_k and mixed_k exclude each other; set one of them")
        return self


class AncestralConfig(LogitsConfig):
    """Settings of ``ancestral``."""


class SlidingWindowConfig(LogitsConfig):
    """Settings of ``sliding-window``."""

    stride: int = Field(
        1,
        ge=1,
        description="Codes of a row that are drawn in one window before it slides. 1 is the paper's. More are faster, because "
        "a window that stays goes on from the prior's state; the last of them see less of what lies above and to their right.",
    )


class WavefrontConfig(LogitsConfig):
    """Settings of ``wavefront``, which draws what ``sliding-window`` draws at a stride of 1."""


class CompletionConfig(Config):
    """Settings of ``completion``."""

    region: Region = Field(
        description="The part of every image that is given: top, left, bottom and right as shares of height and width. "
        "[0, 0, 0.5, 1] is the upper half, [0.25, 0.25, 0.75, 0.75] a square in the middle."
    )
    sampler: Annotated[Selection, Ref("sampler")] = Field(Selection(use="ancestral"), description="What draws the rest.")
    encode: Literal["part", "full"] = Field(
        "part",
        description="What the given codes are taken from. part: the region, encoded as an image of its own. full: the whole "
        "image, as in the reference implementation, whose codes tell of the hidden part.",
    )


class RejectionConfig(Config):
    """Settings of ``rejection``."""

    sampler: Annotated[Selection, Ref("sampler")] = Field(Selection(use="ancestral"), description="What draws candidates.")
    classifier: Annotated[Selection, Ref("classifier")] = Field(
        description="What scores a candidate: by its probability of the class that the condition names."
    )
    mode: Literal["best-of-m", "pool"] = Field(
        "best-of-m",
        description="best-of-m: each sample is the best of some candidates of its own, whatever the number of samples. pool: "
        "the samples of a class come out of the best part of one pool of candidates, in the order in which they were drawn.",
    )
    candidates: int | None = Field(
        None, ge=1, description="m of best-of-m, 20 unless given. The first candidate is what sampling without rejection draws."
    )
    pool: int | None = Field(None, ge=1, description="Candidates of each class, for the mode pool.")
    acceptance: float | None = Field(
        None, gt=0, le=1, description="Share of the pool that is kept, for the mode pool; 0.05 and 0.005 are published."
    )
    chunk: Annotated[int, Runtime()] = Field(64, ge=1, description="Candidates that are drawn, decoded and scored together.")

    @property
    def kept(self) -> int:
        """Samples of each class that the mode pool keeps."""
        assert self.pool is not None and self.acceptance is not None
        # Exact where the share is a decimal fraction: 0.07 of 100 are 7, although 0.07 · 100 falls short of it.
        return math.floor(self.pool * self.acceptance + 1e-9)

    @property
    def of_each(self) -> int:
        """Candidates of each sample, in the mode best-of-m."""
        return 20 if self.candidates is None else self.candidates

    @model_validator(mode="after")
    def _of_one_mode(self) -> Self:
        if self.mode == "pool":
            if self.pool is None or self.acceptance is None:
                raise ValueError('mode = "pool" needs pool and acceptance')
            if self.candidates is not None:
                raise ValueError('candidates belongs to mode = "best-of-m"; remove it')
            if self.kept < 1:
                raise ValueError(f"an acceptance of {self.acceptance} keeps none of {self.pool}; enlarge one of them")
        elif self.pool is not None or self.acceptance is not None:
            raise ValueError('pool and acceptance belong to mode = "pool"; set it, or use candidates')
        return self
