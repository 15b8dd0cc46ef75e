"""What is at a pixel, estimated from its surroundings by regression in closed form.

A pixel's features are the colours of the 5×5 pixels around it, of 3×3 squares of four pixels' side around it, and the image's
mean. Rectified random projections of these (Rahimi and Recht, "Weighted Sums of Random Kitchen Sinks", NeurIPS 2008) are what
the estimate is linear in; ridge regression on pixels of the reference split gives the weights. There is nothing to train and
nothing to download, so that any dataset with such maps has the same estimator. What it makes of real images is the ceiling.

Shape letters: B batch, C/H/W image, n pixels, F features before and D after projection, K targets.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from torch import Tensor

from tamingplat.interfaces import derive_seed
from tamingplat.interfaces.models import ImageArray
from tamingplat_agreement.config import AgreementConfig

_COARSE = 4
_PIXELS_AT_ONCE = 1 << 16

Targets = Callable[[int, npt.NDArray[np.int64]], npt.NDArray[np.floating[Any]]]
"""Given an image's number and flat places of pixels (n,), their targets (n, K)."""

Places = Callable[[int, np.random.Generator], npt.NDArray[np.int64]]
"""Given an image's number and a generator, flat places of pixels of it to be fitted to, (n,)."""


def surroundings(images: Tensor) -> Tensor:
    """uint8 (B, C, H, W) to float32 (B, F, H, W): colours around every pixel, near and far, as seen from it."""
    pixels = images.float().div(127.5).sub(1)
    height, width = pixels.shape[2:]
    near = _neighbours(pixels, 2)
    coarse = F.avg_pool2d(pixels, _COARSE, ceil_mode=True, count_include_pad=False)
    far = F.interpolate(_neighbours(coarse, 1), scale_factor=_COARSE, mode="nearest")[:, :, :height, :width]
    mean = pixels.mean((2, 3), keepdim=True).expand(-1, -1, height, width)
    return torch.cat([near, far, mean], dim=1)


def _neighbours(pixels: Tensor, reach: int) -> Tensor:
    """(B, C, H, W) to (B, C · (2 reach + 1)², H, W); beyond the border the border's colours go on."""
    side, (batch, _, height, width) = 2 * reach + 1, pixels.shape
    padded = F.pad(pixels, (reach,) * 4, mode="replicate")
    return F.unfold(padded, side).view(batch, -1, height, width)


class PixelEstimator:
    """A regression from the surroundings of pixels to K numbers, fitted to some pixels of some images.

    Args:
        config: How it is fitted.
        device: Where to compute.
    """

    def __init__(self, config: AgreementConfig, device: torch.device) -> None:
        self._config, self._device = config, device

    def fit(self, images: ImageArray, places: Places, targets: Targets) -> None:
        """Fit the weights: fixed random projections, then ridge regression in float64."""
        features, wanted = [], []
        for number in range(min(len(images), self._config.fit_images)):
            chosen = places(number, np.random.Generator(np.random.PCG64(derive_seed("agreement", number))))
            image = torch.from_numpy(np.array(images[number : number + 1])).to(self._device)
            features.append(surroundings(image)[0].flatten(1)[:, torch.from_numpy(chosen).to(self._device)].T)
            wanted.append(torch.from_numpy(np.asarray(targets(number, chosen), dtype=np.float64)))
        found_nF, wanted_nK = torch.cat(features), torch.cat(wanted).to(self._device)
        generator = torch.Generator().manual_seed(derive_seed("agreement", "projection"))
        sources = found_nF.shape[1]
        self._mean, self._scale = found_nF.mean(0), 1 / (found_nF.std(0) + 1e-3)
        projection = torch.randn(sources, self._config.features, generator=generator) / sources**0.5
        # Neighbouring pixels say nearly the same, and the sum of F numbers is much larger than of as many independent ones.
        self._projection = (projection * 2).to(self._device)
        self._offsets = torch.rand(self._config.features, generator=generator).mul(2).sub(1).to(self._device)
        projected = self._project(found_nF).double()
        size = len(projected)
        square = projected.T @ projected / size + self._config.ridge * torch.eye(projected.shape[1], device=self._device)
        self._weights = torch.linalg.solve(square, projected.T @ wanted_nK / size).float()

    def _project(self, features_nF: Tensor) -> Tensor:
        """float32 (n, F) to (n, D)."""
        standard = (features_nF - self._mean) * self._scale
        ones = torch.ones(len(standard), 1, device=standard.device)
        return torch.cat([ones, standard, (standard @ self._projection + self._offsets).relu()], dim=1)

    def estimate(self, image: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
        """uint8 (C, H, W) to float32 (K, H, W)."""
        pixels = torch.from_numpy(np.array(image))[None].to(self._device)
        features = surroundings(pixels)[0].flatten(1).T
        found = torch.cat([self._project(part) @ self._weights for part in torch.split(features, _PIXELS_AT_ONCE)])
        estimated: npt.NDArray[np.float32] = found.T.reshape(-1, *image.shape[1:]).cpu().numpy()
        return estimated


def random_places(pixels: int, count: int) -> Places:
    """``count`` of the places of an image of so many pixels, each at most once."""
    return lambda number, random: random.choice(pixels, min(count, pixels), replace=False)
