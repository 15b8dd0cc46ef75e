"""Entry point of the perceptual networks."""

from __future__ import annotations

from tamingplat.interfaces import Component, hookimpl
from tamingplat_perceptual.config import LpipsConfig, ShiftTolerantConfig

_LPIPS = "https://arxiv.org/abs/1801.03924"
_SHIFT_TOLERANT = "https://arxiv.org/abs/2207.13686"


@hookimpl
def tamingplat_components() -> list[Component]:
    """LPIPS with three backbones, shift-tolerant LPIPS with two, none, and features for Fréchet distances."""
    return [
        *(
            Component(
                kind="perceptual",
                name=f"lpips-{backbone.lower()}",
                factory=f"tamingplat_perceptual.lpips_distance:Lpips{backbone}",
                summary=f"LPIPS with torchvision's {network}, whose weights are a local file or a download",
                config=LpipsConfig,
                paper=_LPIPS,
                family="lpips",
            )
            for backbone, network in (("VGG", "VGG16"), ("Alex", "AlexNet"), ("Squeeze", "SqueezeNet 1.1"))
        ),
        *(
            Component(
                kind="perceptual",
                name=f"st-{backbone.lower()}",
                factory=f"tamingplat_perceptual.shift_tolerant:ShiftTolerant{backbone}",
                summary=f"Shift-tolerant LPIPS with a blur-pooled {network}, whose weights pip install 'tamingplat[st]' brings",
                config=ShiftTolerantConfig,
                paper=_SHIFT_TOLERANT,
                family="stlpips",
            )
            for backbone, network in (("VGG", "VGG16"), ("Alex", "AlexNet"))
        ),
        Component(
            kind="perceptual",
            name="none",
            factory="tamingplat_perceptual.none:NoDistance",
            summary="No perceptual distance: always zero, and weighed with zero",
        ),
        Component(
            kind="feature_extractor",
            name="st-vgg",
            factory="tamingplat_perceptual.shift_tolerant:ShiftTolerantVGGFeatures",
            summary="Spatial means of relu3_3 of the shift-tolerant VGG16, 256 features, for fd-st-vgg",
            config=ShiftTolerantConfig,
            paper=_SHIFT_TOLERANT,
            family="stlpips",
        ),
    ]
