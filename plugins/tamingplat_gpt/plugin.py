"""Entry point of the transformer prior."""

from __future__ import annotations

from tamingplat.interfaces import Component, TrainingSettings, hookimpl
from tamingplat_gpt.config import GPTConfig

_BATCH_SIZE = 32


@hookimpl
def tamingplat_components() -> list[Component]:
    """The prior ``gpt``."""
    return [
        Component(
            kind="prior",
            name="gpt",
            factory="tamingplat_gpt.model:GPT",
            config=GPTConfig,
            summary="Causal transformer over codes in visiting order.",
            paper="https://arxiv.org/abs/2012.09841",
            # The authors' optimizer: AdamW, a constant learning rate of 4.5e-6 times the global batch size, no warm-up,
            # decay on the weights of linear layers alone.
            training=TrainingSettings(
                batch_size=_BATCH_SIZE,
                learning_rate=4.5e-6 * _BATCH_SIZE,
                optimizer="adamw",
                betas=(0.9, 0.95),
                weight_decay=0.01,
            ),
        ),
    ]
