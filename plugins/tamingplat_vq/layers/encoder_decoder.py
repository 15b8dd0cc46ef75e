"""The encoder and the decoder of VQGAN, with the names that the published checkpoints have.

Esser, Rombach and Ommer, "Taming Transformers for High-Resolution Image Synthesis", CVPR 2021, Tab. 2 ("Tab. 7" in later
versions), as published: an attention block after *every* residual block of a resolution that attends.

Shape letters: B batch, C channels of a layer, H/W image, h/w feature map, Z latent channels.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn.functional import interpolate, pad, scaled_dot_product_attention, silu


@dataclass(frozen=True)
class Architecture:
    """Sizes of an encoder and a decoder.

    Attributes:
        widths: Channels at each resolution, highest first; each resolution halves the side of the one before.
        first_width: Channels behind the first convolution.
        residual_blocks: Per resolution in the encoder; the decoder has one more.
        attended: Indices into ``widths`` of the resolutions with attention blocks.
        latent_channels: Z.
        image_channels: Of the images.
        norm_groups: Groups of the group normalisation.
        dropout: Rate inside residual blocks.
    """

    widths: tuple[int, ...]
    first_width: int
    residual_blocks: int
    attended: tuple[int, ...]
    latent_channels: int
    image_channels: int
    norm_groups: int = 32
    dropout: float = 0.0


def _norm(channels: int, groups: int) -> nn.GroupNorm:
    return nn.GroupNorm(groups, channels, eps=1e-6)


class ResidualBlock(nn.Module):
    """Twice: normalise, swish, 3×3 convolution; added to the input, which a 1×1 convolution widens where widths differ."""

    def __init__(self, channels: int, width: int, architecture: Architecture) -> None:
        super().__init__()
        self.norm1 = _norm(channels, architecture.norm_groups)
        self.conv1 = nn.Conv2d(channels, width, 3, padding=1)
        self.norm2 = _norm(width, architecture.norm_groups)
        self.conv2 = nn.Conv2d(width, width, 3, padding=1)
        self.nin_shortcut = nn.Conv2d(channels, width, 1) if channels != width else None
        self.dropout = architecture.dropout

    def forward(self, x: Tensor, generator: torch.Generator | None) -> Tensor:
        """(B, C, h, w) to (B, width, h, w); ``generator`` draws the dropout, which ``None`` turns off."""
        inner: Tensor = silu(self.norm2(self.conv1(silu(self.norm1(x)))))
        if self.training and self.dropout > 0 and generator is not None:
            keep = torch.empty_like(inner).bernoulli_(1 - self.dropout, generator=generator)
            inner = inner * keep / (1 - self.dropout)
        shortcut: Tensor = x if self.nin_shortcut is None else self.nin_shortcut(x)
        added: Tensor = self.conv2(inner)
        return shortcut + added


class AttentionBlock(nn.Module):
    """Attention with one head over all places of a feature map, added to the input."""

    def __init__(self, channels: int, norm_groups: int) -> None:
        super().__init__()
        self.norm = _norm(channels, norm_groups)
        self.q = nn.Conv2d(channels, channels, 1)
        self.k = nn.Conv2d(channels, channels, 1)
        self.v = nn.Conv2d(channels, channels, 1)
        self.proj_out = nn.Conv2d(channels, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, h, w) to the same."""
        normed = self.norm(x)
        # (B, 1, hw, C), laid out so that the hw×hw scores need not be held. The scale is C^-0.5.
        q, k, v = (layer(normed).flatten(2).transpose(1, 2).contiguous().unsqueeze(1) for layer in (self.q, self.k, self.v))
        attended = scaled_dot_product_attention(q, k, v).squeeze(1).transpose(1, 2).reshape(x.shape)
        added: Tensor = self.proj_out(attended)
        return x + added


class Downsample(nn.Module):
    """Half the side: a 3×3 convolution with stride 2, padded by one at the right and the bottom alone."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(channels, channels, 3, stride=2)

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, h, w) to (B, C, h/2, w/2)."""
        halved: Tensor = self.conv(pad(x, (0, 1, 0, 1)))
        return halved


class Upsample(nn.Module):
    """Twice the side: nearest neighbour, then a 3×3 convolution."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(channels, channels, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, h, w) to (B, C, 2h, 2w)."""
        doubled: Tensor = self.conv(interpolate(x, scale_factor=2.0, mode="nearest"))
        return doubled


class Middle(nn.Module):
    """Two residual blocks around an attention block, at the lowest resolution."""

    def __init__(self, channels: int, architecture: Architecture) -> None:
        super().__init__()
        self.block_1 = ResidualBlock(channels, channels, architecture)
        self.attn_1 = AttentionBlock(channels, architecture.norm_groups)
        self.block_2 = ResidualBlock(channels, channels, architecture)

    def forward(self, x: Tensor, generator: torch.Generator | None) -> Tensor:
        """(B, C, h, w) to the same."""
        y: Tensor = self.block_2(self.attn_1(self.block_1(x, generator)), generator)
        return y


