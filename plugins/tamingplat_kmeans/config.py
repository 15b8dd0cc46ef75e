"""Settings of the palette tokenizer."""

from __future__ import annotations

from pydantic import Field, model_validator

from tamingplat.interfaces import Config


class KMeansConfig(Config):
    """Settings of ``kmeans``, which is fitted and has no ``train`` block."""

    codebook_size: int = Field(512, ge=1, description="Colours of the palette, K.")
    steps: int = Field(200, ge=1, description="Mini-batches of pixels, over as many passes through the images as they need.")
    pixels_per_step: int = Field(8192, ge=1, description="Pixels of a mini-batch.")
    pixels_per_image: int = Field(
        512, ge=1, description="Pixels drawn from an image each time it is read; all where it has fewer."
    )
    seeding_pixels: int = Field(
        32768, ge=1, description="Pixels, from the first batches of images, among which k-means++ chooses the first palette."
    )
    reseed_every: int = Field(
        25,
        ge=1,
        description="Steps after which colours that no pixel chose meanwhile are moved to pixels far from all colours.",
    )

    @model_validator(mode="after")
    def _enough_to_seed(self) -> KMeansConfig:
        if self.seeding_pixels < self.codebook_size:
            raise ValueError(f"seeding_pixels {self.seeding_pixels} is smaller than codebook_size {self.codebook_size}")
        return self
