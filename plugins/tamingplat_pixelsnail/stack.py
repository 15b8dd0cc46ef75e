"""The layers of one grid of codes.

Shape letters: B batch, N positions of the grid, K targets, C width, V vocabulary, P condition tokens, S channels of a column,
R rows of distinct orders (1 or B).
"""

from __future__ import annotations

from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tamingplat.interfaces import ConditionLayout
from tamingplat_pixelsnail.config import PixelSNAILConfig
from tamingplat_pixelsnail.context import Context
from tamingplat_pixelsnail.geometry import Geometry, coordinates, row_by_row, tap_table
from tamingplat_pixelsnail.lane import Lane
from tamingplat_pixelsnail.layers import AttentionLayer, GatedResidual, MaskedConv, Pass, drop_nothing, normal_linear
from tamingplat_pixelsnail.parts import Recorded
from tamingplat_pixelsnail.passes import ColumnPass, FullPass


class Block(nn.Module):
    """A stack of gated residual layers and one attention layer (Chen et al. 2018, Fig. 4, one repetition)."""

    def __init__(self, config: PixelSNAILConfig, *, conditional: bool) -> None:
        super().__init__()
        self.residuals = nn.ModuleList(
            GatedResidual(config.width, config.dropout, conditional=conditional) for _ in range(config.residual_layers)
        )
        self.attention = AttentionLayer(config)

    def forward(self, x: Tensor, here: Pass) -> Tensor:
        """(B, M, C) to (B, M, C) for the M positions of the pass."""
        for residual in self.residuals:
            x = residual(x, here)
        attended: Tensor = self.attention(x, here)
        return attended


