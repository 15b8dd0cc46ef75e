"""A Potts field on a narrow strip, where a transfer matrix makes sampling and likelihoods exact.

R. B. Potts, "Some generalized order-disorder transformations", Proceedings of the Cambridge Philosophical Society 48(1), 1952;
the transfer matrix after Kramers and Wannier, "Statistics of the Two-Dimensional Ferromagnet, Part I", Phys. Rev. 60, 1941.
Drawing one pixel after the other from what is left of the partition function is the backward sampling of hidden Markov models.

Shape letters: B images drawn together, H/W image, q colours.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from tamingplat.interfaces import derive_seed
from tamingplat_sources.config import PottsConfig
from tamingplat_sources.drawn import Drawn, DrawnDataset
from tamingplat_sources.uniforms import thresholds, uniforms

Array = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Messages:
    """What the pixels that are not drawn yet contribute to the partition function.

    Attributes:
        after: One for every pixel in raster order, float64 with W axes of q: the sum over all later pixels, up to a factor, for
            the colours of the last W pixels up to this one, each at the axis of its column.
        log_partition: log Z.
    """

    after: tuple[Array, ...]
    log_partition: float


def transfer(height: int, width: int, colours: int, coupling: float) -> Messages:
    """Add up the partition function of a Potts field from the last pixel to the first.

    Args:
        height: H.
        width: W.
        colours: q.
        coupling: J.
    """
    equal = np.exp(coupling * np.eye(colours))
    message = np.ones((colours,) * width)
    after, log_scale = [], 0.0
    for pixel in reversed(range(height * width)):
        row, column = divmod(pixel, width)
        after.append(message)
        # The pixel's own colour is on its column's axis, and gives way to that of the pixel above.
        weighed = message * _between(equal, column - 1, column, width) if column else message
        if row:
            message = np.moveaxis(np.tensordot(weighed, equal, axes=(column, 0)), -1, column)
        else:
            message = np.broadcast_to(weighed.sum(axis=column, keepdims=True), message.shape)
        largest = float(message.max())
        message = message / largest
        log_scale += math.log(largest)
    return Messages(tuple(reversed(after)), log_scale + math.log(float(message.reshape(-1)[0])))


def _between(equal: Array, one: int, other: int, width: int) -> Array:
    """A matrix of two columns' colours, shaped to be multiplied with a message."""
    shape = [1] * width
    shape[one] = shape[other] = len(equal)
    return equal.reshape(shape)


class Potts(DrawnDataset):
    """Images with p(x) = exp(J · s(x)) / Z, where s counts the pairs of adjacent pixels of equal colour; the border is free.

    Mirrored left to right or top to bottom, and transposed where it is square, an image has the probability that it had:
    visiting orders that are mirror images of each other meet the same data, and a comparison that finds a difference between
    them is wrong. Every single pixel is uniform over the colours, so that all structure is between pixels.

    The sum over all images is carried out pixel by pixel over the q^W colourings of the last W pixels, which limits the width.
    """

    config: PottsConfig

    def __init__(self, config: PottsConfig, parts: Mapping[str, Any]) -> None:
        super().__init__(config, parts)
        self._computed: Messages | None = None

    @property
    def colours(self) -> int:
        """q."""
        return self.config.colours

    @property
    def _messages(self) -> Messages:
        if self._computed is None:
            self._computed = transfer(*self.config.size, self.config.colours, self.config.coupling)
        return self._computed

    @property
    def log_partition(self) -> float:
        """log Z."""
        return self._messages.log_partition

    def source(self) -> Mapping[str, Any]:
        """The palette, the coupling and log Z."""
        return {
            "distribution": "Potts field: exp(coupling · pairs of equal neighbours − log_partition), with a free border",
            "coupling": self.config.coupling,
            "log_partition": self.log_partition,
            "palette": self._palette.tolist(),
        }

    def draw(self, split: str, indices: Sequence[int]) -> Drawn:
        """Images by their numbers; see ``DrawnDataset``. Pixels are drawn in raster order, each given all before it."""
        height, width = self.config.size
        q = self.config.colours
        drawn = uniforms(derive_seed("potts images", self.config.seed, split), indices, height * width)
        colours = np.zeros((len(indices), height * width), dtype=np.int64)
        # The colours of the last W pixels as one number in base q, the first column's digit being the highest.
        places = q ** np.arange(width - 1, -1, -1)
        last = np.zeros(len(indices), dtype=np.int64)
        for pixel, message in enumerate(self._messages.after):
            row, column = divmod(pixel, width)
            above = last // places[column] % q
            states = (last - above * places[column])[:, None] + np.arange(q) * places[column]
            neighbours = [above] * (row > 0) + [colours[:, pixel - 1]] * (column > 0)
            equal = sum((np.arange(q) == neighbour[:, None] for neighbour in neighbours), np.zeros((len(indices), q)))
            weights = np.exp(self.config.coupling * equal) * message.reshape(-1)[states]
            colours[:, pixel] = (drawn[:, pixel, None] >= thresholds(weights)).sum(axis=1)
            last = np.take_along_axis(states, colours[:, pixel, None], axis=1)[:, 0]
        images = colours.reshape(-1, height, width).astype(np.uint8)
        return images, self.log_probabilities(images)

    def log_probabilities(self, colours_BHW: npt.NDArray[np.integer[Any]]) -> Array:
        """The log-probability in nats of any images, float64 (B,).

        Args:
            colours_BHW: Numbers of colours, (B, H, W).
        """
        across = (colours_BHW[:, :, 1:] == colours_BHW[:, :, :-1]).sum(axis=(1, 2))
        down = (colours_BHW[:, 1:] == colours_BHW[:, :-1]).sum(axis=(1, 2))
        log_probability: Array = self.config.coupling * (across + down) - self.log_partition
        return log_probability

    def __getstate__(self) -> dict[str, Any]:
        """Without the messages, which are quick to compute and large."""
        return {**super().__getstate__(), "_computed": None}
