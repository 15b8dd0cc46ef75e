"""An exponential moving average of a model's weights."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import torch
from torch import Tensor, nn
from torch.optim.swa_utils import get_ema_multi_avg_fn


class WeightAverage:
    """Average of every floating-point parameter: ``decay`` times the average so far plus ``1 − decay`` times the new weights.

    It starts from the initial weights, and is kept in float32, or in float64 where the parameter is. Buffers are not averaged:
    the model's own hold for the average too.
    """

    def __init__(self, model: nn.Module, decay: float) -> None:
        named = {name: parameter for name, parameter in model.named_parameters() if parameter.is_floating_point()}
        self._parameters = list(named.values())
        self._average = {
            name: parameter.detach().to(torch.promote_types(parameter.dtype, torch.float32), copy=True)
            for name, parameter in named.items()
        }
        self._blend = get_ema_multi_avg_fn(decay)  # type: ignore[no-untyped-call]

    @torch.no_grad()
    def update(self) -> None:
        """Take the model's present weights in."""
        weights = [
            parameter.detach().to(average.dtype)
            for parameter, average in zip(self._parameters, self._average.values(), strict=True)
        ]
        self._blend(list(self._average.values()), weights, 0)

    @torch.no_grad()
    def apply(self) -> None:
        """Write the average into the model for good."""
        for parameter, average in zip(self._parameters, self._average.values(), strict=True):
            parameter.copy_(average)

    @contextmanager
    def applied(self) -> Iterator[None]:
        """The model holds the average inside and its own weights again afterwards."""
        own = [parameter.detach().clone() for parameter in self._parameters]
        self.apply()
        try:
            yield
        finally:
            with torch.no_grad():
                for parameter, weights in zip(self._parameters, own, strict=True):
                    parameter.copy_(weights)

    def state_tensors(self) -> dict[str, Tensor]:
        """The average of every parameter, by name."""
        return dict(self._average)

    @torch.no_grad()
    def load_state_tensors(self, tensors: Mapping[str, Tensor]) -> None:
        """Continue from what ``state_tensors`` returned."""
        for name, average in self._average.items():
            average.copy_(tensors[name])
