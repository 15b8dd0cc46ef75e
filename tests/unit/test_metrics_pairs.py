"""PSNR, SSIM and perceptual distance of reconstructions: each image's value, and the same figures as in ``reconstruction``."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from tamingplat_metrics import reconstruction
from tamingplat_metrics.config import LpipsMetricConfig, ReconstructionConfig
from tamingplat_metrics.reconstructed import LARGEST_PSNR, PairMetric
from tamingplat_metrics.reconstruction import Lpips, Psnr, Reconstruction, Ssim
from torch import Tensor

from tamingplat.interfaces import CodeSpace, DatasetInfo, NoConfig, Selection, TamingplatError
from tamingplat.interfaces.models import Dataset, Example, Measurement, Perceptual, Tokenizer, TokenizerSubject


class Arrays(Dataset):
    def __init__(self, images: np.ndarray) -> None:
        super().__init__(NoConfig(), {})
        self.images = images

    @property
    def info(self) -> DatasetInfo:
        count, channels, height, width = self.images.shape
        return DatasetInfo((height, width), channels, {"validation": count})

    def read(self, split: str, index: int, view: int = 0) -> Example:
        return {"image": self.images[index]}


class Table(Tokenizer):
    """The code of an image is its number, which decodes to an image of a table."""

    def __init__(self, decoded: Tensor) -> None:
        super().__init__(NoConfig(), {}, image_size=(0, 0), channels=0)
        self.register_buffer("decoded", decoded)

    def code_space(self, image_size: tuple[int, int]) -> CodeSpace:
        return CodeSpace(((1,),), len(self.decoded))

    def encode(self, images: Tensor) -> Tensor:
        raise AssertionError("the codes are given")

    def decode(self, codes: Tensor, image_size: tuple[int, int]) -> Tensor:
        return self.decoded[codes[:, 0]]

    def forward(self, batch: Any, *, step: int, phase: str, generator: torch.Generator | None) -> dict[str, Tensor]:
        raise AssertionError("a metric trains nothing")


class Largest(Perceptual):
    """The largest difference of two pixels."""

    weight = 1.0

    def missing(self) -> str | None:
        return None

    @property
    def minimum_size(self) -> int:
        return 6

    @property
    def default_weight(self) -> float:
        return self.weight

    def distance(self, images: Tensor, others: Tensor) -> Tensor:
        assert images.shape[1] == others.shape[1] == 3
        return (images - others).abs().flatten(1).max(dim=1).values


ORIGINALS = np.random.default_rng(0).integers(0, 256, (5, 3, 14, 13), dtype=np.uint8)
NOISE = np.random.default_rng(1).integers(-40, 41, ORIGINALS.shape)
ROUNDED = np.clip(ORIGINALS.astype(int) + NOISE, 0, 255).astype(np.uint8)
ROUNDED[3] = ORIGINALS[3]  # one of them without error


def subject(decoded: np.ndarray | Tensor, originals: np.ndarray = ORIGINALS, batch_size: int = 2) -> TokenizerSubject:
    floats = decoded if isinstance(decoded, Tensor) else torch.from_numpy(decoded.astype(np.float32)) / 127.5 - 1
    tokenizer, codes = Table(floats), np.arange(len(originals), dtype=np.uint8)[:, None]
    device = torch.device("cpu")
    return TokenizerSubject(
        tokenizer, tokenizer.code_space((14, 13)), Arrays(originals), "validation", codes, device, batch_size
    )


def one(metric: PairMetric, measured: TokenizerSubject) -> Measurement:
    (measurement,) = metric.run(measured)
    assert measurement.values is not None
    assert measurement.value == pytest.approx(measurement.values.mean())
    return measurement


def lpips(network: Largest | None = None) -> Lpips:
    return Lpips(LpipsMetricConfig(perceptual=Selection(use="largest")), {"perceptual": network or Largest(NoConfig(), {})})


def test_psnr_of_each_image() -> None:
    squared = ((ORIGINALS.astype(float) - ROUNDED) ** 2).mean(axis=(1, 2, 3))
    measured = one(Psnr(NoConfig(), {}), subject(ROUNDED))
    expected = [LARGEST_PSNR if error == 0 else 10 * np.log10(255**2 / error) for error in squared]
    np.testing.assert_allclose(measured.values, expected)
    assert measured.values is not None and measured.values[3] == LARGEST_PSNR
    assert (measured.name, measured.unit, measured.better) == ("PSNR", "dB", "higher")


def similarity(image: np.ndarray, other: np.ndarray) -> float:
    """Structural similarity by the paper's formula, place by place and channel by channel."""
    offsets = np.arange(11) - 5
    window = np.exp(-(offsets[:, None] ** 2 + offsets[None] ** 2) / (2 * 1.5**2))
    window /= window.sum()
    c1, c2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2
    values = []
    for a, b in zip(image.astype(float), other.astype(float), strict=True):
        for row in range(a.shape[0] - 10):
            for column in range(a.shape[1] - 10):
                x, y = (part[row : row + 11, column : column + 11] for part in (a, b))
                mx, my = (window * x).sum(), (window * y).sum()
                vx, vy = (window * x**2).sum() - mx**2, (window * y**2).sum() - my**2
                cov = (window * x * y).sum() - mx * my
                values.append((2 * mx * my + c1) * (2 * cov + c2) / ((mx**2 + my**2 + c1) * (vx + vy + c2)))
    return float(np.mean(values))


