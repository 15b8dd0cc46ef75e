"""What a manifest expects of data that may not be on this machine, so that a plan can be made without them."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BeforeValidator, Field, PositiveInt, model_validator

from tamingplat.interfaces import Config


def _both_sides(value: Any) -> Any:
    return (value, value) if isinstance(value, int) and not isinstance(value, bool) else value


Sides = Annotated[
    tuple[PositiveInt, PositiveInt],
    BeforeValidator(_both_sides, json_schema_input_type=PositiveInt | tuple[PositiveInt, PositiveInt]),
]
Name = Annotated[str, Field(min_length=1)]


class ExpectedData(Config):
    """The field ``expected`` of a dataset block: what the dataset gives with the block's settings, once its files are here.

    It enters no content key. Data that are here are used, and compared with it.
    """

    image_size: Sides = Field(description="Height and width in pixels of every image; one number for a square.")
    channels: int = Field(3, ge=1, description="Channels of every image.")
    splits: dict[Name, PositiveInt] = Field(min_length=1, description="Number of images of each split.")
    classes: PositiveInt | tuple[Name, ...] | None = Field(
        None, description="Number of classes, or their names in order; none where images have no label."
    )
    columns: tuple[Name, ...] = Field(
        (), description="What is read of every example; by default image, and label where there are classes."
    )
    segmentation_classes: PositiveInt | None = Field(None, description="Number of classes in the column segmentation.")
    joints: tuple[Name, ...] | None = Field(None, description="Names of the joints in the column keypoints, in order.")
    download: str = Field(
        min_length=1, description="One sentence for whoever lacks the data: what to get from where, and where to put it."
    )

    @model_validator(mode="after")
    def _consistent(self) -> ExpectedData:
        if self.columns and "image" not in self.columns:
            raise ValueError(f"columns {', '.join(self.columns)} must include image")
        if self.columns and self.classes is not None and "label" not in self.columns:
            raise ValueError(f"columns {', '.join(self.columns)} must include label where there are classes")
        return self

    @property
    def class_names(self) -> tuple[str, ...] | None:
        """The classes in order, numbered where only their number is said; ``None`` without classes."""
        if isinstance(self.classes, int):
            return tuple(map(str, range(self.classes)))
        return self.classes

    @property
    def all_columns(self) -> tuple[str, ...]:
        """``columns``, or their default."""
        return self.columns or (("image",) if self.classes is None else ("image", "label"))