class Level(nn.Module):
    """The blocks of one resolution: residual blocks, an attention block after each if it attends."""

    def __init__(self, channels: Sequence[int], attends: bool, architecture: Architecture) -> None:
        super().__init__()
        pairs = list(pairwise(channels))
        self.block = nn.ModuleList(ResidualBlock(before, after, architecture) for before, after in pairs)
        self.attn = nn.ModuleList(AttentionBlock(after, architecture.norm_groups) for _, after in pairs if attends)
        self.attends = attends

    def blocks(self, x: Tensor, generator: torch.Generator | None) -> Tensor:
        """(B, C, h, w) to (B, C', h, w)."""
        for index, block in enumerate(self.block):
            x = block(x, generator)
            if self.attends:
                x = self.attn[index](x)
        return x


class DownLevel(Level):
    """The blocks of one resolution of the encoder, and the way to the next."""

    def __init__(self, channels: Sequence[int], attends: bool, last: bool, architecture: Architecture) -> None:
        super().__init__(channels, attends, architecture)
        self.downsample = None if last else Downsample(channels[-1])

    def forward(self, x: Tensor, generator: torch.Generator | None) -> Tensor:
        """(B, C, h, w) to (B, C', h/2, w/2), the last one to (B, C', h, w)."""
        x = self.blocks(x, generator)
        return x if self.downsample is None else self.downsample(x)


class UpLevel(Level):
    """The blocks of one resolution of the decoder, and the way to the next."""

    def __init__(self, channels: Sequence[int], attends: bool, last: bool, architecture: Architecture) -> None:
        super().__init__(channels, attends, architecture)
        self.upsample = None if last else Upsample(channels[-1])

    def forward(self, x: Tensor, generator: torch.Generator | None) -> Tensor:
        """(B, C, h, w) to (B, C', 2h, 2w), the last one to (B, C', h, w)."""
        x = self.blocks(x, generator)
        return x if self.upsample is None else self.upsample(x)


class Encoder(nn.Module):
    """Images to latents of a side ``2^(resolutions - 1)`` times smaller."""

    def __init__(self, architecture: Architecture) -> None:
        super().__init__()
        widths, blocks = architecture.widths, architecture.residual_blocks
        before = (architecture.first_width, *widths[:-1])
        self.conv_in = nn.Conv2d(architecture.image_channels, architecture.first_width, 3, padding=1)
        self.down = nn.ModuleList(
            DownLevel([start] + [width] * blocks, level in architecture.attended, level == len(widths) - 1, architecture)
            for level, (start, width) in enumerate(zip(before, widths, strict=True))
        )
        self.mid = Middle(widths[-1], architecture)
        self.norm_out = _norm(widths[-1], architecture.norm_groups)
        self.conv_out = nn.Conv2d(widths[-1], architecture.latent_channels, 3, padding=1)

    def features(self, images: Tensor, generator: torch.Generator | None = None) -> Tensor:
        """float (B, image channels, H, W) to what comes before the last normalisation, (B, C, H/f, W/f).

        Args:
            images: Or features of another encoder, which this one goes on from.
            generator: Draws the dropout, which ``None`` turns off.
        """
        x = self.conv_in(images)
        for level in self.down:
            x = level(x, generator)
        deepest: Tensor = self.mid(x, generator)
        return deepest

    def project(self, features: Tensor) -> Tensor:
        """What ``features`` gives, (B, C, H/f, W/f), to latents (B, Z, H/f, W/f)."""
        latents: Tensor = self.conv_out(silu(self.norm_out(features)))
        return latents

    def forward(self, images: Tensor, generator: torch.Generator | None = None) -> Tensor:
        """float (B, image channels, H, W) to (B, Z, H/f, W/f); ``generator`` draws the dropout, which ``None`` turns off."""
        return self.project(self.features(images, generator))


class Decoder(nn.Module):
    """Latents to images of a side ``2^(resolutions - 1)`` times larger."""

    def __init__(self, architecture: Architecture) -> None:
        super().__init__()
        widths, blocks = architecture.widths, architecture.residual_blocks
        before = (*widths[1:], widths[-1])
        self.conv_in = nn.Conv2d(architecture.latent_channels, widths[-1], 3, padding=1)
        self.mid = Middle(widths[-1], architecture)
        # up.0 is the highest resolution, and comes last.
        self.up = nn.ModuleList(
            UpLevel([start] + [width] * (blocks + 1), level in architecture.attended, level == 0, architecture)
            for level, (start, width) in enumerate(zip(before, widths, strict=True))
        )
        self.norm_out = _norm(widths[0], architecture.norm_groups)
        self.conv_out = nn.Conv2d(widths[0], architecture.image_channels, 3, padding=1)

    def features(self, latents: Tensor, generator: torch.Generator | None = None) -> Tensor:
        """(B, Z, h, w) to what the last convolution takes, (B, C, H, W)."""
        x = self.mid(self.conv_in(latents), generator)
        for level in reversed(self.up):
            x = level(x, generator)
        return silu(self.norm_out(x))

    def forward(self, latents: Tensor, generator: torch.Generator | None = None) -> Tensor:
        """(B, Z, h, w) to (B, image channels, H, W), nominally in [-1, 1] and not bounded."""
        images: Tensor = self.conv_out(self.features(latents, generator))
        return images
