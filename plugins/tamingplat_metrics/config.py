"""Settings of the metrics and of their feature extractors."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from tamingplat.interfaces import Config, FilePath, Ref, Runtime, Selection


class ReconstructionConfig(Config):
    """Settings of ``reconstruction``."""

    perceptual: Annotated[Selection, Ref("perceptual")] | None = Field(
        None, description="Perceptual network whose distance is a column of its own; without one there is no such column."
    )


class FeatureConfig(Config):
    """What every metric of features asks."""

    extractor: Annotated[Selection, Ref("feature_extractor")] = Field(description="Feature extractor.")


class FrechetConfig(FeatureConfig):
    """Settings of a Fréchet distance with features by name."""

    extractor: Annotated[Selection, Ref("feature_extractor")] = Field(
        description="Feature extractor; the column is called fd- and its name."
    )
    allow_few: bool = Field(
        False,
        description="Compute it also with no more images than features, where the covariance is singular and the bias large.",
    )


class StVggFrechetConfig(FrechetConfig):
    """Settings of ``fd-st-vgg``."""

    extractor: Annotated[Selection, Ref("feature_extractor")] = Field(
        Selection(use="st-vgg"), description="Feature extractor; the column is called fd- and its name."
    )


class Dinov2FrechetConfig(FrechetConfig):
    """Settings of ``fd-dinov2``."""

    extractor: Annotated[Selection, Ref("feature_extractor")] = Field(
        Selection(use="dinov2"), description="Feature extractor; the column is called fd- and its name."
    )


class ClipFrechetConfig(FrechetConfig):
    """Settings of ``fd-clip``."""

    extractor: Annotated[Selection, Ref("feature_extractor")] = Field(
        Selection(use="clip"), description="Feature extractor; the column is called fd- and its name."
    )


class FidConfig(FrechetConfig):
    """Settings of ``fid``."""

    extractor: Annotated[Selection, Ref("feature_extractor")] = Field(
        Selection(use="inception"), description="The extractor inception, or a manifest block that uses it."
    )


class KernelConfig(FeatureConfig):
    """Settings of a kernel distance with features by name."""

    extractor: Annotated[Selection, Ref("feature_extractor")] = Field(
        description="Feature extractor; the column is called kd- and its name."
    )
    subsets: int = Field(100, ge=1, description="Random subsets of the images over which the estimate is averaged.")
    subset_size: int = Field(
        1000, ge=2, description="Images in a subset; all of them where the smaller of the two sets has fewer."
    )


class StVggKernelConfig(KernelConfig):
    """Settings of ``kd-st-vgg``."""

    extractor: Annotated[Selection, Ref("feature_extractor")] = Field(
        Selection(use="st-vgg"), description="Feature extractor; the column is called kd- and its name."
    )


class KidConfig(KernelConfig):
    """Settings of ``kid``."""

    extractor: Annotated[Selection, Ref("feature_extractor")] = Field(
        Selection(use="inception"), description="The extractor inception, or a manifest block that uses it."
    )


class InceptionScoreConfig(FeatureConfig):
    """Settings of ``inception-score``."""

    extractor: Annotated[Selection, Ref("feature_extractor")] = Field(
        Selection(use="inception-logits"), description="The extractor inception-logits, or a manifest block that uses it."
    )
    splits: int = Field(10, ge=2, description="Parts of the shuffled samples over which the score is averaged.")


class PrecisionRecallConfig(FeatureConfig):
    """Settings of ``precision-recall``."""

    extractor: Annotated[Selection, Ref("feature_extractor")] = Field(
        Selection(use="vgg16"), description="Feature extractor; any but vgg16 is named in the columns."
    )
    neighbours: int = Field(3, ge=1, description="An image's ball reaches to its so many-th nearest neighbour.")


class MemorisationConfig(FeatureConfig):
    """Settings of ``memorisation``."""

    extractor: Annotated[Selection, Ref("feature_extractor")] = Field(
        Selection(use="st-vgg"), description="Feature extractor in whose features images are near or far."
    )
    quantile: float = Field(
        0.05,
        gt=0,
        lt=1,
        description="Samples count as near-copies that are nearer to a training image than this share of the held-out images.",
    )


class LpipsMetricConfig(Config):
    """Settings of ``lpips``."""

    perceptual: Annotated[Selection, Ref("perceptual")] = Field(
        Selection(use="lpips-alex"), description="Perceptual network; the column is called by its name."
    )


class WeightsConfig(Config):
    """Where an extractor's weights are."""

    weights: FilePath | None = Field(
        None, description="The published weight file; none takes the one of its name in torch.hub's checkpoint folder."
    )
    download: Annotated[bool, Runtime()] = Field(
        False, description="Download the weights into torch.hub's checkpoint folder where they are not there yet."
    )


class InceptionConfig(WeightsConfig):
    """Settings of ``inception`` and ``inception-logits``."""

    weights: FilePath | None = Field(
        None,
        description="The file weights-inception-2015-12-05-6726825d.pth of torch-fidelity; none takes the one in torch.hub's "
        "checkpoint folder.",
    )


class Vgg16Config(WeightsConfig):
    """Settings of ``vgg16``."""

    weights: FilePath | None = Field(
        None, description="The file vgg16-397923af.pth of torchvision; none takes the one in torch.hub's checkpoint folder."
    )


class ClipConfig(WeightsConfig):
    """Settings of ``clip``."""

    model: Literal["vit-b-32", "vit-b-16", "vit-l-14"] = Field(
        "vit-b-32", description="Which of CLIP's networks; any but vit-b-32 is named in the columns."
    )
    weights: FilePath | None = Field(
        None,
        description="OpenAI's file of the model, or a safetensors file or a state dict with its tensors; none takes the first, "
        "such as clip-ViT-B-32.pt, in torch.hub's checkpoint folder.",
    )


class Dinov2Config(WeightsConfig):
    """Settings of ``dinov2``."""

    model: Literal["vit-s-14", "vit-b-14", "vit-l-14"] = Field(
        "vit-l-14", description="Which of DINOv2's networks; any but vit-l-14 is named in the columns."
    )
    weights: FilePath | None = Field(
        None,
        description="Meta's file of the model, such as dinov2_vitl14_pretrain.pth, or a safetensors file with its tensors; "
        "none takes the first in torch.hub's checkpoint folder.",
    )
