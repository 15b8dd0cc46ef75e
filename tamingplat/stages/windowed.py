"""Windows of encoded images, which a prior is trained and measured on where it does not model whole images.

Shape letters: n images, k windows that tile an image, N tokens of an image, w tokens of a window.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from tamingplat.interfaces import Crop, Windows, derive_seed

Tokens = np.ndarray[Any, Any]


def random_window(windows: Windows, seed: int, epoch: int, index: int) -> tuple[int, int]:
    """Top and left of the window of an image in an epoch of training; all places are equally likely."""
    tops, lefts = windows.places()
    return divmod(derive_seed(seed, "window", epoch, index) % (tops * lefts), lefts)


def tiled(tokens: Tokens, crop: Crop, windows: Windows) -> Tokens:
    """The windows that tile every image, integers (n · k, w) of tokens (n, N): all of the first image, then the next one's."""
    places = np.stack([crop.at(top, left) for top, left in windows.tiles()])
    return np.asarray(tokens)[:, places].reshape(len(tokens) * len(places), places.shape[1])
