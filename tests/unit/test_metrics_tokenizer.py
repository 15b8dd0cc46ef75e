"""Errors of reconstruction and use of the codebook."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest
import torch
from tamingplat_metrics.codebook import CodebookUse, count_codes
from tamingplat_metrics.config import ReconstructionConfig
from tamingplat_metrics.reconstruction import Reconstruction
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
        assert (split, view) == ("validation", 0)
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
        assert codes.dtype == torch.int64
        assert image_size == tuple(self.decoded.shape[2:])
        return self.decoded[codes[:, 0]]

    def forward(self, batch: Any, *, step: int, phase: str, generator: torch.Generator | None) -> dict[str, Tensor]:
        raise AssertionError("a metric trains nothing")


class MeanDistance(Perceptual):
    """Ten times the difference of the means."""

    weight = 1.0

    def missing(self) -> str | None:
        return None

    @property
    def minimum_size(self) -> int:
        return 5

    @property
    def default_weight(self) -> float:
        return self.weight

    def distance(self, images: Tensor, others: Tensor) -> Tensor:
        assert images.shape == others.shape
        assert images.shape[1] == 3
        assert images.abs().max() <= 1
        return 10 * (images.mean(dim=(1, 2, 3)) - others.mean(dim=(1, 2, 3))).abs()


def subject(images: np.ndarray, decoded: Tensor, batch_size: int = 3) -> TokenizerSubject:
    tokenizer, dataset = Table(decoded), Arrays(images)
    codes = np.arange(len(images), dtype=np.uint8)[:, None]
    space = tokenizer.code_space(dataset.info.image_size)
    return TokenizerSubject(tokenizer, space, dataset, "validation", codes, torch.device("cpu"), batch_size)


def metric(network: Perceptual | None = None) -> Reconstruction:
    selection = None if network is None else Selection(use="mean")
    return Reconstruction(ReconstructionConfig(perceptual=selection), {} if network is None else {"perceptual": network})


def by_name(measurements: Any) -> Mapping[str, Measurement]:
    return {measurement.name: measurement for measurement in measurements}


def images(count: int = 7, channels: int = 3) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (count, channels, 6, 5), dtype=np.uint8)


def floats(values: np.ndarray) -> Tensor:
    return torch.from_numpy(values.astype(np.float32)) / 127.5 - 1


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("batch_size", [1, 3, 50])
def test_errors_against_numpy(channels: int, batch_size: int) -> None:
    originals = images(channels=channels)
    decoded = floats(originals) + 0.3 * torch.randn(originals.shape, generator=torch.Generator().manual_seed(0))
    rounded = np.clip(np.rint((decoded.numpy() + 1) * 127.5), 0, 255)
    difference = (originals - rounded) / 255
    measured = by_name(metric(MeanDistance(NoConfig(), {})).run(subject(originals, decoded, batch_size)))
    squared = (difference**2).mean(axis=(1, 2, 3))
    means = [array.mean(axis=(1, 2, 3)) / 127.5 for array in (originals, rounded)]
    expected = {
        "L1": np.abs(difference).mean(),
        "MSE": squared.mean(),
        "PSNR": (-10 * np.log10(squared)).mean(),
        "mean distance": 10 * np.abs(means[0] - means[1]).mean(),
    }
    assert list(measured) == list(expected)
    for name, value in expected.items():
        assert measured[name].value == pytest.approx(value, rel=1e-5), name
    assert [item.name for item in measured.values() if item.network] == ["mean distance"]
    assert "[0, 1]" in measured["L1"].description
    assert measured["PSNR"].better == "higher"


def test_a_perfect_reconstruction_has_a_finite_psnr() -> None:
    originals = images()
    decoded = floats(originals)
    measured = by_name(metric().run(subject(originals, decoded)))
    assert measured["L1"].value == measured["MSE"].value == 0
    assert measured["PSNR"].value == 100
    assert "mean distance" not in measured
    worse = originals.copy()
    worse[0, 0, 0, 0] ^= 1  # the smallest error that there is
    measured = by_name(metric().run(subject(originals, floats(worse))))
    smallest = -10 * math.log10(1 / 255**2 / 90)
    assert measured["PSNR"].value == pytest.approx((600 + smallest) / 7)


def test_values_beyond_the_range_are_clamped_as_a_file_would() -> None:
    originals = np.full((1, 3, 6, 5), 255, np.uint8)
    assert by_name(metric().run(subject(originals, torch.full((1, 3, 6, 5), 9.0))))["L1"].value == 0


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_what_is_not_finite_fails(value: float) -> None:
    originals = images()
    decoded = floats(originals)
    decoded[4, 1, 2, 3] = value
    with pytest.raises(TamingplatError, match="1 of 7 validation images, first number 4, decode to values that are not finite"):
        metric().run(subject(originals, decoded))


def test_no_images() -> None:
    with pytest.raises(TamingplatError, match="the validation split has no images"):
        metric().run(subject(images(0), torch.zeros(1, 3, 6, 5)))
    with pytest.raises(TamingplatError, match="the validation split has no images"):
        CodebookUse(NoConfig(), {}).run(subject(images(0), torch.zeros(1, 3, 6, 5)))


def test_refusals() -> None:
    def refusal(metric: Reconstruction, size: int = 8, channels: int = 3) -> str | None:
        return metric.refusal(DatasetInfo((size, 8), channels, {}), samples=1, reference=1)

    network = MeanDistance(NoConfig(), {})
    assert refusal(metric(network)) is refusal(metric(network), channels=1) is refusal(metric(), size=1, channels=4) is None
    assert "not at 4 channels" in (refusal(metric(network), channels=4) or "")
    assert "needs 5×5 pixels, and images have 4×8" in (refusal(metric(network), size=4) or "")
    network.missing = lambda: "put it there"  # type: ignore[method-assign]
    assert refusal(metric(network)) is None  # a plan asks the network itself


def test_a_distance_that_weighs_nothing_is_no_column() -> None:
    network = MeanDistance(NoConfig(), {})
    network.weight = 0.0
    assert list(by_name(metric(network).run(subject(images(), floats(images()))))) == ["L1", "MSE", "PSNR"]


def test_codebook_use() -> None:
    codes = np.array([[0, 0, 1, 1], [2, 2, 3, 3], [0, 1, 2, 3]], dtype=np.uint16)
    given = subject(images(1), torch.zeros(8, 3, 6, 5))
    given = TokenizerSubject(**{**vars(given), "codes": codes, "space": CodeSpace(((2, 2),), 8)})
    measured = by_name(CodebookUse(NoConfig(), {}).run(given))
    assert measured["codebook use"].value == 0.5
    assert measured["codebook perplexity"].value == pytest.approx(4)
    assert measured["codebook entropy"].value == pytest.approx(2)
    collapsed = TokenizerSubject(**{**vars(given), "codes": np.zeros_like(codes)})
    measured = by_name(CodebookUse(NoConfig(), {}).run(collapsed))
    assert [item.value for item in measured.values()] == [1 / 8, 1, 0]
    assert math.copysign(1, measured["codebook entropy"].value) == 1


def test_a_collapsed_grid_does_not_hide_behind_another() -> None:
    codes = np.array([[3, 0, 1, 2, 3], [3, 4, 5, 6, 7]], dtype=np.uint8)
    given = subject(images(1), torch.zeros(8, 3, 6, 5))
    given = TokenizerSubject(**{**vars(given), "codes": codes, "space": CodeSpace(((1, 1), (2, 2)), 8)})
    measured = by_name(CodebookUse(NoConfig(), {}).run(given))
    assert measured["codebook use"].value == measured["codebook use (grid 0, 1×1)"].value == 1 / 8
    assert measured["codebook use (grid 1, 2×2)"].value == 1
    assert measured["codebook perplexity (grid 1, 2×2)"].value == pytest.approx(8)
    assert "the grid 1×1, which uses least" in measured["codebook use"].description
    assert [name for name, item in measured.items() if item.headline] == ["codebook use"]


def test_counting_reads_slices(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tamingplat_metrics.codebook._CODES_AT_A_TIME", 10)
    codes = np.random.default_rng(0).integers(0, 7, (23, 4)).astype(np.uint8)
    np.testing.assert_array_equal(count_codes(codes, 9), np.bincount(codes.ravel(), minlength=9))
