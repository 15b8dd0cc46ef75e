"""Settings of what comes with an image: label maps, depth maps and keypoints, in columns of a table or beside folders."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal, NamedTuple, Self

from pydantic import Field, model_validator

from tamingplat.interfaces import Config, FilePath

Column = Annotated[str, Field(min_length=1)]

COCO_JOINTS = (
    "nose",
    "left_eye",
    "right_eye",
    "left_ear",
    "right_ear",
    "left_shoulder",
    "right_shoulder",
    "left_elbow",
    "right_elbow",
    "left_wrist",
    "right_wrist",
    "left_hip",
    "right_hip",
    "left_knee",
    "right_knee",
    "left_ankle",
    "right_ankle",
)
"""COCO's joints of a person, in the order of its files."""


class SegmentationConfig(Config):
    """What the pixels of label maps mean: images of one channel that hold class numbers, as large as the images."""

    classes: int = Field(ge=1, le=65_535, description="Number of classes; pixels are 0 to classes − 1.")
    ignore: int | None = Field(
        None,
        ge=0,
        description="Value of pixels without a class, often 255: they become one more class, the last. None: there are none.",
    )
    palette: Literal["refuse", "indices"] = Field(
        "refuse",
        description="Maps with a palette: refuse, because programs number palettes as they like, or take indices as classes.",
    )

    @model_validator(mode="after")
    def _ignored_is_no_class(self) -> Self:
        if self.ignore is not None and self.ignore < self.classes:
            raise ValueError(f"ignore {self.ignore} is one of the {self.classes} classes, 0 to {self.classes - 1}")
        return self

    @property
    def numbers(self) -> int:
        """Number of classes with that of the pixels that have none."""
        return self.classes + (self.ignore is not None)


class DepthConfig(Config):
    """What the pixels of depth maps mean: one channel of 8 or 16 bits, or of floating point, as large as the images."""

    range: tuple[float, float] | None = Field(
        None,
        description="The stored values that become 0 and 1; what lies beyond is cut off. None: the least and the largest value "
        "of each image, because estimated depth has neither a scale nor an origin.",
    )

    @model_validator(mode="after")
    def _ascending(self) -> Self:
        if self.range is not None and self.range[0] >= self.range[1]:
            raise ValueError(f"range must ascend, not go from {self.range[0]} to {self.range[1]}")
        return self


class KeypointsConfig(Config):
    """What the numbers of keypoints mean: x, y and visibility of every joint, one figure after the other, as in COCO."""

    joints: tuple[str, ...] = Field(
        COCO_JOINTS,
        min_length=1,
        description="Names of the joints in order. Where images are mirrored, left and right in a name change places.",
    )
    figures: int = Field(1, ge=1, description="Figures that are kept of each image, the largest ones first.")
    required: bool = Field(True, description="Whether an image without any figure is an error; false: nothing is seen in it.")

    @model_validator(mode="after")
    def _distinct(self) -> Self:
        if len(set(self.joints)) < len(self.joints):
            raise ValueError("joints names a joint more than once")
        return self


class SegmentationColumn(SegmentationConfig):
    """A column of label maps."""

    column: Column = Field("segmentation", description="Column of encoded label maps (Hugging Face Image, or bytes).")


class DepthColumn(DepthConfig):
    """A column of depth maps."""

    column: Column = Field("depth", description="Column of encoded depth maps (Hugging Face Image, or bytes).")


class KeypointsColumn(KeypointsConfig):
    """A column of keypoints."""

    column: Column = Field(
        "keypoints", description="Column of lists of numbers, nested or not: x, y, visibility of each joint."
    )


class BesideImages(Config):
    """Where something lies that belongs to images in folders: for ``root``, or for both splits, as the images themselves."""

    root: FilePath | None = Field(None, description="What belongs to the images in root.")
    train: FilePath | None = Field(None, description="What belongs to the images in train.")
    validation: FilePath | None = Field(None, description="What belongs to the images in validation.")

    def place(self, split: str) -> Path:
        """Where it lies for a split."""
        place = self.root or {"train": self.train, "validation": self.validation}[split]
        assert place is not None, "checked with the folders of the images"
        return place


class SegmentationFolders(BesideImages, SegmentationConfig):
    """Folders of label maps, named as the images are, with any suffix."""


class DepthFolders(BesideImages, DepthConfig):
    """Folders of depth maps, named as the images are, with any suffix."""


class KeypointsFiles(BesideImages, KeypointsConfig):
    """JSON files in COCO's layout (images, annotations), whose images are named by their paths in the folder."""


class Conditions(NamedTuple):
    """The columns that can come with an image; ``None`` for what does not."""

    segmentation: SegmentationConfig | None = None
    depth: DepthConfig | None = None
    keypoints: KeypointsConfig | None = None
