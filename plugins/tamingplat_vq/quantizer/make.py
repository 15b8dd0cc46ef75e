"""The quantizer that settings ask for."""

from __future__ import annotations

from tamingplat_vq.quantizer.base import Quantizer
from tamingplat_vq.quantizer.gumbel import GumbelQuantizer
from tamingplat_vq.quantizer.nearest import MovingCodebook, VectorQuantizer
from tamingplat_vq.quantizer_config import QuantizerConfig


def make_quantizer(config: QuantizerConfig) -> Quantizer:
    """A new quantizer with random weights from torch's default generator."""
    if config.quantizer == "gumbel":
        return GumbelQuantizer(
            config.codebook_size,
            config.embedding_dim,
            relaxation=config.gumbel_relaxation,
            temperature=(config.gumbel_temperature_start, config.gumbel_temperature_end, config.gumbel_temperature_steps),
            kl_weight=config.gumbel_kl_weight,
            kl_warmup_steps=config.gumbel_kl_warmup_steps,
        )
    return VectorQuantizer(
        config.codebook_size,
        config.embedding_dim,
        config.commitment,
        config.commitment_placement,
        reduction=config.quantizer_reduction,
        moving=MovingCodebook(
            decay=config.codebook_decay if config.codebook_update == "ema" else None,
            clustered=config.codebook_init == "kmeans",
            revive_after=config.revive_after,
        ),
    )
