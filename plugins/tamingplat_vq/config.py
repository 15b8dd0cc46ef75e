"""Settings of VQVAE and VQGAN."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Literal

from pydantic import Field

from tamingplat.interfaces import Ref, Selection
from tamingplat_vq.quantizer_config import QuantizerConfig

# Smallest images in pixels that the shipped perceptual networks take, all of them of three channels, or of one, which is
# repeated: what can be said of a selection before it is built. The network itself has the last word.
_SMALLEST = {"lpips-vgg": 16, "lpips-alex": 31, "lpips-squeeze": 17, "st-vgg": 24, "st-alex": 24}

_DEFAULT_MULTIPLIERS = {0: (1,), 1: (1, 2), 2: (1, 2, 4), 3: (1, 1, 2, 4)}


def perceptual_faults(name: str, smallest: int, image_size: tuple[int, int], channels: int) -> Iterator[str]:
    """Why a perceptual network cannot take some images, each with its remedy.

    Args:
        name: Of the network.
        smallest: Height and width in pixels that it needs.
        image_size: Height and width of the images.
        channels: Of the images.
    """
    if channels not in (1, 3):
        yield (
            f"the perceptual network {name} takes images of 1 or 3 channels, not {channels}; "
            'set perceptual = "none" or perceptual_weight = 0'
        )
    if min(image_size) < smallest:
        yield (
            f"the perceptual network {name} needs images of at least {smallest} pixels, not {image_size[0]}×{image_size[1]}; "
            'use larger images, or set perceptual = "none" or perceptual_weight = 0'
        )


class AutoencoderConfig(QuantizerConfig):
    """What all vector-quantized tokenizers share: the encoder, the decoder and the codebook."""

    latent_channels: int | None = Field(
        None, ge=1, description="Channels that the encoder puts out before they are mapped to embedding_dim; none: as many."
    )
    downsampling: int = Field(4, ge=0, le=8, description="m: codes lie on a grid that is 2^m times coarser than the image.")
    channels: int = Field(128, ge=1, description="Width of the network at the highest resolution.")
    channel_multipliers: tuple[int, ...] | None = Field(
        None,
        description="Width at each resolution, highest first, in multiples of channels: downsampling + 1 numbers. None: the "
        "published ones, (1, 1, 2, 2, 4) for 4, (1, 1, 2, 4) for 3, (1, 2, 4) for 2, (1, 2) for 1, and more fours for more.",
    )
    residual_blocks: int = Field(2, ge=1, description="Residual blocks per resolution of the encoder; one more in the decoder.")
    attention_resolutions: tuple[int, ...] | None = Field(
        None,
        description="Feature map sides at which an attention block follows each residual block, in an image of side "
        "resolution; none: the lowest one. The middle blocks always attend.",
    )
    resolution: int | None = Field(
        None,
        ge=1,
        description="Image side that attention_resolutions is stated for, whatever images come later; none: the shorter side "
        "of the dataset's images.",
    )
    dropout: float = Field(0.0, ge=0, lt=1, description="Dropout inside residual blocks.")
    norm_groups: int = Field(32, ge=1, description="Groups of the group normalisation; every width is divisible by it.")

    @property
    def halvings(self) -> int:
        """How often the side of an image is halved on the way to its (coarsest) codes."""
        return self.downsampling

    @property
    def _halved_by(self) -> str:
        """The settings that ``halvings`` comes from, for messages."""
        return "downsampling"

    @property
    def factor(self) -> int:
        """f, the side of the square of pixels that one (of the coarsest) codes stands for."""
        return 1 << self.halvings

    @property
    def multipliers(self) -> tuple[int, ...]:
        """``channel_multipliers``, or the default for so many halvings."""
        if self.channel_multipliers is not None:
            return self.channel_multipliers
        return _DEFAULT_MULTIPLIERS.get(self.halvings, (1, 1, 2, 2) + (4,) * (self.halvings - 3))

    @property
    def z_channels(self) -> int:
        """``latent_channels``, or ``embedding_dim``."""
        return self.embedding_dim if self.latent_channels is None else self.latent_channels

    def attended_levels(self, image_size: tuple[int, int]) -> tuple[int, ...]:
        """The resolutions with attention blocks, as numbers of halvings, for images of height and width ``image_size``."""
        side = min(image_size) if self.resolution is None else self.resolution
        if self.attention_resolutions is None:
            return (self.halvings,)
        return tuple(level for level in range(self.halvings + 1) if side // 2**level in self.attention_resolutions)

    def image_faults(self, image_size: tuple[int, int], channels: int) -> Iterator[str]:
        """What makes images of height and width ``image_size`` impossible, each with its remedy."""
        if image_size[0] % self.factor or image_size[1] % self.factor:
            yield (
                f"images of {image_size[0]}×{image_size[1]} pixels are not divisible by {self.factor}, which is "
                f"2^{self._halved_by}; resize the images or lower downsampling"
            )
        elif self.resolution is None:
            yield from self._attention_faults(min(image_size))

    def _faults(self) -> Iterator[str]:
        yield from super()._faults()
        if len(self.multipliers) != self.halvings + 1:
            yield (
                f"channel_multipliers has {len(self.multipliers)} numbers; {self._halved_by} {self.halvings} needs "
                f"{self.halvings + 1}"
            )
        if min(self.multipliers, default=1) < 1:
            yield "channel_multipliers must be positive"
        for width in sorted({self.channels, *(self.channels * multiplier for multiplier in self.multipliers)}):
            if width % self.norm_groups:
                yield f"a width of {width} channels is not divisible by norm_groups {self.norm_groups}"
        if self.resolution is not None:
            yield from self._attention_faults(self.resolution)

    def _attention_faults(self, side: int) -> Iterator[str]:
        if side % self.factor:
            yield f"a side of {side} pixels is not divisible by {self.factor}, which is 2^{self._halved_by}"
            return
        sides = [side // 2**level for level in range(self.halvings + 1)]
        for wanted in self.attention_resolutions or ():
            if wanted not in sides:
                yield f"attention resolution {wanted} never occurs; the feature maps have sides {', '.join(map(str, sides))}"


class VQConfig(AutoencoderConfig):
    """What VQVAE and VQGAN share: the autoencoder and the reconstruction terms."""

    pixel_loss: Literal["l1", "l2"] = Field("l1", description="Absolute or squared difference of pixels, averaged.")
    pixel_weight: float = Field(1.0, ge=0, description="Weight of the pixel loss.")
    perceptual: Annotated[Selection, Ref("perceptual")] = Field(
        Selection(use="lpips-vgg"),
        description="Perceptual distance between image and reconstruction. The network is always in eval mode: the dropout on "
        "LPIPS's linear layers, which the reference implementation has active in training, is off.",
    )
    perceptual_weight: float | None = Field(
        None, ge=0, description="Weight of the perceptual distance; none: what the network gives as its default."
    )

    def image_faults(self, image_size: tuple[int, int], channels: int) -> Iterator[str]:
        """What makes images of height and width ``image_size`` impossible, each with its remedy."""
        yield from super().image_faults(image_size, channels)
        smallest = _SMALLEST.get(self.perceptual.use)
        if smallest is not None and self.perceptual_weight != 0:
            yield from perceptual_faults(self.perceptual.use, smallest, image_size, channels)


class VQVAEConfig(VQConfig):
    """Settings of VQVAE: squared error, no perceptual distance, β on the commitment term."""

    pixel_loss: Literal["l1", "l2"] = Field("l2", description="Absolute or squared difference of pixels, averaged.")
    perceptual: Annotated[Selection, Ref("perceptual")] = Field(
        Selection(use="none"), description="Perceptual distance between image and reconstruction."
    )
    commitment_placement: Literal["reference", "paper"] = Field(
        "paper",
        description="Which term β weighs. paper: the commitment term, as in Eq. 4 and in VQ-VAE, with weight 1 for the codebook"
        " term. reference: the codebook term, with weight 1 for the commitment term, as the published VQGANs were trained.",
    )


class VQGANConfig(VQConfig):
    """Settings of VQGAN.

    The defaults are those of the published f=16 checkpoint with 1024 codes, for images of 256 pixels; its discriminator
    started at step 250001 of a far longer training than the default one.
    """

    discriminator_start: int = Field(
        10_000,
        ge=0,
        description="Step at which the discriminator and the adversarial term begin. Published: 250001 on ImageNet, 30001 on "
        "faces, 10000 for images of one's own; its users advise three to five epochs.",
    )
    discriminator_weight: float = Field(0.8, ge=0, description="Weight of the adversarial term, times the adaptive weight.")
    discriminator_channels: int = Field(64, ge=1, description="Width of the discriminator's first layer.")
    discriminator_layers: int = Field(
        3, ge=1, description="Layers of the discriminator with stride 2; each doubles the side of the patch that it judges."
    )
    discriminator_loss: Literal["hinge", "vanilla"] = Field(
        "hinge", description="Hinge, or the non-saturating logistic loss of the first GAN."
    )
    adaptive_weight: bool = Field(
        True, description="Balance the adversarial term by the gradients at the decoder's last layer (Eq. 7)."
    )
    adaptive_weight_delta: float = Field(
        1e-4, gt=0, description="δ of the adaptive weight: 1e-4 in the reference implementation, 1e-6 in the paper."
    )
    adaptive_weight_limit: float = Field(1e4, gt=0, description="Largest adaptive weight.")
    sync: bool = Field(
        True,
        description="Whether the discriminator's batch statistics and the adaptive weight are those of all processes together. "
        "False: each process has its own, as in the reference implementation.",
    )

    def image_faults(self, image_size: tuple[int, int], channels: int) -> Iterator[str]:
        """What makes images of height and width ``image_size`` impossible, each with its remedy."""
        yield from super().image_faults(image_size, channels)
        # Layers with stride 2 halve the side, and the two last convolutions take one pixel each.
        smallest = 3 * 2**self.discriminator_layers
        if min(image_size) < smallest:
            yield (
                f"the discriminator with {self.discriminator_layers} layers needs images of at least {smallest} pixels, not "
                f"{image_size[0]}×{image_size[1]}; lower discriminator_layers"
            )
