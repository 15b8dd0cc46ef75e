"""Settings of the classifiers, and of the features of a classifier."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from tamingplat.interfaces import Config, FilePath, Ref, Runtime, Selection

Architecture = Literal[
    "alexnet",
    "convnext_tiny",
    "convnext_small",
    "convnext_base",
    "convnext_large",
    "densenet121",
    "densenet161",
    "densenet169",
    "densenet201",
    "efficientnet_b0",
    "efficientnet_b1",
    "efficientnet_b2",
    "efficientnet_b3",
    "efficientnet_b4",
    "efficientnet_b5",
    "efficientnet_b6",
    "efficientnet_b7",
    "efficientnet_v2_s",
    "efficientnet_v2_m",
    "efficientnet_v2_l",
    "mobilenet_v2",
    "mobilenet_v3_small",
    "mobilenet_v3_large",
    "resnet18",
    "resnet34",
    "resnet50",
    "resnet101",
    "resnet152",
    "resnext50_32x4d",
    "resnext101_32x8d",
    "resnext101_64x4d",
    "swin_t",
    "swin_s",
    "swin_b",
    "vgg11",
    "vgg11_bn",
    "vgg13",
    "vgg13_bn",
    "vgg16",
    "vgg16_bn",
    "vgg19",
    "vgg19_bn",
    "vit_b_16",
    "vit_b_32",
    "vit_l_16",
    "vit_l_32",
    "wide_resnet50_2",
    "wide_resnet101_2",
]
"""Networks of torchvision that end in one linear layer."""


class TorchvisionConfig(Config):
    """Settings of ``torchvision``."""

    architecture: Architecture = Field("resnet101", description="The network, by torchvision's name.")
    pretraining: Literal["IMAGENET1K_V1", "IMAGENET1K_V2"] = Field(
        "IMAGENET1K_V1", description="Which of torchvision's weights, and how they want images resized and normalised."
    )
    weights: FilePath | None = Field(
        None,
        description="Weights of one's own, a state dict of the architecture, read without executing anything in the file; none "
        "takes torchvision's file in torch.hub's checkpoint folder.",
    )
    label_file: FilePath | None = Field(
        None,
        description="The classes in the order of the network's outputs, a text file with one name a line, where they are not "
        "torchvision's ImageNet names; they have to be called as in the dataset.",
    )
    size: int | None = Field(
        None,
        ge=1,
        description="Images are resized until the shorter side has so many pixels, and the middle square is taken; none does "
        "what the pretraining says, for resnet101 256 and 224.",
    )
    trained_on: tuple[str, ...] = Field(
        (),
        description="Splits of the manifest's dataset that weights of one's own were trained on: samples chosen by them and "
        "measured on such a split are refused.",
    )
    download: Annotated[bool, Runtime()] = Field(
        False, description="Download torchvision's weights into torch.hub's checkpoint folder where they are not there yet."
    )


class ResidualConfig(Config):
    """Settings of ``residual``."""

    width: int = Field(32, ge=1, description="Channels behind the first convolution; each further stage doubles them.")
    stages: int = Field(3, ge=1, le=6, description="Stages, each of which but the first halves height and width.")
    blocks: int = Field(1, ge=1, description="Residual blocks per stage.")
    norm_groups: int = Field(8, ge=1, description="Groups of the group normalisation; divides width.")
    dropout: float = Field(0.1, ge=0, lt=1, description="Share of the features that the last layer misses, in training.")
    label_smoothing: float = Field(
        0.0, ge=0, lt=1, description="Share of each label's probability that is spread over all classes, in training."
    )

    @model_validator(mode="after")
    def _divisible(self) -> ResidualConfig:
        if self.width % self.norm_groups:
            raise ValueError(f"width {self.width} is not divisible by norm_groups {self.norm_groups}")
        return self


class ClassifierFeaturesConfig(Config):
    """Settings of the feature extractor ``classifier``."""

    classifier: Annotated[Selection, Ref("classifier")] = Field(description="The classifier whose features they are.")
