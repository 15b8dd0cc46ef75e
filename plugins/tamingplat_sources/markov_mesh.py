"""A Markov mesh: each pixel's colour depends on its left and its upper neighbour alone.

Abend, Harley and Kanal, "Classification of binary random patterns", IEEE Transactions on Information Theory 11(4), 1965.

Shape letters: B images drawn together, H/W image, K colours.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from tamingplat.interfaces import derive_seed
from tamingplat_sources.config import MarkovMeshConfig
from tamingplat_sources.drawn import Drawn, DrawnDataset
from tamingplat_sources.uniforms import dirichlet, thresholds, uniforms


class MarkovMesh(DrawnDataset):
    """Images with p(x) = ∏ p(x_rc | x_r,c−1, x_r−1,c), the product over rows r and columns c.

    The table p(· | left, above) has a row of K probabilities for each of (K + 1)² pairs, every one drawn from a symmetric
    Dirichlet distribution. Border rule: beyond the left and the upper border lies a colour of its own, number K, so that pixels
    of the first column have rows (K, above), those of the first row (left, K), and the first pixel (K, K).

    The log-probability of an image is the sum of its pixels', whatever order a prior visits them in: a prior's expected
    negative log-likelihood is at least the source's entropy under every ordering. Reaching it is easiest in an order that
    visits a pixel's left and upper neighbour before it and little else, so that this source favours ``raster`` by construction.
    """

    config: MarkovMeshConfig

    def __init__(self, config: MarkovMeshConfig, parts: Mapping[str, Any]) -> None:
        super().__init__(config, parts)
        contexts = (config.colours + 1) ** 2
        key = derive_seed("markov-mesh table", config.seed)
        self._log_table = dirichlet(key, config.concentration, contexts, config.colours)
        self._thresholds = thresholds(np.exp(self._log_table))

    @property
    def colours(self) -> int:
        """K."""
        return self.config.colours

    @property
    def table(self) -> npt.NDArray[np.float64]:
        """p(colour | left, above), float64 (K + 1, K + 1, K); index K on the first two axes is the border."""
        K = self.config.colours
        return np.exp(self._log_table).reshape(K + 1, K + 1, K)

    def source(self) -> Mapping[str, Any]:
        """The palette, the border rule and the table."""
        return {
            "distribution": "Markov mesh: the product over pixels of table[left][above][colour]",
            "border": f"left of the first column and above the first row lies colour {self.config.colours}",
            "palette": self._palette.tolist(),
            "table": self.table.tolist(),
        }

    def draw(self, split: str, indices: Sequence[int]) -> Drawn:
        """Images by their numbers; see ``DrawnDataset``. Pixels of one anti-diagonal are drawn together."""
        height, width = self.config.size
        K, B = self.config.colours, len(indices)
        drawn = uniforms(derive_seed("markov-mesh images", self.config.seed, split), indices, height * width)
        drawn_BHW = drawn.reshape(B, height, width)
        colours = np.full((B, height + 1, width + 1), K, dtype=np.int64)
        log_probability = np.zeros(B)
        for diagonal in range(height + width - 1):
            rows = np.arange(max(0, diagonal - width + 1), min(diagonal, height - 1) + 1)
            columns = diagonal - rows
            context = colours[:, rows + 1, columns] * (K + 1) + colours[:, rows, columns + 1]
            colour = (drawn_BHW[:, rows, columns, None] >= self._thresholds[context]).sum(axis=2)
            colours[:, rows + 1, columns + 1] = colour
            log_probability += self._log_table[context, colour].sum(axis=1)
        return colours[:, 1:, 1:].astype(np.uint8), log_probability

    def log_probabilities(self, colours_BHW: npt.NDArray[np.integer[Any]]) -> npt.NDArray[np.float64]:
        """The log-probability in nats of any images, float64 (B,).

        Args:
            colours_BHW: Numbers of colours, (B, H, W).
        """
        K = self.config.colours
        padded = np.pad(colours_BHW.astype(np.int64), ((0, 0), (1, 0), (1, 0)), constant_values=K)
        context = padded[:, 1:, :-1] * (K + 1) + padded[:, :-1, 1:]
        log_probability: npt.NDArray[np.float64] = self._log_table[context, padded[:, 1:, 1:]].sum(axis=(1, 2))
        return log_probability
