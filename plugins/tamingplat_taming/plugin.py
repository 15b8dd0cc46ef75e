"""Entry point of the reference implementation's checkpoint format."""

from __future__ import annotations

from tamingplat.interfaces import Component, hookimpl


@hookimpl
def tamingplat_components() -> list[Component]:
    """The format ``taming``."""
    return [
        Component(
            kind="checkpoint_format",
            name="taming",
            factory="tamingplat_taming.format:Taming",
            summary="Checkpoints of the paper's reference implementation: tokenizers, and transformers with theirs.",
            paper="https://arxiv.org/abs/2012.09841",
        ),
    ]
