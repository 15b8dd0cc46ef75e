"""Fréchet distances: closed forms, torch-fidelity's own figure on files, names, refusals, and what is not finite."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch_fidelity
from PIL import Image
from tamingplat_metrics.config import FidConfig, FrechetConfig, InceptionConfig, StVggFrechetConfig
from tamingplat_metrics.frechet import FrechetDistance, FrechetInceptionDistance, frechet_distance
from tamingplat_metrics.inception import InceptionFeatures
from tamingplat_metrics.torch_fidelity_extractor import register_extractor
from torch import Tensor

from tamingplat.interfaces import DatasetInfo, NoConfig, Selection, TamingplatError
from tamingplat.interfaces.models import FeatureExtractor, ImageSubject


class ColourMoments(FeatureExtractor):
    """Mean and spread of each channel."""

    absent: str | None = None
    scale = 1.0

    def missing(self) -> str | None:
        return self.absent

    @property
    def minimum_size(self) -> int:
        return 4

    @property
    def dimensions(self) -> int:
        return 6

    def features(self, images: Tensor) -> Tensor:
        assert images.dtype == torch.uint8
        values = self.scale * images.float().flatten(2) / 255
        return torch.cat([values.mean(dim=2), values.std(dim=2)], dim=1)


def metric(extractor: FeatureExtractor | None = None, **options: Any) -> FrechetDistance:
    config = FrechetConfig(extractor=Selection(use="moments"), **options)
    return FrechetDistance(config, {"extractor": extractor or ColourMoments(NoConfig(), {})})


def subject(images: np.ndarray, reference: np.ndarray, extractor: FeatureExtractor) -> ImageSubject:
    features = [extractor.features(torch.from_numpy(array)).numpy() for array in (images, reference)]
    return ImageSubject(images, lambda: None, features[0], features[1], "train", reference, torch.device("cpu"))


def pictures(count: int, seed: int, side: int = 8) -> np.ndarray:
    random = np.random.default_rng(seed)
    base = random.integers(0, 256, (count, 3, 1, 1)) * 0.7
    return np.clip(base + random.normal(30, 20 + 10 * seed, (count, 3, side, side)), 0, 255).astype(np.uint8)


def by_symmetric_roots(one: np.ndarray, other: np.ndarray) -> float:
    """The same distance by another route: the trace of the root of the symmetric product."""
    means = [array.mean(axis=0) for array in (one, other)]
    first, second = (np.cov(array, rowvar=False) for array in (one, other))
    values, vectors = np.linalg.eigh(first)
    root = vectors * np.sqrt(values.clip(min=0)) @ vectors.T
    cross = np.sqrt(np.linalg.eigvalsh(root @ second @ root).clip(min=0)).sum()
    return float(((means[0] - means[1]) ** 2).sum() + np.trace(first) + np.trace(second) - 2 * cross)


@pytest.mark.parametrize("dimensions", [2, 9])
def test_distance_against_symmetric_roots(dimensions: int) -> None:
    random = np.random.default_rng(dimensions)
    one = random.normal(size=(60, dimensions))
    other = random.normal(1, 2, size=(80, dimensions)) @ random.normal(size=(dimensions, dimensions))
    assert frechet_distance(one, other) == pytest.approx(by_symmetric_roots(one, other), rel=1e-9)


def test_a_shift_is_its_square_and_identity_is_zero() -> None:
    features = np.random.default_rng(0).normal(size=(50, 4)).astype(np.float32)
    assert frechet_distance(features, features) == pytest.approx(0, abs=1e-9)
    assert frechet_distance(features, features) >= 0
    shifted = features.astype(np.float64) + np.array([3.0, 0, 4.0, 0])
    assert frechet_distance(features, shifted) == pytest.approx(25, rel=1e-9)
    assert frechet_distance(features, 2.0 * features) == pytest.approx(by_symmetric_roots(features, 2.0 * features), rel=1e-6)


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_what_is_not_finite_fails(value: float) -> None:
    features = np.random.default_rng(0).normal(size=(50, 4))
    broken = features.copy()
    broken[3, 2] = value
    with pytest.raises(TamingplatError, match="features of the images are not finite"):
        frechet_distance(broken, features)
    with pytest.raises(TamingplatError, match="features of the reference are not finite"):
        frechet_distance(features, broken)
    with pytest.raises(TamingplatError, match="at least 2 images"):
        frechet_distance(features[:1], features)
    with pytest.raises(TamingplatError, match=r"no common root|not a distance"):
        frechet_distance(1e200 * features, features)


def test_the_column_names_features_reference_and_number() -> None:
    extractor = ColourMoments(NoConfig(), {})
    (measurement,) = metric(extractor).run(subject(pictures(30, 0), pictures(40, 1), extractor))
    assert measurement.name == "fd-moments (N=30, reference=40)" and not measurement.ranks
    assert measurement.network
    assert measurement.better == "lower"
    assert "30 images and 40 of the train split" in measurement.description


@pytest.mark.parametrize(
    ("count", "reference", "name", "ranks"),
    [
        (10_000, 10_000, "fd-moments (N=10000)", True),
        (10_001, 10_000, "fd-moments (N=10001)", True),
        (10_000, 9_999, "fd-moments (N=10000, reference=9999)", False),
        (9_999, 10_000, "fd-moments (N=9999)", False),
    ],
)
def test_whether_a_column_ranks_can_be_told_by_its_name(count: int, reference: int, name: str, ranks: bool) -> None:
    features = np.random.default_rng(0).normal(size=(10_001, 3)).astype(np.float32)
    images = np.empty((count, 3, 1, 1), np.uint8)
    given = ImageSubject(images, lambda: None, features[:count], features[:reference], "train", images, torch.device("cpu"))
    (measurement,) = metric().run(given)
    assert (measurement.name, measurement.ranks) == (name, ranks)


def test_refusals() -> None:
    def refusal(metric: FrechetDistance, samples: int = 7, reference: int = 7, size: int = 8, channels: int = 3) -> str:
        return metric.refusal(DatasetInfo((8, size), channels, {}), samples=samples, reference=reference) or ""

    assert refusal(metric()) == ""
    assert refusal(metric(), samples=6) == (
        "6 samples are too few for the covariance of 6 features; set allow_few = true, or give more than 6"
    )
    assert "6 reference images are too few" in refusal(metric(), reference=6)
    assert refusal(metric(allow_few=True), samples=2, reference=2) == ""
    assert "1 samples are too few" in refusal(metric(allow_few=True), samples=1)
    assert "not at 1 channels; set the dataset's channels to 3" in refusal(metric(), channels=1)
    assert "moments needs 4×4 pixels, and images have 8×3" in refusal(metric(), size=3)
    without = ColourMoments(NoConfig(), {})
    without.absent = "put the file there"
    assert refusal(metric(without)) == ""  # a plan asks the network itself


def test_fid_means_inception_and_nothing_else() -> None:
    inception = InceptionFeatures(InceptionConfig(), {})
    assert FrechetInceptionDistance(FidConfig(), {"extractor": inception}).name == "fid"
    with pytest.raises(TamingplatError, match="its extractor must be inception, not moments"):
        FrechetInceptionDistance(FidConfig(extractor="moments"), {"extractor": ColourMoments(NoConfig(), {})})
    assert FrechetDistance(StVggFrechetConfig(), {"extractor": ColourMoments(NoConfig(), {})}).name == "fd-st-vgg"


def save(folder: Path, images: np.ndarray) -> Path:
    folder.mkdir()
    for number, image in enumerate(images):
        Image.fromarray(image.transpose(1, 2, 0)).save(folder / f"{number:04}.png")
    return folder


def by_torch_fidelity(one: Path, other: Path, name: str) -> float:
    options = {"feature_extractor": name, "cuda": False, "cache": False, "save_cpu_ram": True, "verbose": False}
    metrics = torch_fidelity.calculate_metrics(input1=str(one), input2=str(other), fid=True, **options)
    return float(metrics["frechet_inception_distance"])


def test_torch_fidelity_gives_the_same_figure_on_files(tmp_path: Path) -> None:
    images, reference = pictures(30, 0), pictures(40, 1)
    one, other = save(tmp_path / "one", images), save(tmp_path / "other", reference)
    for scale in (1.0, 3.0):  # the second registration takes the first one's place
        extractor = ColourMoments(NoConfig(), {})
        extractor.scale = scale
        (measurement,) = metric(extractor).run(subject(images, reference, extractor))
        assert measurement.value == pytest.approx(by_torch_fidelity(one, other, "tamingplat-moments"), rel=1e-5)


def test_torch_fidelity_gives_the_same_figure_with_the_offline_network(tmp_path: Path) -> None:
    shift_tolerant = pytest.importorskip("tamingplat_perceptual.shift_tolerant")
    settings = pytest.importorskip("tamingplat_perceptual.config")
    extractor = shift_tolerant.ShiftTolerantVGGFeatures(settings.ShiftTolerantConfig(), {})
    if extractor.missing():
        pytest.skip(extractor.missing())
    images, reference = pictures(24, 0, 24), pictures(30, 1, 24)
    one, other = save(tmp_path / "one", images), save(tmp_path / "other", reference)
    measure = FrechetDistance(StVggFrechetConfig(allow_few=True), {"extractor": extractor})
    (measurement,) = measure.run(subject(images, reference, extractor))
    assert measurement.name == "fd-st-vgg (N=24, reference=30)"
    assert measurement.value == pytest.approx(by_torch_fidelity(one, other, "tamingplat-st-vgg"), rel=1e-5)


def test_names_of_torch_fidelity_itself_are_not_taken() -> None:
    with pytest.raises(ValueError, match="already registered"):
        register_extractor("inception-v3-compat", ColourMoments(NoConfig(), {}))
