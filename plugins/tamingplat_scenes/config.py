"""Settings of the dataset."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BeforeValidator, Field, NonNegativeInt, PositiveInt, model_validator

from tamingplat.interfaces import Config


def _both_sides(value: Any) -> Any:
    return (value, value) if isinstance(value, int) and not isinstance(value, bool) else value


ImageSize = Annotated[
    tuple[PositiveInt, PositiveInt],
    BeforeValidator(_both_sides, json_schema_input_type=PositiveInt | tuple[PositiveInt, PositiveInt]),
]
SplitName = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_-]*$")]


class ScenesConfig(Config):
    """Settings of ``scenes``."""

    size: ImageSize = Field(description="Height and width of the images in pixels; one number for a square.")
    scene_size: ImageSize | None = Field(
        None,
        description="Height and width in pixels of whole scenes, of which the images are windows; none: images are whole "
        "scenes. Only the window is computed.",
    )
    train: PositiveInt = Field(10_000, description="Number of training images.")
    validation: PositiveInt = Field(1_000, description="Number of validation images.")
    extra_splits: dict[SplitName, PositiveInt] = Field(
        default_factory=dict, description="Numbers of images of further splits by name, such as selection or test."
    )
    seed: NonNegativeInt = Field(0, description="Of all scenes; another one gives other scenes.")
    shapes: tuple[NonNegativeInt, NonNegativeInt] = Field(
        (2, 6), description="Least and largest number of shapes, beside the figure."
    )
    coordinates: bool = Field(
        False, description="Whether each image comes with its place in its whole scene, as the column coordinates."
    )

    @property
    def whole(self) -> tuple[int, int]:
        """Height and width of whole scenes in pixels."""
        return self.scene_size or self.size

    @property
    def splits(self) -> dict[str, int]:
        """Number of images of every split."""
        return {"train": self.train, "validation": self.validation, **self.extra_splits}

    @model_validator(mode="after")
    def _possible(self) -> ScenesConfig:
        if self.whole[0] < self.size[0] or self.whole[1] < self.size[1]:
            raise ValueError(
                f"scene_size {self.whole[0]}×{self.whole[1]} is smaller than size {self.size[0]}×{self.size[1]}, which is "
                "cut out of it"
            )
        if self.shapes[0] > self.shapes[1]:
            raise ValueError(f"shapes must ascend, not go from {self.shapes[0]} to {self.shapes[1]}")
        taken = {"train", "validation"} & set(self.extra_splits)
        if taken:
            raise ValueError(f"extra_splits must not repeat {' and '.join(sorted(taken))}, which have fields of their own")
        return self
