"""The layers of PixelSNAIL, written once for whole grids and for single positions.

A layer does not know where it runs: a ``Pass`` brings it the neighbours of the positions at hand and what they attend to
(``passes.py``). Whole grids are computed in training, single positions in decoding.

Shape letters: B batch, M positions at hand (all N of a grid, or K targets), C width, A channels entering a convolution.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Protocol

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tamingplat_pixelsnail.config import PixelSNAILConfig

RESIDUAL_GAIN = 0.1
"""Initial scale of what a residual branch adds (Salimans et al. 2017, PixelCNN++, code: ``init_scale``)."""

USUAL_TAPS = 5
"""Taps that a position sees on average, itself and half of its eight neighbours: the fan-in of an initialisation that has to
be the same whatever the order."""


Drop = Callable[[Tensor, float], Tensor]
"""Dropout: activations and the share of them that is dropped, to activations."""


class Pass(Protocol):
    """How the layers of one pass reach beyond the position that they compute."""

    def enter(self, convolution: MaskedConv) -> Tensor:
        """The first convolution, strict, over the codes."""

    def convolve(self, convolution: MaskedConv, inputs: Tensor) -> Tensor:
        """A masked convolution of inputs (B, M, A)."""

    def attend(self, attention: AttentionLayer, query: Tensor, features: Tensor) -> Tensor:
        """What queries (B, M, heads · key_width) find among the positions visited earlier, (B, M, heads · value_width).

        ``features`` (B, M, C) are those of the same positions, which later ones will attend to.
        """

    def condition(self, projection: nn.Linear | None) -> Tensor | None:
        """The condition at the positions at hand under a projection, (B, M or 1, 2C); ``None`` without a condition."""

    def background(self) -> Tensor:
        """Coordinates of the positions at hand, (B, M, 2)."""

    def drop(self, activations: Tensor, share: float) -> Tensor:
        """Dropout, in training alone."""


def drop_nothing(activations: Tensor, share: float) -> Tensor:
    """Dropout where none is wanted, as in decoding."""
    return activations


def concat_elu(x: Tensor, dim: int = -1) -> Tensor:
    """ELU of x and of −x side by side, C to 2C channels along ``dim`` (after Shang et al. 2016, as in PixelCNN++)."""
    return F.elu_(torch.cat([x, -x], dim=dim))


def gate(x: Tensor) -> Tensor:
    """a · σ(b) for x = [a, b], (…, 2C) to (…, C)."""
    return F.glu(x, dim=-1)


def normal_linear(inputs: int, outputs: int, *, gain: float = 1.0, bias: bool = True) -> nn.Linear:
    """A linear layer with weights N(0, gain² / inputs) and no initial bias."""
    layer = nn.Linear(inputs, outputs, bias=bias)
    nn.init.normal_(layer.weight, std=gain / math.sqrt(inputs))
    if bias:
        nn.init.zeros_(layer.bias)
    return layer


class MaskedConv(nn.Module):
    """A 3×3 convolution that reads, at every position, the neighbours visited at an earlier step.

    Where the taps lie depends on the visiting order, so the kernel has all nine; an order uses some of them.

    Args:
        inputs: A, channels that enter.
        outputs: Channels that leave.
        strict: Whether the position itself is withheld, as it has to be where the inputs are the codes themselves. Features of
            a position do not depend on its code, so later layers read the position itself too.
        gain: Scale of the initial weights.
    """

    def __init__(self, inputs: int, outputs: int, *, strict: bool = False, gain: float = 1.0) -> None:
        super().__init__()
        self.strict = strict
        weight = nn.init.normal_(torch.empty(outputs, inputs, 3, 3), std=gain / math.sqrt((USUAL_TAPS - strict) * inputs))
        # Channels lie last in memory, as those of a column do, so that a range of taps is one matrix without a copy.
        self.weight = nn.Parameter(weight.contiguous(memory_format=torch.channels_last))
        self.bias = nn.Parameter(torch.zeros(outputs))

    @property
    def inputs(self) -> int:
        """A, channels that enter."""
        return self.weight.shape[1]

    @property
    def outputs(self) -> int:
        """Channels that leave."""
        return self.weight.shape[0]

    def matrix(self, taps: range) -> Tensor:
        """The weights of consecutive taps of the nine side by side, (outputs, taps · A): a view, without a copy."""
        return self.weight.permute(0, 2, 3, 1).flatten(1)[:, taps.start * self.inputs : taps.stop * self.inputs]


class GatedResidual(nn.Module):
    """Gated residual layer: x + a · σ(b), [a, b] from two masked convolutions after ELU concatenation, plus the condition.

    Chen et al. 2018, Sec. 2 and Fig. 3a, after Salimans et al. 2017.
    """

    def __init__(self, width: int, dropout: float, *, conditional: bool) -> None:
        super().__init__()
        self.dropout = dropout
        self.conv_in = MaskedConv(2 * width, width)
        self.conv_out = MaskedConv(2 * width, 2 * width, gain=RESIDUAL_GAIN)
        self.condition = normal_linear(width, 2 * width, gain=RESIDUAL_GAIN, bias=False) if conditional else None

    def forward(self, x: Tensor, here: Pass) -> Tensor:
        """(B, M, C) to (B, M, C)."""
        hidden = here.convolve(self.conv_in, concat_elu(x))
        hidden = here.convolve(self.conv_out, here.drop(concat_elu(hidden), self.dropout))
        condition = here.condition(self.condition)
        return x + gate(hidden if condition is None else hidden + condition)


class PointwiseResidual(nn.Module):
    """The gated residual layer without neighbours, as attention layers use it; ``beside`` enters its first sum."""

    def __init__(self, width: int, dropout: float, *, beside: int = 0) -> None:
        super().__init__()
        self.dropout = dropout
        self.linear_in = normal_linear(2 * width, width)
        self.linear_beside = normal_linear(2 * beside, width, bias=False) if beside else None
        self.linear_out = normal_linear(2 * width, 2 * width, gain=RESIDUAL_GAIN)

    def forward(self, x: Tensor, drop: Drop, beside: Tensor | None = None) -> Tensor:
        """(B, M, C) and, where there is such an input, (B, M, beside) to (B, M, C)."""
        hidden = self.linear_in(concat_elu(x))
        if self.linear_beside is not None:
            assert beside is not None, "a layer with a second input was called without it"
            hidden = hidden + self.linear_beside(concat_elu(beside))
        return x + gate(self.linear_out(drop(concat_elu(hidden), self.dropout)))


class AttentionLayer(nn.Module):
    """Causal attention with background (Chen et al. 2018, Sec. 2 and Fig. 3b).

    Queries come from features and coordinates; keys and values from features, coordinates and the code itself, and so belong to
    positions visited at an earlier step alone.
    """

    def __init__(self, config: PixelSNAILConfig) -> None:
        super().__init__()
        self.heads = config.heads
        self.key_width = config.key_width
        self.value_width = config.head_value_width
        width = config.width
        self.query_residual = PointwiseResidual(width + 2, config.dropout)
        self.query = normal_linear(width + 2, self.heads * self.key_width)
        self.memory_residual = PointwiseResidual(2 * width + 2, config.dropout)
        self.memory = normal_linear(2 * width + 2, self.heads * (self.key_width + self.value_width))
        self.output_residual = PointwiseResidual(width, config.dropout, beside=self.heads * self.value_width)

    def forward(self, x: Tensor, here: Pass) -> Tensor:
        """(B, M, C) to (B, M, C)."""
        query = self.query(self.query_residual(torch.cat([x, here.background()], dim=-1), here.drop))
        mixed: Tensor = self.output_residual(x, here.drop, here.attend(self, query, x))
        return mixed

    def heads_of(self, projected: Tensor) -> Tensor:
        """(B, M, heads · width) to (B, heads, M, width)."""
        return projected.reshape(*projected.shape[:2], self.heads, -1).transpose(1, 2)

    def remember(self, x: Tensor, embedded: Tensor, background: Tensor, drop: Drop) -> tuple[Tensor, Tensor]:
        """Keys and values of visited positions from their features, codes (B, M, C) and coordinates (B, M, 2).

        Returns:
            (B, heads, M, key_width) and (B, heads, M, value_width).
        """
        both = self.heads_of(self.memory(self.memory_residual(torch.cat([embedded, x, background], dim=-1), drop)))
        return both[..., : self.key_width], both[..., self.key_width :]
