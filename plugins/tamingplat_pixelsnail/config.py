"""Settings of PixelSNAIL."""

from __future__ import annotations

from typing import Self

from pydantic import Field, model_validator

from tamingplat.interfaces import Config


class PixelSNAILConfig(Config):
    """Settings of PixelSNAIL; the defaults are the sizes of Chen et al. 2018, Sec. 2."""

    layers: int = Field(
        12,
        ge=1,
        description="Blocks, each a stack of gated residual layers followed by one attention layer, as a transformer's layer "
        "is one attention layer and two dense ones; set it to a transformer's layers to compare at matched counts.",
    )
    residual_layers: int = Field(4, ge=1, description="Gated residual layers, of two convolutions each, in every block.")
    width: int = Field(256, ge=2, description="Feature channels.")
    heads: int = Field(1, ge=1, description="Heads of every attention layer.")
    key_width: int = Field(16, ge=1, description="Channels of the queries and keys of one head.")
    value_width: int | None = Field(
        None, ge=1, description="Channels of the values of one head; none shares half the width among the heads."
    )
    dropout: float = Field(
        0.0,
        ge=0,
        lt=1,
        description="Share of activations dropped, in training, before the second convolution of every gated residual layer, "
        "those of attention layers included.",
    )
    condition_layers: int = Field(
        2, ge=0, description="Unmasked 3×3 convolutions over spatial conditions and coarser grids of codes."
    )

    @model_validator(mode="after")
    def _values_divide(self) -> Self:
        if self.value_width is None and self.width % (2 * self.heads):
            raise ValueError(
                f"half the width {self.width} is not divisible by {self.heads} heads; set value_width or another width"
            )
        return self

    @property
    def head_value_width(self) -> int:
        """Channels of the values of one head."""
        return self.value_width or self.width // (2 * self.heads)
