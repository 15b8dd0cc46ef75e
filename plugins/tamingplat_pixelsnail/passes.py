"""The two ways through PixelSNAIL's layers: whole grids at once, and single positions given what is remembered of earlier ones.

Shape letters: B batch, N positions of one grid, M of them to be remembered, K targets, C width, A channels entering a
convolution, O channels leaving it, E pairs of a position and an earlier neighbour, T positions visited so far.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tamingplat_pixelsnail.geometry import CENTRE, Geometry
from tamingplat_pixelsnail.lane import Lane
from tamingplat_pixelsnail.layers import AttentionLayer, MaskedConv, drop_nothing

NEIGHBOURS = tuple(tap for tap in range(9) if tap != CENTRE)


def sliced_convolution(convolution: MaskedConv, inputs: Tensor, geometry: Geometry) -> Tensor:
    """The convolution under row-by-row order, (B, N, A) to (B, N, O): three taps of the row above, the current row's left one
    and, where not strict, its centre, as one plain convolution whose last tap or two are zero.

    Inputs may end before the grid does, with the last position that is wanted: no position reads a later one.
    """
    positions = inputs.shape[1]
    inputs = F.pad(inputs, (0, 0, 0, geometry.height * geometry.width - positions))
    weight = convolution.weight
    current = weight[:, :, 1:2, : 1 if convolution.strict else 2]
    kernel = torch.cat([weight[:, :, :1], F.pad(current, (0, 3 - current.shape[3]))], dim=2)
    grid = inputs.reshape(len(inputs), geometry.height, geometry.width, convolution.inputs)
    image = F.pad(grid, (0, 0, 1, 1, 1, 0)).permute(0, 3, 1, 2)
    return F.conv2d(image, kernel, convolution.bias).permute(0, 2, 3, 1).flatten(1, 2)[:, :positions]


def masked_convolution(convolution: MaskedConv, inputs: Tensor, geometry: Geometry) -> Tensor:
    """The convolution under any order, (B, N, A) to (B, N, O): for each tap one product over the positions that may use it.

    Of every two neighbours only one is visited before the other, so that this is half the arithmetic of masking nine products,
    and features of later positions are not even read.
    """
    assert geometry.sources is not None and geometry.destinations is not None, "a row-by-row geometry has no masks"
    flat = inputs.flatten(0, 1)
    kernels = convolution.weight.permute(2, 3, 1, 0).reshape(9, convolution.inputs, convolution.outputs)
    groups = torch.split(flat.index_select(0, geometry.sources), list(geometry.counts))
    products = torch.cat([rows @ kernels[tap] for rows, tap in zip(groups, NEIGHBOURS, strict=True)])
    own = products.new_zeros(len(flat), convolution.outputs) if convolution.strict else flat @ kernels[CENTRE]
    summed = own.index_add_(0, geometry.destinations, products) + convolution.bias
    return summed.view(*inputs.shape[:2], convolution.outputs)


class FullPass:
    """Every position of a grid at once, as in training.

    Args:
        geometry: The masks of the visiting order.
        embedded: (B, N, C), the codes.
        condition: (B, N or 1, C) or ``None``.
        generator: Randomness of dropout; ``None`` for none.
        record: Positions of which a decoding that goes on from here has to remember the columns: the same for all rows, or
            int64 (B, M). ``None`` where nothing has to be remembered.

    Attributes:
        columns: Of the positions to be remembered what each convolution but the first reads, (B, M, A).
        features: Likewise what each attention layer reads, (B, M, C).
        memory: Keys and values of all positions for each attention layer.
    """

    def __init__(
        self,
        geometry: Geometry,
        embedded: Tensor,
        condition: Tensor | None,
        *,
        generator: torch.Generator | None = None,
        record: slice | Tensor | None = None,
    ) -> None:
        self.geometry = geometry
        self.embedded = embedded
        self.conditioned = condition
        self.generator = generator
        self.record = record
        self.columns: list[Tensor] = []
        self.features: list[Tensor] = []
        self.memory: list[tuple[Tensor, Tensor]] = []

    def enter(self, convolution: MaskedConv) -> Tensor:
        """See ``layers.Pass``."""
        return self._convolve(convolution, self.embedded)

    def convolve(self, convolution: MaskedConv, inputs: Tensor) -> Tensor:
        """See ``layers.Pass``."""
        if self.record is not None:
            self.columns.append(self.remembered(inputs))
        return self._convolve(convolution, inputs)

    def remembered(self, features: Tensor) -> Tensor:
        """What of features (B, N, channels) has to be remembered, (B, M, channels), in memory of its own."""
        assert self.record is not None, "nothing has to be remembered"
        if isinstance(self.record, slice):
            return features[:, self.record].clone()
        return features.gather(1, self.record[:, :, None].expand(-1, -1, features.shape[2]))

    def _convolve(self, convolution: MaskedConv, inputs: Tensor) -> Tensor:
        convolve = sliced_convolution if self.geometry.raster else masked_convolution
        return convolve(convolution, inputs, self.geometry)

    def attend(self, attention: AttentionLayer, query: Tensor, features: Tensor) -> Tensor:
        """See ``layers.Pass``."""
        memory = attention.remember(features, self.embedded, self.background(), self.drop)
        if self.record is not None:
            self.features.append(self.remembered(features))
            self.memory.append(memory)
        queries = attention.heads_of(query)
        # Fused kernels want queries, keys and values of one width; zeros change neither the scores nor the first channels.
        width = max(attention.key_width, attention.value_width)
        queries, keys, values = (F.pad(part, (0, width - part.shape[-1])) for part in (queries, *memory))
        scale = attention.key_width**-0.5
        mixed = F.scaled_dot_product_attention(queries, keys, values, attn_mask=self.geometry.attendable, scale=scale)
        found = mixed[..., : attention.value_width].transpose(1, 2).flatten(2)
        return found * self.geometry.reached

    def condition(self, projection: nn.Linear | None) -> Tensor | None:
        """See ``layers.Pass``."""
        if projection is None or self.conditioned is None:
            return None
        projected: Tensor = projection(self.conditioned)
        return projected

    def background(self) -> Tensor:
        """See ``layers.Pass``."""
        return self.geometry.background.expand(len(self.embedded), -1, -1)

    def drop(self, activations: Tensor, share: float) -> Tensor:
        """See ``layers.Pass``."""
        if share == 0 or self.generator is None:
            return activations
        keep = torch.empty_like(activations).bernoulli_(1 - share, generator=self.generator)
        return activations * keep.div_(1 - share)


class ColumnPass:
    """K positions of every row alone, given what a lane remembers of all that was visited before them.

    Args:
        lane: What is remembered.
        targets: int64 (B, K), positions within the grid, N for none.
    """

    def __init__(self, lane: Lane, targets: Tensor) -> None:
        self.lane = lane
        around, self.taps = lane.around(targets)
        self.around = iter(torch.split(around, lane.channels, dim=2))
        self.targets = targets.clamp(max=lane.length - 1)
        self.coordinates = lane.background[self.targets]
        self.memory = iter(zip(lane.keys, lane.values, strict=True))
        self.columns: list[Tensor] = []
        self.features: list[Tensor] = []

    def enter(self, convolution: MaskedConv) -> Tensor:
        """See ``layers.Pass``: the codes of earlier neighbours are all that it reads."""
        return self._convolve(convolution, next(self.around))

    def convolve(self, convolution: MaskedConv, inputs: Tensor) -> Tensor:
        """See ``layers.Pass``."""
        self.columns.append(inputs)
        around = next(self.around)
        around[:, CENTRE - self.taps.start] = inputs.flatten(0, 1)
        return self._convolve(convolution, around)

    def _convolve(self, convolution: MaskedConv, around: Tensor) -> Tensor:
        """The convolution of columns (B · K, taps, A), (B, K, O)."""
        found = F.linear(around.flatten(1), convolution.matrix(self.taps), convolution.bias)
        return found.view(*self.targets.shape, convolution.outputs)

    def attend(self, attention: AttentionLayer, query: Tensor, features: Tensor) -> Tensor:
        """See ``layers.Pass``."""
        self.features.append(features)
        lane = self.lane
        keys, values = next(self.memory)
        if lane.extent == 0:
            return query.new_zeros(*query.shape[:2], attention.heads * attention.value_width)
        keys, values = keys[..., : lane.extent], values[:, :, : lane.extent]
        scores: Tensor = (attention.heads_of(query).to(keys.dtype) * attention.key_width**-0.5) @ keys
        if lane.even:
            mixed: Tensor = scores.softmax(-1) @ values
        else:
            scores = scores.masked_fill(lane.empty_slots(), torch.finfo(scores.dtype).min)
            mixed = (scores.softmax(-1) @ values) * (lane.filled > 0)[:, None, None, None]
        return mixed.transpose(1, 2).flatten(2)

    def condition(self, projection: nn.Linear | None) -> Tensor | None:
        """See ``layers.Pass``."""
        conditioned = self.lane.condition
        if projection is None or conditioned is None:
            return None
        if conditioned.shape[1] > 1:
            conditioned = conditioned.gather(1, self.targets[:, :, None].expand(-1, -1, conditioned.shape[2]))
        projected: Tensor = projection(conditioned)
        return projected

    def background(self) -> Tensor:
        """See ``layers.Pass``."""
        return self.coordinates

    def drop(self, activations: Tensor, share: float) -> Tensor:
        """See ``layers.Pass``."""
        return drop_nothing(activations, share)
