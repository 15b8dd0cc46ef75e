"""The colours that a source's images are painted with."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt


def palette(colours: int) -> npt.NDArray[np.uint8]:
    """Different colours far from each other, uint8 (colours, 3): eight of them are the corners of the RGB cube.

    The bits of a colour's number go to red, green and blue in turn, the lowest being the coarsest of its channel.
    """
    bits = max(1, (colours - 1).bit_length())
    numbers = np.arange(colours)
    levels = np.zeros((colours, 3))
    for channel in range(3):
        own = range(channel, bits, 3)
        for bit in own:
            levels[:, channel] = 2 * levels[:, channel] + ((numbers >> bit) & 1)
        levels[:, channel] *= 255 / max(1, 2 ** len(own) - 1)
    return levels.round().astype(np.uint8)
