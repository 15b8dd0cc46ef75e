"""Settings of the two-level VQGAN."""

from __future__ import annotations

from pydantic import Field

from tamingplat_vq.config import VQGANConfig


class TwoLevelVQGANConfig(VQGANConfig):
    """Settings of the two-level VQGAN.

    Those of VQGAN, where ``downsampling`` is the finer level's; ``channel_multipliers`` and ``attention_resolutions`` go on
    to the coarser level: downsampling + coarse_downsampling + 1 numbers, and any feature map side down to the coarser codes'.
    Both levels have codebooks of their own with ``codebook_size`` codes.
    """

    downsampling: int = Field(
        2, ge=0, le=8, description="m: the finer codes lie on a grid that is 2^m times coarser than the image."
    )
    coarse_downsampling: int = Field(
        1, ge=1, le=8, description="How often the finer grid's side is halved to give the coarser grid's."
    )
    channel_multipliers: tuple[int, ...] | None = Field(
        None,
        description="Width at each resolution from the image's to the coarser grid's, highest first, in multiples of channels: "
        "downsampling + coarse_downsampling + 1 numbers. None: the published ones of VQGAN for so many halvings, (1, 1, 2, 4) "
        "for 3.",
    )
    codebook_size: int = Field(512, ge=1, description="K, the number of codes of each of the two codebooks.")

    @property
    def halvings(self) -> int:
        """How often the side of an image is halved on the way to its coarser codes."""
        return self.downsampling + self.coarse_downsampling

    @property
    def _halved_by(self) -> str:
        return "(downsampling + coarse_downsampling)"
