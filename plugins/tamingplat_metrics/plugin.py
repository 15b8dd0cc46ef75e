"""What this plugin offers."""

from __future__ import annotations

from tamingplat.interfaces import Component, hookimpl
from tamingplat_metrics.config import (
    ClipConfig,
    ClipFrechetConfig,
    Dinov2Config,
    Dinov2FrechetConfig,
    FidConfig,
    FrechetConfig,
    InceptionConfig,
    InceptionScoreConfig,
    KernelConfig,
    KidConfig,
    LpipsMetricConfig,
    MemorisationConfig,
    PrecisionRecallConfig,
    ReconstructionConfig,
    StVggFrechetConfig,
    StVggKernelConfig,
    Vgg16Config,
)

_FID = "https://arxiv.org/abs/1706.08500"
_KID = "https://arxiv.org/abs/1801.01401"
_INCEPTION = "https://arxiv.org/abs/1512.00567"

_NAMED = 2
"""The revision of the metrics of features: since 2 the numbers of images are in the columns' names whatever they are."""


@hookimpl
def tamingplat_components() -> list[Component]:
    """The metrics, and extractors whose weights are published files."""
    return [*_of_models(), *_of_images(), *_extractors()]


def _of_models() -> list[Component]:
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
            name="psnr",
            factory="tamingplat_metrics.reconstruction:Psnr",
            summary="Peak signal-to-noise ratio of reconstructions",
        ),
        Component(
            kind="metric",
            name="ssim",
            factory="tamingplat_metrics.reconstruction:Ssim",
            summary="Structural similarity of reconstructions, by scikit-image: pip install 'tamingplat[ssim]'",
            paper="https://doi.org/10.1109/TIP.2003.819861",
        ),
        Component(
            kind="metric",
            name="lpips",
            factory="tamingplat_metrics.reconstruction:Lpips",
            summary="Perceptual distance of reconstructions, by LPIPS or any other perceptual network",
            config=LpipsMetricConfig,
            paper="https://arxiv.org/abs/1801.03924",
        ),
    ]


def _of_images() -> list[Component]:
    frechet = (
        ("fid", "FrechetInceptionDistance", FidConfig, "inception distance, with torch-fidelity's Inception and nothing else"),
        ("fd", "FrechetDistance", FrechetConfig, "distance of the features of any extractor, in a column fd- and its name"),
        ("fd-st-vgg", "FrechetDistance", StVggFrechetConfig, "distance of shift-tolerant VGG features, which need no download"),
        ("fd-dinov2", "FrechetDistance", Dinov2FrechetConfig, "distance of DINOv2 features"),
        ("fd-clip", "FrechetDistance", ClipFrechetConfig, "distance of CLIP features"),
    )
    kernel = (
        ("kid", "KernelInceptionDistance", KidConfig, "inception distance, with torch-fidelity's Inception and nothing else"),
        ("kd", "KernelDistance", KernelConfig, "distance of the features of any extractor, in a column kd- and its name"),
        ("kd-st-vgg", "KernelDistance", StVggKernelConfig, "distance of shift-tolerant VGG features, which need no download"),
    )
    return [
        *(
            Component(
                kind="metric",
                name=name,
                revision=_NAMED,
                factory=f"tamingplat_metrics.frechet:{factory}",
                summary=f"Fréchet {summary}",
                config=config,
                paper=_FID,
            )
            for name, factory, config, summary in frechet
        ),
        *(
            Component(
                kind="metric",
                name=name,
                revision=_NAMED,
                factory=f"tamingplat_metrics.kernel:{factory}",
                summary=f"Kernel {summary}",
                config=config,
                paper=_KID,
            )
            for name, factory, config, summary in kernel
        ),
        Component(
            kind="metric",
            name="inception-score",
            revision=_NAMED,
            factory="tamingplat_metrics.inception_score:InceptionScore",
            summary="Inception score, with torch-fidelity's Inception",
            config=InceptionScoreConfig,
            paper="https://arxiv.org/abs/1606.03498",
        ),
        Component(
            kind="metric",
            name="precision-recall",
            revision=_NAMED,
            factory="tamingplat_metrics.precision_recall:PrecisionRecall",
            summary="Precision and recall by nearest neighbours in VGG16 or any other features",
            config=PrecisionRecallConfig,
            paper="https://arxiv.org/abs/1904.06991",
        ),
        Component(
            kind="metric",
            name="memorisation",
            revision=_NAMED,
            factory="tamingplat_metrics.memorisation:Memorisation",
            summary="Whether samples are nearer to training images than held-out images are",
            config=MemorisationConfig,
            paper="https://arxiv.org/abs/2004.05675",
        ),
    ]


def _extractors() -> list[Component]:
    return [
        *(
            Component(
                kind="feature_extractor",
                name=name,
                factory=f"tamingplat_metrics.inception:{factory}",
                summary=f"torch-fidelity's Inception v3, {what}",
                config=InceptionConfig,
                paper=_INCEPTION,
                family="inception",
            )
            for name, factory, what in (
                ("inception", "InceptionFeatures", "the 2048 features of FID"),
                ("inception-logits", "InceptionLogits", "the 1008 logits of the Inception score"),
            )
        ),
        Component(
            kind="feature_extractor",
            name="vgg16",
            factory="tamingplat_metrics.vgg16:Vgg16Features",
            summary="torch-fidelity's VGG16, the 4096 features of precision and recall",
            config=Vgg16Config,
            paper="https://arxiv.org/abs/1409.1556",
            family="lpips",
        ),
        Component(
            kind="feature_extractor",
            name="dinov2",
            factory="tamingplat_metrics.dinov2:Dinov2Features",
            summary="The class token of a DINOv2 vision transformer",
            config=Dinov2Config,
            paper="https://arxiv.org/abs/2304.07193",
            family="dinov2",
        ),
        Component(
            kind="feature_extractor",
            name="clip",
            factory="tamingplat_metrics.clip:ClipFeatures",
            summary="The image embedding of a CLIP vision transformer",
            config=ClipConfig,
            paper="https://arxiv.org/abs/2103.00020",
            family="clip",
        ),
    ]
