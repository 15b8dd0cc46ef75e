"""Errors of encoding and decoding an image: all of them together, and each as a metric of its own.

Shape letters: n images, B batch, C/H/W image.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib.util import find_spec
from types import MappingProxyType
from typing import ClassVar

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from tamingplat.interfaces import DatasetInfo
from tamingplat.interfaces.models import Measurement, Perceptual, TokenizerSubject
from tamingplat_metrics.config import LpipsMetricConfig, ReconstructionConfig
from tamingplat_metrics.reconstructed import (
    LARGEST_PSNR,
    PairMetric,
    perceptual_distance,
    perceptual_measurement,
    perceptual_refusal,
    pixel_errors,
    psnr_measurement,
)

_WINDOW = 11


class Reconstruction(PairMetric):
    """L1, MSE, PSNR and a perceptual distance between images and what their codes decode to.

    Both are taken as a file would hold them, 8 bits per channel. L1 and MSE are of pixels scaled to [0, 1]. PSNR is the mean
    over images of 10 · log₁₀(1 / MSE), each at most 100 dB.
    """

    name = "reconstruction"
    at_equality: ClassVar[float | Mapping[str, float] | None] = MappingProxyType({"L1": 0.0, "MSE": 0.0, "PSNR": LARGEST_PSNR})
    config: ReconstructionConfig

    @property
    def _network(self) -> Perceptual | None:
        network: Perceptual | None = self.parts.get("perceptual")
        # A distance that weighs nothing is the one of those who want none: a column of zeros would read as perfection.
        return network if network is not None and network.default_weight != 0 else None

    def refusal(self, info: DatasetInfo, *, samples: int, reference: int) -> str | None:
        """Why the perceptual network cannot look at these images."""
        if self._network is None:
            return None
        assert self.config.perceptual is not None
        return perceptual_refusal(self.config.perceptual.use, self._network, info, "leave perceptual out")

    def compare(self, originals: Tensor, decoded: Tensor) -> Mapping[str, Tensor]:
        """uint8 (B, C, H, W) twice to absolute and squared error in steps of 1/255 and perceptual distance, each (B,)."""
        absolute, squared = pixel_errors(originals, decoded)
        found = {"absolute": absolute, "squared": squared}
        if self._network is not None:
            found["distance"] = perceptual_distance(self._network, originals, decoded)
        return found

    def run(self, subject: TokenizerSubject) -> Sequence[Measurement]:
        """Measure a tokenizer.

        Raises:
            TamingplatError: The split is empty, or a decoded image is not finite.
        """
        found = self.per_image(subject)
        l1, mse = found["absolute"] / 255, found["squared"] / 255**2
        measurements = [
            _error("L1", l1, "Mean absolute error of 8-bit pixels scaled to [0, 1]."),
            _error("MSE", mse, "Mean squared error of 8-bit pixels scaled to [0, 1]."),
            psnr_measurement(found["squared"]),
        ]
        if self._network is not None:
            assert self.config.perceptual is not None
            measurements.append(perceptual_measurement(self.config.perceptual.use, found["distance"]))
        return measurements


def _error(name: str, values: npt.NDArray[np.float64], what: str) -> Measurement:
    return Measurement(name, float(values.mean()), "", "lower", what, values=values)


class Psnr(PairMetric):
    """PSNR between images and what their codes decode to: 10 · log₁₀(1 / MSE) of each image, at most 100 dB."""

    name = "psnr"
    at_equality: ClassVar[float | Mapping[str, float] | None] = LARGEST_PSNR

    def compare(self, originals: Tensor, decoded: Tensor) -> Mapping[str, Tensor]:
        """uint8 (B, C, H, W) twice to the squared error in steps of 1/255, (B,)."""
        return {"squared": pixel_errors(originals, decoded)[1]}

    def run(self, subject: TokenizerSubject) -> Sequence[Measurement]:
        """Measure a tokenizer; errors as in ``PairMetric.per_image``."""
        return [psnr_measurement(self.per_image(subject)["squared"])]


class Lpips(PairMetric):
    """Perceptual distance between images and what their codes decode to, by any perceptual network."""

    name = "lpips"
    at_equality: ClassVar[float | Mapping[str, float] | None] = 0.0
    config: LpipsMetricConfig

    @property
    def _network(self) -> Perceptual:
        network: Perceptual = self.parts["perceptual"]
        return network

    def refusal(self, info: DatasetInfo, *, samples: int, reference: int) -> str | None:
        """Why the perceptual network cannot look at these images."""
        name = self.config.perceptual.use
        if self._network.default_weight == 0:
            return f"{name} finds no distance between any two images; name another perceptual network"
        return perceptual_refusal(name, self._network, info, "use larger images, or another network")

    def compare(self, originals: Tensor, decoded: Tensor) -> Mapping[str, Tensor]:
        """uint8 (B, 1 or 3, H, W) twice to their distance, (B,)."""
        return {"distance": perceptual_distance(self._network, originals, decoded)}

    def run(self, subject: TokenizerSubject) -> Sequence[Measurement]:
        """Measure a tokenizer; errors as in ``PairMetric.per_image``."""
        return [perceptual_measurement(self.config.perceptual.use, self.per_image(subject)["distance"])]


class Ssim(PairMetric):
    """Structural similarity between images and what their codes decode to, by scikit-image.

    Wang et al., "Image Quality Assessment: From Error Visibility to Structural Similarity", IEEE TIP 2004, with the paper's
    window: a Gaussian of deviation 1.5 over 11 × 11 pixels, K₁ = 0.01 and K₂ = 0.03 of 255. Mean over the window's places and
    over channels, for each image alone.
    """

    name = "ssim"
    at_equality: ClassVar[float | Mapping[str, float] | None] = 1.0

    def refusal(self, info: DatasetInfo, *, samples: int, reference: int) -> str | None:
        """Why there is no similarity of these images: they are smaller than the window, or scikit-image is not here."""
        if find_spec("skimage") is None:
            return "it is computed by scikit-image, which is not installed; pip install 'tamingplat[ssim]'"
        if min(info.image_size) < _WINDOW:
            height, width = info.image_size
            return f"its window has {_WINDOW}×{_WINDOW} pixels, and images have {height}×{width}; use larger images"
        return None

    def compare(self, originals: Tensor, decoded: Tensor) -> Mapping[str, Tensor]:
        """uint8 (B, C, H, W) twice to their similarity, float64 (B,)."""
        from skimage.metrics import structural_similarity

        pairs = zip(originals.cpu().numpy(), decoded.cpu().numpy(), strict=True)
        values = [
            structural_similarity(
                *pair, channel_axis=0, data_range=255, gaussian_weights=True, sigma=1.5, use_sample_covariance=False
            )
            for pair in pairs
        ]
        return {"similarity": torch.tensor(values, dtype=torch.float64)}

    def run(self, subject: TokenizerSubject) -> Sequence[Measurement]:
        """Measure a tokenizer; errors as in ``PairMetric.per_image``."""
        values = self.per_image(subject)["similarity"]
        what = "Structural similarity of 8-bit images, averaged over images: one where they are the same."
        return [Measurement("SSIM", float(values.mean()), "", "higher", what, headline=True, values=values)]
