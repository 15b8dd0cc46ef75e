"""Errors of encoding and decoding an image.

Shape letters: n images, B batch, C/H/W image, N code positions.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor

from tamingplat.interfaces import DatasetInfo, TamingplatError
from tamingplat.interfaces.models import Measurement, Measures, Metric, Perceptual, TokenizerSubject
from tamingplat_metrics.config import ReconstructionConfig

LARGEST_PSNR = 100.0
"""What an image counts that is reconstructed without error, in dB; no other image counts more."""


class Reconstruction(Metric):
    """L1, MSE, PSNR and a perceptual distance between images and what their codes decode to.

    Both are taken as a file would hold them, 8 bits per channel. L1 and MSE are of pixels scaled to [0, 1]. PSNR is the mean
    over images of 10 · log₁₀(1 / MSE), each at most 100 dB.
    """

    measures: ClassVar[Measures] = "tokenizer"
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
        name, smallest = self.config.perceptual.use, self._network.minimum_size
        if info.channels not in (1, 3):
            return f"{name} looks at grey or colour images, not at {info.channels} channels; set the dataset's channels to 3"
        if min(info.image_size) < smallest:
            height, width = info.image_size
            return f"{name} needs {smallest}×{smallest} pixels, and images have {height}×{width}; leave perceptual out"
        return None

    def run(self, subject: TokenizerSubject) -> Sequence[Measurement]:
        """Measure a tokenizer.

        Raises:
            TamingplatError: The split is empty, or a decoded image is not finite.
        """
        rows = [self._batch(subject, start) for start in range(0, len(subject.codes), subject.batch_size)]
        if not rows:
            raise TamingplatError(f"reconstruction: the {subject.split} split has no images")
        finite, absolute, squared, distance = (torch.cat(column).cpu() for column in zip(*rows, strict=True))
        broken = torch.nonzero(~finite)[:, 0]
        if len(broken):
            raise TamingplatError(
                f"reconstruction: {len(broken)} of {len(finite)} {subject.split} images, first number {int(broken[0])}, "
                "decode to values that are not finite"
            )
        l1, mse = absolute.double() / 255, squared.double() / 255**2
        psnr = (-10 * mse.log10()).clamp(max=LARGEST_PSNR)
        measurements = [
            Measurement("L1", l1.mean().item(), "", "lower", "Mean absolute error of 8-bit pixels scaled to [0, 1]."),
            Measurement("MSE", mse.mean().item(), "", "lower", "Mean squared error of 8-bit pixels scaled to [0, 1]."),
            Measurement(
                "PSNR",
                psnr.mean().item(),
                "dB",
                "higher",
                f"Peak signal-to-noise ratio of 8-bit images, averaged over images, each at most {LARGEST_PSNR:.0f} dB.",
                headline=True,
            ),
        ]
        if self._network is not None:
            assert self.config.perceptual is not None
            name = f"{self.config.perceptual.use} distance"
            what = f"Perceptual distance between images and reconstructions by {self.config.perceptual.use}."
            measurements.append(
                Measurement(name, distance.double().mean().item(), "", "lower", what, network=True, headline=True)
            )
        return measurements

    def _batch(self, subject: TokenizerSubject, start: int) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """For each image: whether it is finite, mean absolute and squared error in steps of 1/255, perceptual distance."""
        rows = range(start, min(start + subject.batch_size, len(subject.codes)))
        images = np.stack([subject.dataset.read(subject.split, index)["image"] for index in rows])
        originals = torch.from_numpy(images).to(subject.device, non_blocking=True)
        codes = torch.from_numpy(subject.codes[rows.start : rows.stop].astype(np.int64)).to(subject.device, non_blocking=True)
        with torch.no_grad():
            decoded = subject.tokenizer.decode(codes, (images.shape[2], images.shape[3])).float()
            finite = decoded.isfinite().flatten(1).all(dim=1)
            rounded = decoded.nan_to_num().add(1).mul(127.5).round().clamp(0, 255).to(torch.uint8)
            # Sums of whole numbers: exact, whatever the order in which a device adds them.
            difference = originals.int().sub(rounded.int()).flatten(1)
            pixels = difference.shape[1]
            absolute, squared = difference.abs().sum(dim=1) / pixels, difference.square().sum(dim=1) / pixels
            if self._network is None:
                return finite, absolute, squared, torch.zeros_like(absolute)
            return finite, absolute, squared, self._network.distance(_colour(originals), _colour(rounded))


def _colour(images: Tensor) -> Tensor:
    """uint8 (B, 1 or 3, H, W) to float32 (B, 3, H, W) in [-1, 1]."""
    return (images.float() / 127.5 - 1).expand(-1, 3, -1, -1)
