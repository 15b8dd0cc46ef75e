"""Entry point of the PixelSNAIL plugin."""

from __future__ import annotations

from tamingplat.interfaces import Component, TrainingSettings, hookimpl
from tamingplat_pixelsnail.config import PixelSNAILConfig


@hookimpl
def tamingplat_components() -> list[Component]:
    """The prior ``pixelsnail``."""
    return [
        Component(
            kind="prior",
            name="pixelsnail",
            revision=2,
            factory="tamingplat_pixelsnail.model:PixelSNAIL",
            summary="PixelSNAIL: gated masked convolutions and causal attention, under any visiting order",
            config=PixelSNAILConfig,
            paper="https://arxiv.org/abs/1712.09763",
            training=TrainingSettings(
                steps=4000,
                batch_size=32,
                learning_rate=3e-4,
                optimizer="adamw",
                betas=(0.9, 0.95),
                weight_decay=0.01,
            ),
        )
    ]
