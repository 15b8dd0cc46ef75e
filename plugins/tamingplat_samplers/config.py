"""Settings of the samplers."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, model_validator

from tamingplat.interfaces import Config


class AncestralConfig(Config):
    """Settings of ``ancestral``. Temperature, then top-k, then top-p are applied to the logits, in that order."""

    temperature: float = Field(
        1.0, ge=0, description="Logits are divided by it first; 0 takes the most likely code at every step, whatever the noise."
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
    def _consistent(self) -> AncestralConfig:
        if 0 < self.temperature < 1e-6:
            raise ValueError("a temperature below 1e-6 is beyond double precision; 0 takes the most likely code")
        if self.mixed_k is not None:
            if not self.mixed_k:
                raise ValueError("mixed_k must hold at least one k; leave it out to draw none")
            if self.top_k is not None:
                raise ValueError("top_k and mixed_k exclude each other; set one of them")
        return self
