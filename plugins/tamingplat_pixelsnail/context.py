"""Conditions of one grid: class-like tokens, spatial maps, and the codes of coarser grids.

Shape letters: B batch, P condition tokens, N positions of the code grid, C width.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tamingplat.interfaces import ConditionLayout
from tamingplat_pixelsnail.layers import concat_elu


def plane(grid: tuple[int, ...]) -> tuple[int, int]:
    """Rows and columns of a grid of one or two dimensions; a sequence is one row."""
    height, width = (1, *grid)[-2:]
    return height, width


class Context(nn.Module):
    """Conditions embedded, as features that every gated residual layer adds.

    A class-like token adds the same everywhere (Chen et al. 2018, Sec. 1, the global information h, in the way of Salimans et
    al. 2017). A map is brought to the code grid, repeated or averaged, and passes unmasked convolutions: all of it is given.

    Args:
        layout: The parts, at least one.
        grid: Rows and columns of the code grid.
        width: C.
        layers: Unmasked convolutions over the sum of all maps.
    """

    def __init__(self, layout: ConditionLayout, grid: tuple[int, int], width: int, layers: int) -> None:
        super().__init__()
        self.layout = layout
        self.grid = grid
        self.embeddings = nn.ModuleList(nn.Embedding(part.vocab_size, width) for part in layout)
        spatial = any(part.grid is not None for part in layout)
        self.convolutions = nn.ModuleList(nn.Conv2d(2 * width, width, 3, padding=1) for _ in range(layers * spatial))
        for name, parameter in self.convolutions.named_parameters():
            if name.endswith("weight"):
                nn.init.normal_(parameter, std=1 / math.sqrt(9 * 2 * width))
            else:
                nn.init.zeros_(parameter)

    def forward(self, tokens: Tensor) -> Tensor:
        """int64 (B, P) to (B, N, C), or to (B, 1, C) where no part is spatial."""
        everywhere: list[Tensor] = []
        maps: list[Tensor] = []
        chunks = torch.split(tokens, [part.length for part in self.layout], dim=1)
        for part, embedding, chunk in zip(self.layout, self.embeddings, chunks, strict=True):
            embedded = embedding(chunk)
            if part.grid is None:
                everywhere.append(embedded)
            else:
                image = embedded.transpose(1, 2).unflatten(2, plane(part.grid))
                maps.append(image if plane(part.grid) == self.grid else F.adaptive_avg_pool2d(image, self.grid))
        if maps:
            image = torch.stack(maps).sum(0) if len(maps) > 1 else maps[0]
            for convolution in self.convolutions:
                image = image + convolution(concat_elu(image, dim=1))
            everywhere.append(image.flatten(2).transpose(1, 2))
        total = everywhere[0]
        for part_features in everywhere[1:]:
            total = total + part_features
        return total
