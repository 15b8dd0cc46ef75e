"""Settings of the metrics and of their feature extractor."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from tamingplat.interfaces import Config, FilePath, Ref, Runtime, Selection


class ReconstructionConfig(Config):
    """Settings of ``reconstruction``."""

    perceptual: Annotated[Selection, Ref("perceptual")] | None = Field(
        None, description="Perceptual network whose distance is a column of its own; without one there is no such column."
    )


class FrechetConfig(Config):
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


class FidConfig(FrechetConfig):
    """Settings of ``fid``."""

    extractor: Annotated[Selection, Ref("feature_extractor")] = Field(
        Selection(use="inception"), description="The extractor inception, or a manifest block that uses it."
    )


class InceptionConfig(Config):
    """Settings of ``inception``."""

    weights: FilePath | None = Field(
        None,
        description="The file weights-inception-2015-12-05-6726825d.pth of torch-fidelity; none takes the one in torch.hub's "
        "checkpoint folder.",
    )
    download: Annotated[bool, Runtime()] = Field(
        False, description="Download the weights into torch.hub's checkpoint folder where they are not there yet."
    )
