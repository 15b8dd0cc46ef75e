"""Settings of the transformer prior."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from tamingplat.interfaces import Config


class GPTConfig(Config):
    """Settings of ``gpt``. The defaults are the paper's 307 M parameter model."""

    layers: int = Field(24, ge=1, description="Transformer blocks.")
    heads: int = Field(16, ge=1, description="Attention heads per block; they share the width equally.")
    width: int = Field(1024, ge=1, description="Size of the hidden vectors; the MLP is four times as wide.")
    dropout: float = Field(
        0.0, ge=0, lt=1, description="Dropout of embeddings, attention weights and both residual branches alike, in training."
    )
    pkeep: float = Field(
        1.0,
        ge=0,
        le=1,
        description="Share of the image's input codes that training keeps; the others are replaced by uniform random codes. "
        "What is predicted stays as it is.",
    )
    bidirectional_condition: bool = Field(
        False, description="Whether condition tokens attend to each other both ways (n_unmasked = P), not causally."
    )
    vocabulary: Literal["shared", "separate"] = Field(
        "shared",
        description="shared: condition tokens and codes use one embedding table without offset, and the unconditional "
        "start token is 0, which is also a code; published checkpoints and parameter counts are of this kind. separate: "
        "each condition part and the start token have rows of their own in the table.",
    )
    positions: Literal["canonical", "time"] = Field(
        "canonical",
        description="What a code's learned position embedding is looked up by: its place in the image, or the step at "
        "which it is visited. For one fixed ordering both are the same model up to a permutation of the table; they are "
        "equal under raster.",
    )
    target_positions: bool = Field(
        False,
        description="Whether an embedding of the position to be predicted is added to each input; needed where the ordering "
        "differs from image to image, and no part of the published model.",
    )
    block_size: int | None = Field(
        None,
        ge=1,
        description="Rows of the position embedding; none takes P (1 without a condition) + N. Published models vary.",
    )

    vocabulary_rows: int | None = Field(
        None,
        ge=1,
        description="Rows of the embedding table and of the output layer; none: as many as the tokens need. Some published "
        "models have more rows than there are codes. Probabilities are those of the codes alone, renormalised; the reference "
        "implementation gives a share to rows that are no code, and could sample one.",
    )

    @model_validator(mode="after")
    def _divisible(self) -> GPTConfig:
        if self.width % self.heads:
            raise ValueError(
                f"width {self.width} is not divisible by heads {self.heads}; the nearest widths are "
                f"{max(1, self.width // self.heads) * self.heads} and {(self.width // self.heads + 1) * self.heads}"
            )
        return self
