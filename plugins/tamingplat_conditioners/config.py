"""Settings of the conditioners."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from tamingplat.interfaces import Config, Ref, Selection

Dropout = Annotated[float, Field(ge=0, lt=1)]

COCO_LIMBS = (
    ("left_ankle", "left_knee"),
    ("left_knee", "left_hip"),
    ("right_ankle", "right_knee"),
    ("right_knee", "right_hip"),
    ("left_hip", "right_hip"),
    ("left_shoulder", "left_hip"),
    ("right_shoulder", "right_hip"),
    ("left_shoulder", "right_shoulder"),
    ("left_shoulder", "left_elbow"),
    ("right_shoulder", "right_elbow"),
    ("left_elbow", "left_wrist"),
    ("right_elbow", "right_wrist"),
    ("left_eye", "right_eye"),
    ("nose", "left_eye"),
    ("nose", "right_eye"),
    ("left_eye", "left_ear"),
    ("right_eye", "right_ear"),
    ("left_ear", "left_shoulder"),
    ("right_ear", "right_shoulder"),
)
"""The skeleton of COCO's 17 joints, by the names of the joints."""


class ClassConfig(Config):
    """Settings of ``class``."""

    classes: tuple[str, ...] | None = Field(
        None,
        description="The dataset's classes that are told apart, by name and in this order; all others share one more token. "
        "None tells all classes apart, in the dataset's order.",
    )
    dropout: Dropout = Field(
        0.0,
        description="Share of training examples whose class is replaced by the null token; guidance needs some.",
    )

    @model_validator(mode="after")
    def _distinct(self) -> ClassConfig:
        if self.classes is not None:
            if not self.classes:
                raise ValueError("classes must name at least one class; leave it out to tell all classes apart")
            repeated = sorted({name for name in self.classes if self.classes.count(name) > 1})
            if repeated:
                raise ValueError(f"classes names {', '.join(repeated)} more than once")
        return self


class SpatialConfig(Config):
    """What all conditions share that go through a tokenizer of their own."""

    tokenizer: Annotated[Selection, Ref("tokenizer")] = Field(
        description="The condition's own tokenizer, a block of the manifest; it is trained on the condition's maps, as its "
        "train block says."
    )
    dropout: Dropout = Field(
        0.0,
        description="Share of training examples whose condition is replaced by null tokens; guidance needs some.",
    )


class SegmentationConfig(SpatialConfig):
    """Settings of ``segmentation``."""


class DepthConfig(SpatialConfig):
    """Settings of ``depth``."""

    channels: Literal[1, 3] = Field(
        1, description="Channels of the maps: 3 repeats the depth, for tokenizers with a perceptual loss."
    )


class EdgesConfig(SpatialConfig):
    """Settings of ``edges``."""

    low: float = Field(100.0, ge=0, description="Gradient (L1, of a 3×3 Sobel filter on 0 to 255) from which edges go on.")
    high: float = Field(200.0, ge=0, description="Gradient from which edges begin.")
    blur: float = Field(0.0, ge=0, description="Standard deviation in pixels of a Gaussian filter before it; 0 is none.")
    channels: Literal[1, 3] = Field(
        1, description="Channels of the maps: 3 repeats the edges, for tokenizers with a perceptual loss."
    )

    @model_validator(mode="after")
    def _ordered(self) -> EdgesConfig:
        if self.low > self.high:
            raise ValueError(f"low {self.low} exceeds high {self.high}")
        return self


class LowResolutionConfig(SpatialConfig):
    """Settings of ``low-resolution``."""

    factor: int = Field(4, ge=2, le=8, description="How many pixels of the image, along each side, one of the map averages.")
    enlarge: bool = Field(
        False,
        description="Whether each pixel of the map is repeated, so that the map is as large as the image and a tokenizer of "
        "the image's f gives as many codes for it. False: the tokenizer sees the small image.",
    )


class KeypointsConfig(SpatialConfig):
    """Settings of ``keypoints``."""

    drawing: Literal["skeleton", "joints"] = Field(
        "skeleton",
        description="skeleton: limbs in a colour each, drawn as an RGB image; joints: one channel for each joint, a disc where "
        "it is.",
    )
    limbs: tuple[tuple[str, str], ...] = Field(
        COCO_LIMBS,
        description="Limbs of the skeleton as pairs of joints; those with a joint that is not there are left out.",
    )
    thickness: int | None = Field(
        None, ge=1, description="Width of limbs and radius of discs in pixels; none: a 64th of the image's shorter side."
    )

    @model_validator(mode="after")
    def _some_limbs(self) -> KeypointsConfig:
        if self.drawing == "skeleton" and not self.limbs:
            raise ValueError('limbs is empty; name pairs of joints, or set drawing = "joints"')
        return self


class CoordinatesConfig(Config):
    """Settings of ``coordinates``."""

    downsampling: int = Field(
        4, ge=0, le=8, description="m: one token for 2^m × 2^m pixels; the image tokenizer's own, so that windows match."
    )
    tokens: int = Field(1024, ge=1, description="Into how many tokens the raster index is quantized.")
    frame: Literal["image", "original"] = Field(
        "image",
        description="What the coordinates are counted in. image: the image as the dataset gives it. original: what it was "
        "cropped from, which the dataset says in its column coordinates.",
    )
    dropout: Dropout = Field(
        0.0, description="Share of training examples whose coordinates are replaced by null tokens; guidance needs some."
    )


class CombinedConfig(Config):
    """Settings of ``combined``."""

    parts: tuple[Annotated[Selection, Ref("conditioner")], ...] = Field(
        min_length=2, description="The conditions, in the order in which their tokens come."
    )
    dropout: Dropout = Field(
        0.0,
        description="Share of training examples in which all parts are replaced by their null tokens together; the parts have "
        "no such share of their own.",
    )
