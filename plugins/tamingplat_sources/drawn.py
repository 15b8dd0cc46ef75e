"""What the sources share: images that are drawn when they are read, each from its own address.

Shape letters: B images drawn together, H/W image.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from tamingplat.interfaces import DatasetInfo
from tamingplat.interfaces.models import Dataset, Example
from tamingplat_sources.config import SourceConfig
from tamingplat_sources.palette import palette

_PIXELS_AT_A_TIME = 1 << 18
_PIXELS_KEPT = 1 << 26
"""Of one split: where it has more, every image is drawn anew when it is read."""

Drawn = tuple[npt.NDArray[np.uint8], npt.NDArray[np.float64]]


class DrawnDataset(Dataset):
    """Palette images from a known distribution, with the logarithm of each one's probability.

    Image i of a split depends on the settings, the split's name and i alone. Views are not augmented: all are the image itself.
    """

    config: SourceConfig

    def __init__(self, config: SourceConfig, parts: Mapping[str, Any]) -> None:
        super().__init__(config, parts)
        self._palette = palette(self.colours)
        self._chunks: dict[tuple[str, int], Drawn] = {}

    @property
    @abstractmethod
    def colours(self) -> int:
        """Colours of the palette."""

    @abstractmethod
    def draw(self, split: str, indices: Sequence[int]) -> Drawn:
        """Images by their numbers in a split.

        Returns:
            Colours uint8 (B, H, W), and log-probabilities in nats, float64 (B,).
        """

    @property
    def info(self) -> DatasetInfo:
        """Size and splits, as the settings say."""
        return DatasetInfo(
            image_size=self.config.size,
            channels=3,
            splits=dict(self.config.images),
            columns=("image", "log_probability"),
        )

    def read(self, split: str, index: int, view: int = 0) -> Example:
        """One example; see ``Dataset.read``. All views are the same."""
        assert 0 <= index < self.config.images[split], (split, index)
        height, width = self.config.size
        at_a_time = max(1, _PIXELS_AT_A_TIME // (height * width))
        if self.config.images[split] * height * width > _PIXELS_KEPT:
            (colours,), (log_probability,) = self.draw(split, [index])
        else:
            number, place = divmod(index, at_a_time)
            chunk = self._chunks.get((split, number))
            if chunk is None:
                stop = min((number + 1) * at_a_time, self.config.images[split])
                chunk = self._chunks[split, number] = self.draw(split, range(number * at_a_time, stop))
            colours, log_probability = chunk[0][place], chunk[1][place]
        image = np.ascontiguousarray(self._palette[colours].transpose(2, 0, 1))
        return {"image": image, "log_probability": np.array(log_probability, dtype=np.float64)}

    def __getstate__(self) -> dict[str, Any]:
        """Without what was drawn."""
        return {**self.__dict__, "_chunks": {}}
