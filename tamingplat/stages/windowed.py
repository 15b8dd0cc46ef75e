"""Windows of encoded images, which a prior is trained and measured on where it does not model whole images.

Shape letters: n images, k windows that tile an image, N tokens of an image, w tokens of a window.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from tamingplat.interfaces import Crop, Windows, derive_seed
from tamingplat.interfaces.models import TokenArray

Tokens = np.ndarray[Any, Any]


def random_window(windows: Windows, seed: int, epoch: int, index: int) -> tuple[int, int]:
    """Top and left of the window of an image in an epoch of training; all places are equally likely."""
    tops, lefts = windows.places()
    return divmod(derive_seed(seed, "window", epoch, index) % (tops * lefts), lefts)


class TiledTokens:
    """The windows that tile every image, integers (n · k, w): all of the first image, then the next one's.

    Rows are cut from the tokens of the images when they are asked for, so that a split is never in memory as a whole.
    """

    def __init__(self, tokens: TokenArray, crop: Crop, windows: Windows) -> None:
        """Args:
        tokens: Integers (n, N), read in slices.
        crop: The places of a window's tokens.
        windows: Which windows there are.
        """
        self._tokens = tokens
        self._places = np.stack([crop.at(top, left) for top, left in windows.tiles()])

    @property
    def shape(self) -> tuple[int, int]:
        """n · k and w."""
        count, length = self._places.shape
        return len(self._tokens) * count, length

    @property
    def dtype(self) -> np.dtype[Any]:
        """That of the tokens."""
        return self._tokens.dtype

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, rows: slice, /) -> Tokens:
        """Integers (len of the slice, w); of consecutive rows, as batches are."""
        start, stop, step = rows.indices(len(self))
        assert step == 1, f"rows {rows} are not consecutive"
        count = len(self._places)
        images, windows = np.divmod(np.arange(start, stop), count)
        if not len(images):
            return np.empty((0, self.shape[1]), self.dtype)
        first = start // count
        tokens = np.asarray(self._tokens[first : (stop - 1) // count + 1])
        found: Tokens = tokens[(images - first)[:, None], self._places[windows]]
        return found