def test_ssim_of_each_image() -> None:
    measured = one(Ssim(NoConfig(), {}), subject(ROUNDED))
    expected = [similarity(image, other) for image, other in zip(ORIGINALS, ROUNDED, strict=True)]
    np.testing.assert_allclose(measured.values, expected, rtol=1e-6)
    assert expected[3] == pytest.approx(1) and max(expected[:3]) < 0.97
    assert (measured.name, measured.better) == ("SSIM", "higher")


def test_the_perceptual_distance_of_each_image() -> None:
    measured = one(lpips(), subject(ROUNDED))
    expected = np.abs(ORIGINALS.astype(float) - ROUNDED).max(axis=(1, 2, 3)) / 127.5
    np.testing.assert_allclose(measured.values, expected, atol=1e-6)
    assert (measured.name, measured.better, measured.network) == ("largest distance", "lower", True)
    grey = one(lpips(), subject(ROUNDED[:, :1], ORIGINALS[:, :1]))
    assert grey.value > 0


def test_all_of_them_together_are_the_same() -> None:
    config = ReconstructionConfig(perceptual=Selection(use="largest"))
    metric = Reconstruction(config, {"perceptual": Largest(NoConfig(), {})})
    together = {item.name: item for item in metric.run(subject(ROUNDED, batch_size=3))}
    assert set(together) == {"L1", "MSE", "PSNR", "largest distance"}
    for alone in (one(Psnr(NoConfig(), {}), subject(ROUNDED)), one(lpips(), subject(ROUNDED))):
        np.testing.assert_allclose(together[alone.name].values, alone.values)
        assert together[alone.name].description == alone.description
    difference = (ORIGINALS.astype(float) - ROUNDED) / 255
    np.testing.assert_allclose(together["L1"].values, np.abs(difference).mean(axis=(1, 2, 3)))
    np.testing.assert_allclose(together["MSE"].values, (difference**2).mean(axis=(1, 2, 3)))


@pytest.mark.parametrize("metric", [Psnr(NoConfig(), {}), Ssim(NoConfig(), {}), lpips()], ids=lambda metric: metric.name)
def test_what_cannot_be_measured(metric: PairMetric) -> None:
    with pytest.raises(TamingplatError, match=f"{metric.name}: the validation split has no images"):
        metric.run(subject(ROUNDED, ORIGINALS[:0]))
    broken = torch.zeros(ORIGINALS.shape)
    broken[4, 0, 0, 0] = torch.nan
    with pytest.raises(TamingplatError, match=f"{metric.name}: 1 of 5 validation images, first number 4, decode to values"):
        metric.run(subject(broken))


def test_refusals(monkeypatch: pytest.MonkeyPatch) -> None:
    def refusal(metric: PairMetric, size: int = 16, channels: int = 3) -> str:
        return metric.refusal(DatasetInfo((size, 20), channels, {}), samples=5, reference=5) or ""

    assert refusal(Psnr(NoConfig(), {}), 1, 7) == refusal(Ssim(NoConfig(), {})) == refusal(lpips()) == ""
    assert "its window has 11×11 pixels, and images have 10×20" in refusal(Ssim(NoConfig(), {}), 10)
    assert "largest needs 6×6 pixels, and images have 5×20" in refusal(lpips(), 5)
    assert "largest looks at grey or colour images, not at 4 channels" in refusal(lpips(), channels=4)
    nothing = Largest(NoConfig(), {})
    nothing.weight = 0
    assert "finds no distance between any two images" in refusal(lpips(nothing))
    monkeypatch.setattr(reconstruction, "find_spec", lambda _: None)
    assert "scikit-image, which is not installed; pip install 'tamingplat[ssim]'" in refusal(Ssim(NoConfig(), {}))
