"""Images beside what their codes decode to, for the metrics that look at such pairs.

Both are taken as a file would hold them, 8 bits per channel.

Shape letters: n images, B batch, C/H/W image, N code positions.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from typing import ClassVar

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from tamingplat.interfaces import DatasetInfo, TamingplatError
from tamingplat.interfaces.models import Measurement, Measures, Metric, Perceptual, TokenizerSubject

LARGEST_PSNR = 100.0
"""What an image counts that is reconstructed without error, in dB; no other image counts more."""


class PairMetric(Metric):
    """A metric of reconstructions that gives numbers for each pair of an image and its reconstruction."""

    measures: ClassVar[Measures] = "tokenizer"
    name: ClassVar[str]
    """As manifests write it."""

    @abstractmethod
    def compare(self, originals: Tensor, decoded: Tensor) -> Mapping[str, Tensor]:
        """uint8 (B, C, H, W) twice to numbers by name, each (B,)."""

    def per_image(self, subject: TokenizerSubject) -> dict[str, npt.NDArray[np.float64]]:
        """The numbers of every image of the split, each float64 (n,).

        Raises:
            TamingplatError: The split is empty, or a decoded image is not finite.
        """
        name, split = self.name, subject.split
        finite: list[Tensor] = []
        columns: dict[str, list[Tensor]] = {}
        for start in range(0, len(subject.codes), subject.batch_size):
            rows = range(start, min(start + subject.batch_size, len(subject.codes)))
            originals, decoded = _pairs(subject, rows)
            finite.append(decoded.isfinite().flatten(1).all(dim=1))
            with torch.no_grad():
                for key, values in self.compare(originals, _as_file(decoded)).items():
                    columns.setdefault(key, []).append(values)
        if not finite:
            raise TamingplatError(f"{name}: the {split} split has no images")
        sound = torch.cat(finite).cpu()
        broken = torch.nonzero(~sound)[:, 0]
        if len(broken):
            raise TamingplatError(
                f"{name}: {len(broken)} of {len(sound)} {split} images, first number {int(broken[0])}, "
                "decode to values that are not finite"
            )
        return {key: torch.cat(values).cpu().double().numpy() for key, values in columns.items()}


def _pairs(subject: TokenizerSubject, rows: range) -> tuple[Tensor, Tensor]:
    """Images as uint8 and their reconstructions as float, both (B, C, H, W)."""
    images = np.stack([subject.dataset.read(subject.split, index)["image"] for index in rows])
    originals = torch.from_numpy(images).to(subject.device, non_blocking=True)
    codes = torch.from_numpy(subject.codes[rows.start : rows.stop].astype(np.int64)).to(subject.device, non_blocking=True)
    with torch.no_grad():
        return originals, subject.tokenizer.decode(codes, (images.shape[2], images.shape[3])).float()


def _as_file(decoded: Tensor) -> Tensor:
    """Float images in [-1, 1] as a file would hold them, uint8."""
    return decoded.nan_to_num().add(1).mul(127.5).round().clamp(0, 255).to(torch.uint8)


def pixel_errors(originals: Tensor, decoded: Tensor) -> tuple[Tensor, Tensor]:
    """Mean absolute and mean squared error of uint8 (B, C, H, W) in steps of 1/255, both (B,)."""
    # Sums of whole numbers: exact, whatever the order in which a device adds them.
    difference = originals.int().sub(decoded.int()).flatten(1)
    pixels = difference.shape[1]
    return difference.abs().sum(dim=1) / pixels, difference.square().sum(dim=1) / pixels


def psnr(squared: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Peak signal-to-noise ratio of images with these mean squared errors in steps of 1/255, in dB; both (n,)."""
    with np.errstate(divide="ignore"):
        values: npt.NDArray[np.float64] = np.minimum(-10 * np.log10(squared / 255**2), LARGEST_PSNR)
    return values


def perceptual_distance(network: Perceptual, originals: Tensor, decoded: Tensor) -> Tensor:
    """Distance by a perceptual network between uint8 (B, 1 or 3, H, W), float32 (B,)."""
    return network.distance(_colour(originals), _colour(decoded))


def _colour(images: Tensor) -> Tensor:
    """uint8 (B, 1 or 3, H, W) to float32 (B, 3, H, W) in [-1, 1]."""
    return (images.float() / 127.5 - 1).expand(-1, 3, -1, -1)


def perceptual_refusal(name: str, network: Perceptual, info: DatasetInfo, remedy: str) -> str | None:
    """Why a perceptual network cannot look at these images."""
    smallest = network.minimum_size
    if info.channels not in (1, 3):
        return f"{name} looks at grey or colour images, not at {info.channels} channels; set the dataset's channels to 3"
    if min(info.image_size) < smallest:
        height, width = info.image_size
        return f"{name} needs {smallest}×{smallest} pixels, and images have {height}×{width}; {remedy}"
    return None


def psnr_measurement(squared: npt.NDArray[np.float64]) -> Measurement:
    """PSNR of images with these mean squared errors (n,) in steps of 1/255."""
    values = psnr(squared)
    what = f"Peak signal-to-noise ratio of 8-bit images, averaged over images, each at most {LARGEST_PSNR:.0f} dB."
    return Measurement("PSNR", float(values.mean()), "dB", "higher", what, headline=True, values=values)


def perceptual_measurement(name: str, values: npt.NDArray[np.float64]) -> Measurement:
    """Distances (n,) by the perceptual network of this name."""
    what = f"Perceptual distance between images and reconstructions by {name}."
    mean = float(values.mean())
    return Measurement(f"{name} distance", mean, "", "lower", what, network=True, headline=True, values=values)
