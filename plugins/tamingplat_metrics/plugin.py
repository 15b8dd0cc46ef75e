"""What this plugin offers."""

from __future__ import annotations

from tamingplat.interfaces import Component, hookimpl
from tamingplat_metrics.config import FidConfig, InceptionConfig, ReconstructionConfig, StVggFrechetConfig

_FID = "https://arxiv.org/abs/1706.08500"


@hookimpl
def tamingplat_components() -> list[Component]:
    """Five metrics and the Inception features of one of them."""
    return [
        Component(
            kind="metric",
            name="nll",
            factory="tamingplat_metrics.nll:NegativeLogLikelihood",
            summary="Negative log-likelihood of the codes: nats per token and image, bits, the rate; training too",
        ),
        Component(
            kind="metric",
            name="reconstruction",
            factory="tamingplat_metrics.reconstruction:Reconstruction",
            summary="Errors of encoding and decoding: L1, MSE, PSNR and a perceptual distance",
            config=ReconstructionConfig,
        ),
        Component(
            kind="metric",
            name="codebook",
            factory="tamingplat_metrics.codebook:CodebookUse",
            summary="How much of the codebook is used: share of codes, perplexity, entropy",
        ),
        Component(
            kind="metric",
            name="fid",
            factory="tamingplat_metrics.frechet:FrechetInceptionDistance",
            summary="Fréchet inception distance, with torch-fidelity's Inception features and nothing else",
            config=FidConfig,
            paper=_FID,
        ),
        Component(
            kind="metric",
            name="fd-st-vgg",
            factory="tamingplat_metrics.frechet:FrechetDistance",
            summary="Fréchet distance of shift-tolerant VGG features, whose weights need no download",
            config=StVggFrechetConfig,
            paper=_FID,
        ),
        Component(
            kind="feature_extractor",
            name="inception",
            factory="tamingplat_metrics.inception:InceptionFeatures",
            summary="torch-fidelity's Inception v3, the 2048 features of FID",
            config=InceptionConfig,
            paper="https://arxiv.org/abs/1512.00567",
            family="inception",
        ),
    ]
