"""The encoder and the decoder in tiles: the same results, with the workspace of one tile at a time.

A whole feature map lies in the machine's memory, and only a tile of it, with the pixels around that a convolution reads, on
the device. Group normalisation takes its statistics over all tiles: they are added up in float64 while a map is written, and
applied when it is next read. Attention reads the keys and values of the whole map, and a few queries at a time, so that it is
no approximation either. What is left is rounding.

Shape letters: C channels, H/W map, h/w tile, G groups. Maps are of one image, (1, C, H, W), on the CPU.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace

import torch
from torch import Tensor, nn
from torch.nn.functional import conv2d, interpolate, pad, scaled_dot_product_attention, silu

from tamingplat.interfaces.models import Tokenizer
from tamingplat_vq.layers.encoder_decoder import AttentionBlock, Decoder, Downsample, Encoder, Level, ResidualBlock, Upsample

# Scores of attention that are held at once, as a number of float32: 64 MiB.
_SCORES = 2**24

Elementwise = Callable[[Tensor], Tensor]


@dataclass
class Map:
    """A feature map and what group normalisation needs to know of it.

    Attributes:
        values: (1, C, H, W), on the CPU.
        sums: float64 (2, C), on the CPU: the sum of each channel and of its squares.
    """

    values: Tensor
    sums: Tensor

    @property
    def size(self) -> tuple[int, int]:
        """H and W."""
        return self.values.shape[2], self.values.shape[3]


@dataclass(frozen=True)
class Window:
    """The part of a map that a tile of the next one is made of, and how many zeros go around it.

    Attributes:
        rows: Rows that are read.
        columns: Columns that are read.
        zeros: Left, right, top and bottom, as ``torch.nn.functional.pad`` takes them.
    """

    rows: slice
    columns: slice
    zeros: tuple[int, int, int, int]


@dataclass(frozen=True)
class TiledNetwork:
    """Runs encoders and decoders, in eval mode, in tiles.

    Attributes:
        tile: Side of a tile in pixels of the image; maps that are f times coarser are cut into tiles of ``tile / f``.
        device: Where the weights are.
    """

    tile: int
    device: torch.device
    _smallest: int = field(default=4, repr=False)

    def encode(self, encoder: Encoder, image: Tensor) -> Tensor:
        """float (1, C, H, W), on any device, to latents (1, Z, H/f, W/f), on the CPU."""
        return self.project(encoder, self.features(encoder, image))

    def features(self, encoder: Encoder, image: Tensor) -> Map:
        """float (1, C, H, W), on any device, to what comes before the last normalisation; see ``Encoder.features``."""
        x = self._convolve(self._stored(image), encoder.conv_in, self.tile)
        scale = 1
        for level in encoder.down:
            assert isinstance(level, Level)
            x = self._blocks(x, level, scale)
            if isinstance(level.downsample, Downsample):
                scale *= 2
                x = self._downsample(x, level.downsample, scale)
        return self._middle(x, encoder.mid.block_1, encoder.mid.attn_1, encoder.mid.block_2, scale)

    def project(self, encoder: Encoder, features: Map) -> Tensor:
        """What ``features`` gives to latents (1, Z, H/f, W/f), on the CPU."""
        side = self._side(1 << (len(encoder.down) - 1))
        return self._convolve(features, encoder.conv_out, side, _activated(features, encoder.norm_out, self.device)).values

    def decode(self, decoder: Decoder, latents: Tensor) -> Tensor:
        """(1, Z, h, w), on any device, to an image float (1, C, H, W), on the CPU."""
        scale = 1 << (len(decoder.up) - 1)
        x = self._convolve(self._stored(latents), decoder.conv_in, self._side(scale))
        x = self._middle(x, decoder.mid.block_1, decoder.mid.attn_1, decoder.mid.block_2, scale)
        for level in reversed(decoder.up):
            assert isinstance(level, Level)
            x = self._blocks(x, level, scale)
            if isinstance(level.upsample, Upsample):
                scale //= 2
                x = self._upsample(x, level.upsample, scale)
        return self._convolve(x, decoder.conv_out, self.tile, _activated(x, decoder.norm_out, self.device)).values

    def upsample(self, layers: Iterable[nn.Module], x: Tensor) -> Tensor:
        """(1, C, h, w), on any device, through upsampling layers that end at the resolution of the tiles, on the CPU."""
        layers, doubled = list(layers), self._stored(x)
        for number, layer in enumerate(layers, start=1):
            assert isinstance(layer, Upsample)
            doubled = self._upsample(doubled, layer, 1 << (len(layers) - number))
        return doubled.values

    @classmethod
    def of(cls, tokenizer: Tokenizer, image_size: tuple[int, int], device: torch.device) -> TiledNetwork | None:
        """What runs a tokenizer's networks for images larger than its tile; ``None`` where they run at once."""
        if tokenizer.tile is None or max(image_size) <= tokenizer.tile:
            return None
        assert not tokenizer.training, "tiles are for encoding and decoding, not for training"
        return cls(tokenizer.tile, device)

    def coarser(self, factor: int) -> TiledNetwork:
        """What runs networks whose images are feature maps, ``factor`` times coarser than the images."""
        return replace(self, tile=self._side(factor))

    def _side(self, scale: int) -> int:
        """Side of a tile of a map that is ``scale`` times coarser than the image."""
        return max(self._smallest, self.tile // scale)

    @staticmethod
    def _stored(values: Tensor) -> Map:
        """A map that no normalisation reads."""
        return Map(values.cpu(), torch.empty(2, 0))

    def _middle(self, x: Map, first: ResidualBlock, attention: AttentionBlock, second: ResidualBlock, scale: int) -> Map:
        x = self._residual(x, first, self._side(scale))
        x = self._attend(x, attention, self._side(scale))
        return self._residual(x, second, self._side(scale))

    def _blocks(self, x: Map, level: Level, scale: int) -> Map:
        for index, block in enumerate(level.block):
            assert isinstance(block, ResidualBlock)
            x = self._residual(x, block, self._side(scale))
            if level.attends:
                attention = level.attn[index]
                assert isinstance(attention, AttentionBlock)
                x = self._attend(x, attention, self._side(scale))
        return x

    def _residual(self, x: Map, block: ResidualBlock, side: int) -> Map:
        inner = self._convolve(x, block.conv1, side, _activated(x, block.norm1, self.device))
        activate, conv = _activated(inner, block.norm2, self.device), block.conv2
        # Where as many channels come out as went in, the sum takes the place of x: what is added to it is read elsewhere.
        target = x.values if block.nin_shortcut is None else None

        def added(rows: slice, columns: slice) -> Tensor:
            window = _around(rows, columns, inner.size)
            convolved = conv2d(self._read(inner, window, activate), conv.weight, conv.bias)
            before = x.values[:, :, rows, columns].to(self.device)
            return convolved + (before if block.nin_shortcut is None else block.nin_shortcut(before))

        return self._write(x.size, side, added, target)

    def _convolve(self, x: Map, conv: nn.Conv2d, side: int, activate: Elementwise | None = None) -> Map:
        """A 3×3 convolution with a border of zeros, behind what is done to every number by itself."""

        def convolved(rows: slice, columns: slice) -> Tensor:
            return conv2d(self._read(x, _around(rows, columns, x.size), activate), conv.weight, conv.bias)

        return self._write(x.size, side, convolved)

    def _downsample(self, x: Map, layer: Downsample, scale: int) -> Map:
        height, width = x.size

        def halved(rows: slice, columns: slice) -> Tensor:
            window = _inside(
                slice(2 * rows.start, 2 * rows.stop + 1), slice(2 * columns.start, 2 * columns.stop + 1), (height, width)
            )
            return conv2d(self._read(x, window), layer.conv.weight, layer.conv.bias, stride=2)

        return self._write((height // 2, width // 2), self._side(scale), halved)

    def _upsample(self, x: Map, layer: Upsample, scale: int) -> Map:
        size = (2 * x.size[0], 2 * x.size[1])

        def doubled(rows: slice, columns: slice) -> Tensor:
            window = _around(rows, columns, size)
            # The first and the last row and column that are read may be one half of a pair.
            top, left = window.rows.start // 2, window.columns.start // 2
            bottom, right = (window.rows.stop + 1) // 2, (window.columns.stop + 1) // 2
            read = interpolate(x.values[:, :, top:bottom, left:right].to(self.device), scale_factor=2.0, mode="nearest")
            down, across = window.rows.start - 2 * top, window.columns.start - 2 * left
            height, width = window.rows.stop - window.rows.start, window.columns.stop - window.columns.start
            cut = read[:, :, down : down + height, across : across + width]
            return conv2d(pad(cut, window.zeros), layer.conv.weight, layer.conv.bias)

        return self._write(size, self._side(scale), doubled)

    def _attend(self, x: Map, block: AttentionBlock, side: int) -> Map:
        """Attention over the whole map, which lies at a low resolution: keys and values at once, queries tile by tile."""
        normalise = _normalised(x, block.norm, self.device)
        height, width = x.size
        channels = x.values.shape[1]
        keys, values = (torch.empty(1, 1, height * width, channels, dtype=x.values.dtype, device=self.device) for _ in range(2))
        rows_at_once = max(1, _SCORES // (height * width * width))
        for top in range(0, height, rows_at_once):
            normed = normalise(x.values[:, :, top : top + rows_at_once].to(self.device))
            places = slice(top * width, top * width + normed.shape[2] * width)
            for layer, whole in ((block.k, keys), (block.v, values)):
                whole[0, 0, places] = layer(normed)[0].flatten(1).t()

        def attended(rows: slice, columns: slice) -> Tensor:
            before = x.values[:, :, rows, columns].to(self.device)
            query = block.q(normalise(before)).flatten(2).transpose(1, 2).contiguous().unsqueeze(1)
            pieces = query.split(max(1, _SCORES // (height * width)), dim=2)
            found = torch.cat([scaled_dot_product_attention(piece, keys, values) for piece in pieces], dim=2)
            added: Tensor = block.proj_out(found.squeeze(1).transpose(1, 2).reshape(before.shape))
            return before + added

        # Everything that is read of other tiles is in keys and values already.
        return self._write(x.size, side, attended, x.values)

    def _read(self, x: Map, window: Window, activate: Elementwise | None = None) -> Tensor:
        """A part of a map on the device, with zeros around it where it lies at a border."""
        read = x.values[:, :, window.rows, window.columns].to(self.device)
        return pad(read if activate is None else activate(read), window.zeros)

    def _write(
        self, size: tuple[int, int], side: int, make: Callable[[slice, slice], Tensor], target: Tensor | None = None
    ) -> Map:
        """A map made tile by tile, and its sums; ``target`` takes it where it is given."""
        sums: Tensor | None = None
        for rows, columns in _tiles(size, side):
            made = make(rows, columns)
            if target is None:
                target = torch.empty(1, made.shape[1], *size, dtype=made.dtype)
            wide = made if made.dtype == torch.float64 else made.float()
            variance, mean = (value.cpu().double() for value in torch.var_mean(wide, (0, 2, 3), correction=0))
            more = torch.stack([mean, variance + mean.square()]) * (made.shape[2] * made.shape[3])
            sums = more if sums is None else sums + more
            target[:, :, rows, columns] = made.cpu()
        assert target is not None and sums is not None, "a map of no tiles"
        return Map(target, sums)


def _tiles(size: tuple[int, int], side: int) -> Iterator[tuple[slice, slice]]:
    """Rows and columns of every tile."""
    for top in range(0, size[0], side):
        for left in range(0, size[1], side):
            yield slice(top, min(top + side, size[0])), slice(left, min(left + side, size[1]))


def _around(rows: slice, columns: slice, size: tuple[int, int]) -> Window:
    """What a 3×3 convolution with a border of zeros reads for a tile."""
    return _inside(slice(rows.start - 1, rows.stop + 1), slice(columns.start - 1, columns.stop + 1), size)


def _inside(rows: slice, columns: slice, size: tuple[int, int]) -> Window:
    """Rows and columns of which some may lie outside a map, as those inside and zeros."""
    top, left = max(rows.start, 0), max(columns.start, 0)
    bottom, right = min(rows.stop, size[0]), min(columns.stop, size[1])
    zeros = (left - columns.start, columns.stop - right, top - rows.start, rows.stop - bottom)
    return Window(slice(top, bottom), slice(left, right), zeros)


def _normalised(x: Map, norm: nn.GroupNorm, device: torch.device) -> Elementwise:
    """Group normalisation of a part of ``x`` by the statistics of the whole."""
    channels, (height, width) = x.values.shape[1], x.size
    count = channels // norm.num_groups * height * width
    mean, square = x.sums.view(2, norm.num_groups, -1).sum(2) / count
    inverse = (square - mean.square()).clamp_min(0).add(norm.eps).rsqrt()
    each = channels // norm.num_groups
    scale = norm.weight.cpu().double() * inverse.repeat_interleave(each)
    shift = norm.bias.cpu().double() - mean.repeat_interleave(each) * scale
    # In half precision maps are stored, and not normalised.
    dtype = torch.promote_types(x.values.dtype, torch.float32)
    scale, shift = (value.to(dtype).view(1, -1, 1, 1).to(device) for value in (scale, shift))
    return lambda part: (part * scale + shift).to(part.dtype)


def _activated(x: Map, norm: nn.GroupNorm, device: torch.device) -> Elementwise:
    """The same, and the swish behind it."""
    normalise = _normalised(x, norm, device)
    return lambda part: silu(normalise(part))
