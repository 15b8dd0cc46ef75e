"""Entry point of the samplers."""

from __future__ import annotations

from tamingplat.interfaces import Component, hookimpl
from tamingplat_samplers.config import AncestralConfig


@hookimpl
def tamingplat_components() -> list[Component]:
    """Ancestral sampling."""
    return [
        Component(
            kind="sampler",
            name="ancestral",
            factory="tamingplat_samplers.ancestral:Ancestral",
            config=AncestralConfig,
            summary="One step after the other, with temperature, then top-k or mixed k, then top-p.",
            paper="https://arxiv.org/abs/2012.09841",
        ),
    ]
