"""Entry point of the samplers."""

from __future__ import annotations

from tamingplat.interfaces import Component, hookimpl
from tamingplat_samplers.config import AncestralConfig, CompletionConfig, RejectionConfig, SlidingWindowConfig, WavefrontConfig


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
        Component(
            kind="sampler",
            name="sliding-window",
            factory="tamingplat_samplers.sliding_window:SlidingWindow",
            config=SlidingWindowConfig,
            summary="Images of any size from a prior of a window, which slides over them row by row.",
            paper="https://arxiv.org/abs/2012.09841",
        ),
        Component(
            kind="sampler",
            name="wavefront",
            factory="tamingplat_samplers.wavefront:Wavefront",
            config=WavefrontConfig,
            summary="What sliding-window draws, several rows of the image at once, in a fraction of its steps.",
            paper="https://arxiv.org/abs/2012.09841",
        ),
        Component(
            kind="sampler",
            name="completion",
            factory="tamingplat_samplers.completion:Completion",
            config=CompletionConfig,
            summary="Completes images of which a part is given, and has another sampler draw the rest.",
            paper="https://arxiv.org/abs/2012.09841",
        ),
        Component(
            kind="sampler",
            name="rejection",
            factory="tamingplat_samplers.rejection:Rejection",
            revision=2,
            config=RejectionConfig,
            summary="Draws more candidates than are kept, and keeps those that a classifier takes for their class.",
            paper="https://arxiv.org/abs/1906.00446",
        ),
    ]
