"""Settings of the datasets."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, PositiveInt, model_validator

from tamingplat.interfaces import Config, FilePath
from tamingplat_datasets.condition_config import (
    Column,
    Conditions,
    DepthColumn,
    DepthFolders,
    KeypointsColumn,
    KeypointsFiles,
    SegmentationColumn,
    SegmentationFolders,
)

Interpolation = Literal["nearest", "box", "bilinear", "bicubic", "lanczos", "bilinear-unsmoothed"]


def _both_sides(value: Any) -> Any:
    return (value, value) if isinstance(value, int) and not isinstance(value, bool) else value


def _nothing_if_empty(value: Any) -> Any:
    return None if value == "" else value


ImageSize = Annotated[
    tuple[PositiveInt, PositiveInt],
    BeforeValidator(_both_sides, json_schema_input_type=PositiveInt | tuple[PositiveInt, PositiveInt]),
]
OptionalColumn = Annotated[str | None, BeforeValidator(_nothing_if_empty)]
Byte = Annotated[int, Field(ge=0, le=255)]


class ImageConfig(Config):
    """What is done to every image, wherever it comes from."""

    size: ImageSize = Field(description="Height and width in pixels; one number for a square.")
    channels: int = Field(3, ge=1, le=4, description="1 grey, 2 grey with alpha, 3 RGB, 4 RGB with alpha.")
    resize: Literal["shorter", "exact", "none"] = Field(
        "shorter",
        description="shorter: scale until the image just covers size, then crop; exact: scale each side alone; none: crop.",
    )
    crop: Literal["center", "random"] = Field(
        "center", description="Where views other than the plain one are cropped; the plain view always takes the centre."
    )
    flip: bool = Field(False, description="Mirror views other than the plain one left to right with probability one half.")
    interpolation: Interpolation = Field(
        "bicubic",
        description="Filter of the resizing. box, bilinear, bicubic and lanczos smooth when they shrink. bilinear-unsmoothed "
        "reads four neighbours always, as OpenCV's bilinear filter does, with which VQGAN's authors scaled theirs.",
    )
    background: tuple[Byte, Byte, Byte] = Field(
        (255, 255, 255), description="RGB colour, 0 to 255, behind transparent pixels where channels is 1 or 3."
    )
    limit: PositiveInt | dict[str, PositiveInt] | None = Field(
        None, description="At most so many images of every split, or of each split by name: the first ones."
    )
    coordinates: bool = Field(
        False, description="Whether each image comes with its place in what it was cropped from, as the column coordinates."
    )

    @property
    def conditions(self) -> Conditions:
        """What comes with every image, beside its class."""
        return Conditions()


class TableConfig(ImageConfig):
    """Which columns of a table are taken."""

    image_column: Column = Field("image", description="Column of encoded images (Hugging Face Image, or bytes).")
    label_column: OptionalColumn = Field("label", description="Column of classes; an empty string for images without labels.")
    segmentation: SegmentationColumn | None = Field(None, description="Label maps, where there are any.")
    depth: DepthColumn | None = Field(None, description="Depth maps, where there are any.")
    keypoints: KeypointsColumn | None = Field(None, description="Keypoints, where there are any.")

    @property
    def conditions(self) -> Conditions:
        """What comes with every image, beside its class."""
        return Conditions(self.segmentation, self.depth, self.keypoints)

    @property
    def condition_columns(self) -> dict[str, str]:
        """The table's column for each of ours, of those that are taken beside image and label."""
        named = (("segmentation", self.segmentation), ("depth", self.depth), ("keypoints", self.keypoints))
        return {name: block.column for name, block in named if block is not None}


class ParquetConfig(TableConfig):
    """Settings of ``parquet``."""

    train: FilePath = Field(description="Parquet file, or folder of Parquet files in the order of their names.")
    validation: FilePath = Field(description="The same for the validation split.")
    extra_splits: dict[Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_-]*$")], FilePath] = Field(
        default_factory=dict, description="Further splits by name, such as selection or test."
    )

    @model_validator(mode="after")
    def _distinct_splits(self) -> ParquetConfig:
        taken = {"train", "validation"} & set(self.extra_splits)
        if taken:
            raise ValueError(f"extra_splits must not repeat {' and '.join(sorted(taken))}, which have fields of their own")
        return self


class ImageFolderConfig(ImageConfig):
    """Settings of ``imagefolder``: either ``root``, which is split here, or a folder for each split."""

    root: FilePath | None = Field(None, description="Folder of all images, split by validation_fraction.")
    validation_fraction: float = Field(
        0.1,
        gt=0,
        lt=1,
        description="Share of root's images that are validation. A file's name decides, so that adding files moves no other.",
    )
    train: FilePath | None = Field(None, description="Folder of the training images, in place of root.")
    validation: FilePath | None = Field(None, description="Folder of the validation images, in place of root.")
    labels: bool = Field(
        True, description="Whether the folders directly inside are classes; without such folders there are none."
    )
    segmentation: SegmentationFolders | None = Field(None, description="Label maps, where there are any.")
    depth: DepthFolders | None = Field(None, description="Depth maps, where there are any.")
    keypoints: KeypointsFiles | None = Field(None, description="Keypoints, where there are any.")

    @property
    def conditions(self) -> Conditions:
        """What comes with every image, beside its class."""
        return Conditions(self.segmentation, self.depth, self.keypoints)

    @model_validator(mode="after")
    def _one_layout(self) -> ImageFolderConfig:
        split = (self.train, self.validation)
        if self.root is not None and split != (None, None):
            raise ValueError("give either root, or train and validation, not both")
        if self.root is None and None in split:
            raise ValueError("give root, a folder of images that is split here, or both train and validation")
        for name, block in (("segmentation", self.segmentation), ("depth", self.depth), ("keypoints", self.keypoints)):
            if block is None:
                continue
            given = [field for field in ("root", "train", "validation") if getattr(block, field) is not None]
            wanted = ["root"] if self.root is not None else ["train", "validation"]
            if given != wanted:
                raise ValueError(f"{name} must give {' and '.join(wanted)}, as the images themselves do")
        return self


class HubConfig(TableConfig):
    """Settings of ``hub``. A token for private repositories is taken from the environment (HF_TOKEN)."""

    path: OptionalColumn = Field(
        None, pattern=r"^[\w.-]+(/[\w.-]+)?$", description="Repository on the hub, as in ylecun/mnist, together with revision."
    )
    revision: OptionalColumn = Field(
        None,
        pattern=r"^[0-9a-f]{40}$",
        description="Full commit of the repository (40 hexadecimal digits), so that equal settings always mean equal images.",
    )
    folder: FilePath | None = Field(None, description="A downloaded copy of a repository, in place of path and revision.")
    name: OptionalColumn = Field(None, description="Configuration of the repository, where it has several.")
    train: str = Field("train", pattern=r"^\w+(\.\w+)*$", description="The repository's split to train on.")
    validation: str = Field(
        "validation", pattern=r"^\w+(\.\w+)*$", description="The repository's split to validate on, often test."
    )

    @model_validator(mode="after")
    def _one_source(self) -> HubConfig:
        if (self.path is None) == (self.folder is None):
            raise ValueError("give either path, a repository on the hub, or folder, a downloaded copy of one")
        if self.path is not None and self.revision is None:
            raise ValueError("give revision, the full commit that huggingface.co/datasets/PATH/commits/main shows")
        if self.folder is not None and self.revision is not None:
            raise ValueError("revision belongs to path; a folder is known by its content")
        if self.train == self.validation:
            raise ValueError("train and validation name the same split of the repository")
        return self
