"""Settings of the quantizers."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal, Self

from pydantic import Field, model_validator

from tamingplat.interfaces import Config

# Settings that mean something to one quantizer alone.
_OF_NEAREST = (
    "commitment",
    "commitment_placement",
    "quantizer_reduction",
    "codebook_update",
    "codebook_decay",
    "codebook_init",
    "revive_after",
)
_OF_GUMBEL = (
    "gumbel_relaxation",
    "gumbel_temperature_start",
    "gumbel_temperature_end",
    "gumbel_temperature_steps",
    "gumbel_kl_weight",
    "gumbel_kl_warmup_steps",
)


class QuantizerConfig(Config):
    """The codebook and how it is trained.

    A setting of the other quantizer is refused unless it has its default value: so all settings of a configuration, written
    out, are that configuration again.
    """

    codebook_size: int = Field(1024, ge=1, description="K, the number of codes.")
    embedding_dim: int = Field(256, ge=1, description="n_z, the length of a codebook vector.")
    quantizer: Literal["nearest", "gumbel"] = Field(
        "nearest",
        description="nearest: the nearest codebook vector. gumbel: a draw from a categorical distribution over the codes, "
        "relaxed by Gumbel noise and a softmax; its most probable code in evaluation.",
    )
    codebook_weight: float = Field(1.0, ge=0, description="Weight of the quantizer's terms together.")
    commitment: float = Field(0.25, ge=0, description="β, which weighs one of the two terms of the nearest quantizer.")
    commitment_placement: Literal["reference", "paper"] = Field(
        "reference",
        description="Which term β weighs. paper: the commitment term, as in Eq. 4 and in VQ-VAE, with weight 1 for the codebook"
        " term. reference: the codebook term, with weight 1 for the commitment term, as in the published checkpoints. With "
        'codebook_update = "ema" there is no codebook term, and β weighs the commitment term whatever this says.',
    )
    quantizer_reduction: Literal["mean", "sum"] = Field(
        "mean",
        description="How the nearest quantizer's squared differences become a number. mean: over places and dimensions, as in "
        "the reference implementation. sum: squared norms as in Eq. 4, summed over the embedding's dimensions and averaged "
        "over places, embedding_dim times as much.",
    )
    codebook_update: Literal["gradient", "ema"] = Field(
        "gradient",
        description="What moves the codebook. gradient: its term of the loss. ema: moving averages of the latents of each code "
        "(van den Oord et al. 2017, Appendix A.1, with VQ-VAE-2's smoothing), which need no codebook term.",
    )
    codebook_decay: float = Field(
        0.99, gt=0, lt=1, description='γ of the moving averages of codebook_update = "ema", per step.'
    )
    codebook_init: Literal["uniform", "kmeans"] = Field(
        "uniform",
        description="Where the codebook begins. uniform: within ±1/K, as published. kmeans: after the first step, at cluster "
        "means of that step's latents, of all processes.",
    )
    revive_after: int | None = Field(
        None,
        ge=1,
        description="Training steps without use after which a code is moved to a random latent of the step; none: never.",
    )
    gumbel_relaxation: Literal["straight-through", "soft"] = Field(
        "straight-through",
        description="What the decoder is given while training. straight-through: the drawn codebook vector, as in the "
        "reference implementation. soft: the mixture of all vectors, as in DALL-E.",
    )
    gumbel_temperature_start: float = Field(
        0.9, gt=0, description="Temperature at step 0; it falls along a cosine. Published: 0.9; DALL-E: 1."
    )
    gumbel_temperature_end: float = Field(1e-6, gt=0, description="Last temperature. Published: 1e-6; DALL-E: 1/16.")
    gumbel_temperature_steps: int = Field(
        1_000_001, ge=1, description="Steps from the first temperature to the last. Published: 1000001; DALL-E: 150000."
    )
    gumbel_kl_weight: float = Field(
        1e-8,
        ge=0,
        description="Weight of the divergence from the uniform distribution, in nats, summed over codes and averaged over "
        "places. Published: 1e-8; 5e-4 where the reference implementation is not told. DALL-E's 6.6 weighs sums over an image: "
        "beside a pixel loss averaged over pixels and channels it is 6.6 / (3·f²), which is 6.6/192 at f = 8.",
    )
    gumbel_kl_warmup_steps: int = Field(
        0, ge=0, description="Steps over which that weight rises from 0, along a cosine. Published: 0; DALL-E: 5000."
    )

    def _faults(self) -> Iterator[str]:
        """Everything that is wrong with the settings."""
        others = _OF_GUMBEL if self.quantizer == "nearest" else _OF_NEAREST
        for name in self._changed(others):
            yield f'{name} means nothing to quantizer = "{self.quantizer}"'
        if self.quantizer != "nearest":
            if self.gumbel_temperature_end > self.gumbel_temperature_start:
                yield "gumbel_temperature_end is above gumbel_temperature_start"
        elif self.codebook_update == "gradient":
            for name in self._changed(("codebook_decay",)):
                yield f'{name} means nothing to codebook_update = "gradient"'
        elif self.commitment_placement == "reference":
            for name in self._changed(("commitment_placement",)):
                yield f'{name} = "reference" needs a codebook term, and codebook_update = "ema" has none'

    def _changed(self, names: tuple[str, ...]) -> list[str]:
        """Which of some settings differ from their defaults in this class."""
        fields = type(self).model_fields
        values = {name: value for name, value in self if name in names}
        return [name for name in names if values[name] != fields[name].default]

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        faults = list(self._faults())
        if faults:
            raise ValueError("; ".join(faults))
        return self
