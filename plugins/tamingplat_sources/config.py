"""Settings of the sources."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BeforeValidator, Field, PositiveInt, field_validator, model_validator

from tamingplat.interfaces import Config

MOST_WIDTH = 8
MOST_STATES = 1 << 16
"""Rows of colours that a Potts field may tell apart, q^width: what a message of its transfer matrix holds."""
MOST_MESSAGES = 1 << 25
"""Numbers that all messages of a Potts field hold together, q^width for every pixel: 256 MiB."""


def _both_sides(value: Any) -> Any:
    return (value, value) if isinstance(value, int) and not isinstance(value, bool) else value


ImageSize = Annotated[
    tuple[PositiveInt, PositiveInt],
    BeforeValidator(_both_sides, json_schema_input_type=PositiveInt | tuple[PositiveInt, PositiveInt]),
]


class SourceConfig(Config):
    """What every source is told."""

    size: ImageSize = Field((8, 8), description="Height and width in pixels; one number for a square.")
    images: dict[str, int] = Field(
        {"train": 50_000, "validation": 2_000},
        description="How many images each split has, by its name. More of them change none of the first ones.",
    )
    seed: int = Field(0, ge=0, lt=1 << 63, description="Of the source's own numbers, where it has any, and of the images.")

    @field_validator("images")
    @classmethod
    def _some_images(cls, images: dict[str, int]) -> dict[str, int]:
        if not images:
            raise ValueError("name at least one split, such as train = 50000")
        for split, count in images.items():
            if not 1 <= count < 1 << 32:
                raise ValueError(f"split {split} has {count} images; give it between 1 and 2^32 − 1 of them, or leave it out")
        return images


class MarkovMeshConfig(SourceConfig):
    """Settings of ``markov-mesh``."""

    colours: int = Field(8, ge=2, le=32, description="Colours of the palette, K.")
    concentration: float = Field(
        0.3,
        gt=0,
        description="Concentration of the symmetric Dirichlet distribution from which every row of the table is drawn: small "
        "values make the next colour almost certain, large ones make all colours equally probable.",
    )


class PottsConfig(SourceConfig):
    """Settings of ``potts``."""

    colours: int = Field(3, ge=2, le=32, description="Colours of the palette, q.")
    coupling: float = Field(
        0.8,
        ge=-10,
        le=10,
        description="What two equal neighbours add to the log-probability, in nats. Large fields order themselves above "
        "ln(1 + √q), which is 1.005 for three colours.",
    )

    @model_validator(mode="after")
    def _small_enough(self) -> PottsConfig:
        height, width = self.size
        if width > MOST_WIDTH:
            raise ValueError(
                f"size: {width} pixels wide, and likelihoods are exact up to {MOST_WIDTH}; choose a narrower image, or "
                "markov-mesh, which has any size"
            )
        states = self.colours**width
        if states > MOST_STATES:
            raise ValueError(
                f"colours: a row of {width} pixels of {self.colours} colours has {states} states, above {MOST_STATES}; choose "
                "fewer colours or a narrower image"
            )
        if states * height * width > MOST_MESSAGES:
            raise ValueError(
                f"size: {height}×{width} pixels of {self.colours} colours take {states * height * width} numbers, above "
                f"{MOST_MESSAGES}; choose fewer rows"
            )
        return self