class GridStack(nn.Module):
    """A distribution over the codes of one grid given conditions, the codes of coarser grids among them.

    Args:
        grid: Rows and columns.
        vocab_size: V.
        layout: The conditions; coarser grids are spatial parts of it.
        config: Sizes.

    Attributes:
        channels: What each masked convolution reads at one position, S together.
    """

    def __init__(self, grid: tuple[int, int], vocab_size: int, layout: ConditionLayout, config: PixelSNAILConfig) -> None:
        super().__init__()
        self.height, self.width = grid
        self.embedding = nn.Embedding(vocab_size, config.width)
        self.context = Context(layout, grid, config.width, config.condition_layers) if layout else None
        self.first = MaskedConv(config.width, config.width, strict=True)
        self.blocks = nn.ModuleList(Block(config, conditional=bool(layout)) for _ in range(config.layers))
        self.head = normal_linear(config.width, vocab_size, gain=0.1)
        self.channels = [convolution.inputs for convolution in self.convolutions()]

    @property
    def length(self) -> int:
        """N, positions of the grid."""
        return self.height * self.width

    def convolutions(self) -> list[MaskedConv]:
        """The masked convolutions in the order in which they run."""
        return [module for module in self.modules() if isinstance(module, MaskedConv)]

    def attentions(self) -> list[AttentionLayer]:
        """The attention layers in the order in which they run."""
        return [cast(Block, block).attention for block in self.blocks]

    def geometry(self, steps: Tensor, batch: int, *, sliced: bool = True) -> Geometry:
        """The masks for visiting steps int64 (R, N)."""
        return Geometry.of(steps, self.height, self.width, batch=batch, like=self.first.weight, sliced=sliced)

    def _trunk(self, here: Pass) -> Tensor:
        x = here.enter(self.first)
        for block in self.blocks:
            x = block(x, here)
        return F.elu(x)

    def _condition(self, tokens: Tensor) -> Tensor | None:
        return None if self.context is None else self.context(tokens)

    def forward(self, codes: Tensor, tokens: Tensor, geometry: Geometry, generator: torch.Generator | None = None) -> Tensor:
        """Logits of every position given those visited earlier.

        Args:
            codes: int64 (B, N).
            tokens: int64 (B, P), the conditions.
            geometry: The masks of the visiting order.
            generator: Randomness of dropout, ``None`` for none.

        Returns:
            (B, N, V).
        """
        here = FullPass(geometry, self.embedding(codes), self._condition(tokens), generator=generator)
        logits: Tensor = self.head(self._trunk(here))
        return logits

    def lane(self, tokens: Tensor) -> Lane:
        """An empty memory for images with conditions int64 (B, P)."""
        return self.empty(len(tokens), self._condition(tokens))

    def empty(self, rows: int, condition: Tensor | None) -> Lane:
        """An empty memory for so many images with conditions (B, N or 1, C)."""
        weight, N, attentions = self.first.weight, self.length, self.attentions()
        return Lane(
            table=tap_table(self.height, self.width, weight.device),
            background=coordinates(self.height, self.width, weight.dtype, weight.device),
            condition=condition,
            ready=torch.ones(rows, dtype=torch.bool, device=weight.device),
            complete=True,
            channels=self.channels,
            columns=weight.new_zeros(rows, 1, sum(self.channels)),
            used=1,
            rows=torch.zeros(rows, N + 2, dtype=torch.int64, device=weight.device),
            keys=[weight.new_zeros(rows, layer.heads, layer.key_width, N + 1) for layer in attentions],
            values=[weight.new_zeros(rows, layer.heads, N + 1, layer.value_width) for layer in attentions],
            filled=torch.zeros(rows, dtype=torch.int64, device=weight.device),
            extent=0,
            even=True,
            pending_columns=weight.new_zeros(rows, 0, sum(self.channels[1:])),
            pending_features=[weight.new_zeros(rows, 0, self.first.outputs) for _ in attentions],
        )

    def refresh(self, lane: Lane, tokens: Tensor, rows: Tensor) -> None:
        """Compute the condition of rows, bool (B,), whose coarser codes have become known."""
        condition = self._condition(tokens)
        if condition is not None and lane.condition is not None:
            lane.condition = torch.where(rows[:, None, None], condition, lane.condition)
        lane.ready = lane.ready | rows

    def advance(self, lane: Lane, codes: Tensor, positions: Tensor, *, whole: bool) -> None:
        """Remember pending targets that have been visited since.

        Args:
            lane: The memory, changed in place.
            codes: int64 (B, N).
            positions: int64 (B, K), the pending targets, N where one was not visited.
            whole: Whether all were visited in every row.
        """
        index = positions if whole else positions.clamp(max=self.length - 1)
        known = codes.gather(1, index)
        embedded = self.embedding(known if whole else torch.where(positions < self.length, known, 0))
        around = lane.background[index]
        memory = [
            attention.remember(features, embedded, around, drop_nothing)
            for attention, features in zip(self.attentions(), lane.pending_features, strict=True)
        ]
        lane.write(positions, embedded, memory, whole=whole)

    def predict(self, lane: Lane, targets: Tensor) -> Tensor:
        """Logits (B, K, V) of targets int64 (B, K), N for none, which become the memory's pending ones."""
        here = ColumnPass(lane, targets)
        x = self._trunk(here)
        lane.pending_columns = torch.cat(here.columns, dim=-1)
        lane.pending_features = here.features
        logits: Tensor = self.head(x)
        return logits

    def recompute(
        self,
        codes: Tensor,
        tokens: Tensor,
        steps: Tensor,
        visited: Tensor,
        targets: Tensor,
        known: int | None = None,
        *,
        even: bool = False,
    ) -> tuple[Tensor, Recorded]:
        """Logits of targets by one pass over the whole grid, and that pass, from which decoding can go on.

        Args:
            codes: int64 (B, N), 0 where not visited.
            tokens: int64 (B, P).
            steps: int64 (B, N), the step at which each position is visited; for the targets the next one.
            visited: bool (B, N).
            targets: int64 (B, K), N for none.
            known: Where every row has visited a beginning of the row-by-row order and its target comes next: the longest of
                these. The pass is then over that and the target alone.
            even: Whether these are as many in all rows; looked at where ``known`` is given.

        Returns:
            Logits (B, K, V) and the pass.
        """
        condition = self._condition(tokens)
        if known is None:
            geometry = self.geometry(steps, len(targets), sliced=False)
        else:
            geometry = row_by_row(known + 1, self.height, self.width, self.first.weight)
            codes, visited = codes[:, : known + 1], visited[:, : known + 1]
        record: slice | Tensor
        if known is not None and even:
            visited = visited[:1]
            frontier = torch.arange(max(0, known - self.width - 1), known, device=visited.device)[None]
            record = slice(known - frontier.shape[1], known + 1)
        else:
            frontier = self._frontier(visited, in_order=known is not None)
            record = torch.cat([frontier, targets], dim=1).clamp(max=codes.shape[1] - 1)
        embedded = self.embedding(codes)
        of_positions = condition[:, : codes.shape[1]] if condition is not None else None
        here = FullPass(geometry, embedded, of_positions, record=record)
        x = self._trunk(here)
        recorded = Recorded(
            lanes=self,
            condition=condition,
            ready=(targets < self.length).any(1),
            visited=visited,
            in_order=known is not None,
            frontier=frontier,
            columns=(here.remembered(embedded), *here.columns),
            features=tuple(features[:, frontier.shape[1] :] for features in here.features),
            memory=tuple(here.memory),
        )
        index = targets.clamp(max=x.shape[1] - 1)[:, :, None]
        return self.head(x.gather(1, index.expand(-1, -1, x.shape[2]))), recorded

    def _frontier(self, visited: Tensor, *, in_order: bool) -> Tensor:
        """Visited positions that convolutions will read: those beside one that is yet to be visited.

        Args:
            visited: bool (B, M).
            in_order: Whether each row has visited a beginning of the row-by-row order.

        Returns:
            int64 (B, F), N where a row has fewer.
        """
        N = self.length
        if in_order:
            # The last ones, as far back as above to the left.
            places = visited.sum(1, keepdim=True) - torch.arange(self.width + 1, 0, -1, device=visited.device)
            return torch.where(places < 0, N, places)
        # Off the grid there is nothing to visit.
        settled = F.pad(visited, (0, 1), value=True)
        beside = visited & ~settled[:, tap_table(self.height, self.width, visited.device)[:-1]].all(2)
        places = (~beside).to(torch.uint8).argsort(dim=1, stable=True)[:, : int(beside.sum(1).max())]
        return torch.where(beside.gather(1, places), places, N)
