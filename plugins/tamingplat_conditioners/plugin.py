"""Entry point of the conditioners."""

from __future__ import annotations

from tamingplat.interfaces import Component, hookimpl
from tamingplat_conditioners.config import (
    ClassConfig,
    CombinedConfig,
    CoordinatesConfig,
    DepthConfig,
    EdgesConfig,
    KeypointsConfig,
    LowResolutionConfig,
    SegmentationConfig,
)

_PAPER = "https://arxiv.org/abs/2012.09841"


@hookimpl
def tamingplat_components() -> list[Component]:
    """No condition, the class, maps through tokenizers of their own, coordinates, and several of them together."""
    return [
        Component(
            kind="conditioner",
            name="none",
            factory="tamingplat_conditioners.none:NoCondition",
            summary="No condition; the prior begins with its own start token.",
        ),
        Component(
            kind="conditioner",
            name="class",
            factory="tamingplat_conditioners.classes:ClassCondition",
            config=ClassConfig,
            summary="The image's class as one token before the codes.",
            paper=_PAPER,
        ),
        Component(
            kind="conditioner",
            name="segmentation",
            factory="tamingplat_conditioners.segmentation:SegmentationCondition",
            config=SegmentationConfig,
            summary="The class of every pixel, through a tokenizer of its own.",
            paper=_PAPER,
        ),
        Component(
            kind="conditioner",
            name="depth",
            factory="tamingplat_conditioners.depth:DepthCondition",
            config=DepthConfig,
            summary="The depth of every pixel, through a tokenizer of its own.",
            paper=_PAPER,
        ),
        Component(
            kind="conditioner",
            name="edges",
            factory="tamingplat_conditioners.edges:EdgesCondition",
            config=EdgesConfig,
            summary="Canny edges of the image, through a tokenizer of their own.",
            paper=_PAPER,
        ),
        Component(
            kind="conditioner",
            name="low-resolution",
            factory="tamingplat_conditioners.low_resolution:LowResolutionCondition",
            config=LowResolutionConfig,
            summary="The image 2 to 8 times smaller, through a tokenizer of its own: stochastic super-resolution.",
            paper=_PAPER,
        ),
        Component(
            kind="conditioner",
            name="keypoints",
            factory="tamingplat_conditioners.keypoints:KeypointsCondition",
            config=KeypointsConfig,
            summary="The poses of figures, drawn and put through a tokenizer of their own.",
            paper=_PAPER,
        ),
        Component(
            kind="conditioner",
            name="coordinates",
            factory="tamingplat_conditioners.coordinates:CoordinatesCondition",
            config=CoordinatesConfig,
            summary="Where in the whole image every code is, for windows that slide over aligned images.",
            paper=_PAPER,
        ),
        Component(
            kind="conditioner",
            name="combined",
            factory="tamingplat_conditioners.combined:CombinedCondition",
            config=CombinedConfig,
            summary="Several conditions one after the other, such as class and coordinates.",
            paper=_PAPER,
        ),
    ]
