"""Settings of the metrics."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, NonNegativeInt, PositiveInt, model_validator

from tamingplat.interfaces import Config, Ref, Region, Selection


class AgreementConfig(Config):
    """How an estimator is fitted to the reference split, for what can only be estimated in an image."""

    fit_images: PositiveInt = Field(400, description="How many images of the reference split the estimator is fitted to.")
    fit_pixels: PositiveInt = Field(120, description="Pixels of each of them.")
    features: PositiveInt = Field(384, description="Random features of a pixel's surroundings that the estimate is linear in.")
    ridge: float = Field(1e-4, gt=0, description="Strength of the regularisation, per pixel that it is fitted to.")


class ClassAgreementConfig(Config):
    """Settings of ``class-agreement``."""

    classifier: Annotated[Selection, Ref("classifier")] = Field(
        description="A classifier of the dataset's classes, a block of the manifest."
    )
    batch_size: PositiveInt = Field(64, description="Images that are classified together.")


class EdgeAgreementConfig(Config):
    """Settings of ``edge-agreement``; the first three are those of the conditioner ``edges``."""

    low: float = Field(100.0, ge=0, description="Gradient (L1, of a 3×3 Sobel filter on 0 to 255) from which edges go on.")
    high: float = Field(200.0, ge=0, description="Gradient from which edges begin.")
    blur: float = Field(0.0, ge=0, description="Standard deviation in pixels of a Gaussian filter before it; 0 is none.")
    tolerance: NonNegativeInt = Field(1, description="How many pixels beside an edge one still counts as the same.")

    @model_validator(mode="after")
    def _ordered(self) -> EdgeAgreementConfig:
        if self.low > self.high:
            raise ValueError(f"low {self.low} exceeds high {self.high}")
        return self


class LowResolutionAgreementConfig(Config):
    """Settings of ``low-resolution-agreement``."""

    factor: int = Field(4, ge=2, le=8, description="As of the conditioner: how many pixels along each side are averaged.")


class KeypointAgreementConfig(AgreementConfig):
    """Settings of ``keypoint-agreement``."""

    spread: float = Field(
        0.03, gt=0, description="Standard deviation of the target around a joint, in heights of the image; at least a pixel."
    )


class CompletionAgreementConfig(Config):
    """Settings of ``completion-agreement``."""

    region: Region = Field(Region(0, 0, 0.5, 1), description="The given part: top, left, bottom, right as shares of the sides.")


class GivenRegionConfig(CompletionAgreementConfig):
    """Settings of ``given-region``."""

    perceptual: Annotated[Selection, Ref("perceptual")] | None = Field(
        Selection(use="st-alex"), description="Perceptual network; without one there is only the PSNR."
    )
    batch_size: PositiveInt = Field(64, description="Images that the network compares together.")
