"""Kernel distance, Inception score, precision and recall, memorisation: against formulas written out, names, refusals."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
import torch
from scipy.linalg import sqrtm
from tamingplat_metrics.config import (
    FidConfig,
    FrechetConfig,
    InceptionConfig,
    InceptionScoreConfig,
    KernelConfig,
    KidConfig,
    MemorisationConfig,
    PrecisionRecallConfig,
    Vgg16Config,
)
from tamingplat_metrics.features import FeatureMetric, numbered
from tamingplat_metrics.frechet import FrechetDistance, FrechetInceptionDistance, frechet_distance
from tamingplat_metrics.inception import InceptionFeatures, InceptionLogits
from tamingplat_metrics.inception_score import InceptionScore
from tamingplat_metrics.kernel import KernelDistance, KernelInceptionDistance, jackknife_error, kernel_distance
from tamingplat_metrics.memorisation import Memorisation, farther_share, nearest_distance
from tamingplat_metrics.precision_recall import PrecisionRecall
from tamingplat_metrics.vgg16 import Vgg16Features
from torch import Tensor

from tamingplat.interfaces import DatasetInfo, NoConfig, Selection, TamingplatError
from tamingplat.interfaces.models import FeatureExtractor, ImageSubject, Measurement


class Given(FeatureExtractor):
    """Features that are given to the metric, not extracted."""

    kind = ""

    def missing(self) -> str | None:
        return None

    @property
    def dimensions(self) -> int:
        return 5

    @property
    def variant(self) -> str:
        return self.kind

    def features(self, images: Tensor) -> Tensor:
        raise AssertionError("the features are given")


GIVEN = {"extractor": Given(NoConfig(), {})}
NAMED = Selection(use="given")


def draw(count: int, seed: int, shift: float = 0.0, dimensions: int = 5) -> np.ndarray:
    generator = np.random.default_rng(seed)
    return (generator.normal(size=(count, dimensions)) + shift).astype(np.float32)


def subject(features: np.ndarray, reference: np.ndarray, **more: Any) -> ImageSubject:
    images, others = (np.empty((len(one), 3, 1, 1), np.uint8) for one in (features, reference))
    return ImageSubject(images, lambda: None, features, reference, "train", others, torch.device("cpu"), **more)


def discrepancy(one: np.ndarray, other: np.ndarray) -> float:
    """The unbiased estimate of the squared discrepancy, term by term, in float64."""
    one, other = one.astype(np.float64), other.astype(np.float64)

    def kernel(first: np.ndarray, second: np.ndarray) -> float:
        return float((first @ second / len(first) + 1) ** 3)

    def within(points: np.ndarray) -> float:
        pairs = [kernel(a, b) for i, a in enumerate(points) for j, b in enumerate(points) if i != j]
        return float(np.mean(pairs))

    return within(one) + within(other) - 2 * float(np.mean([kernel(a, b) for a in one for b in other]))


def test_the_kernel_distance_of_all_images_is_the_unbiased_estimate() -> None:
    one, other = draw(9, 0), draw(9, 1, 0.8)
    estimate = kernel_distance(one, other, subset=9, subsets=2)
    assert estimate.value == pytest.approx(discrepancy(one, other), rel=1e-5)
    assert estimate.deviation == pytest.approx(0, abs=1e-5)


def test_subsets_are_drawn_as_torch_fidelity_draws_them() -> None:
    one, other = draw(14, 0), draw(11, 1, 0.8)
    random = np.random.RandomState(2020)
    expected = [
        discrepancy(one[random.choice(14, 6, replace=False)], other[random.choice(11, 6, replace=False)]) for _ in range(5)
    ]
    estimate = kernel_distance(one, other, subset=6, subsets=5)
    assert estimate.value == pytest.approx(np.mean(expected), rel=1e-5)
    assert estimate.deviation == pytest.approx(np.std(expected), rel=1e-4)


def test_the_jackknife_leaves_out_one_image_at_a_time() -> None:
    one, other = draw(7, 0), draw(5, 1, 0.5)
    without = [
        [discrepancy(np.delete(one, row, axis=0), other) for row in range(7)],
        [discrepancy(one, np.delete(other, row, axis=0)) for row in range(5)],
    ]
    variance = sum((len(part) - 1) / len(part) * np.sum((part - np.mean(part)) ** 2) for part in map(np.array, without))
    tensors = [torch.from_numpy(part).double() for part in (one, other)]
    assert jackknife_error(*tensors) == pytest.approx(np.sqrt(variance), rel=1e-9)


def test_of_many_images_some_rows_stand_for_all(monkeypatch: pytest.MonkeyPatch) -> None:
    tensors = [torch.from_numpy(draw(count, seed, seed * 0.5)).double() for count, seed in ((4500, 0), (300, 1))]
    drawn = jackknife_error(*tensors)
    swapped = jackknife_error(*reversed(tensors))
    assert drawn == jackknife_error(*tensors) == pytest.approx(swapped, rel=1e-9)
    monkeypatch.setattr("tamingplat_metrics.kernel.EXACT", 4500)
    exact = jackknife_error(*tensors)
    assert drawn != exact and drawn == pytest.approx(exact, rel=0.02)


def test_drawn_rows_are_right_in_the_mean(monkeypatch: pytest.MonkeyPatch) -> None:
    tensors = [torch.from_numpy(draw(count, seed, seed * 0.5)).double() for count, seed in ((300, 0), (200, 1))]
    exact = jackknife_error(*tensors)
    monkeypatch.setattr("tamingplat_metrics.kernel.EXACT", 0)
    monkeypatch.setattr("tamingplat_metrics.kernel._ROWS", 50)
    generator = torch.Generator().manual_seed(0)
    found = [jackknife_error(*(one[torch.randperm(len(one), generator=generator)] for one in tensors)) ** 2 for _ in range(300)]
    assert np.mean(found) == pytest.approx(exact**2, rel=0.1)


def test_the_standard_error_is_the_spread_over_other_images() -> None:
    values, errors = [], []
    for seed in range(60):
        one, other = draw(40, 2 * seed), draw(40, 2 * seed + 1, 0.5)
        (measured,) = KernelDistance(KernelConfig(extractor=NAMED, subsets=1), GIVEN).run(subject(one, other))
        values.append(measured.value)
        errors.append(measured.standard_error or 0)
    assert np.mean(errors) == pytest.approx(np.std(values), rel=0.3)


def test_kernel_columns_name_features_subset_and_number_and_rank() -> None:
    run = KernelDistance(KernelConfig(extractor=NAMED, subsets=2), GIVEN).run
    (measured,) = run(subject(draw(30, 0), draw(20, 1)))
    assert (measured.name, measured.better, measured.ranks) == ("kd-given (subset=20, N=30)", "lower", True)
    assert "30 images and 20 of the train split" in measured.description
    other = Given(NoConfig(), {})
    other.kind = "large"
    assert KernelDistance(KernelConfig(extractor=NAMED), {"extractor": other}).name == "kd-given-large"
    assert FrechetDistance(FrechetConfig(extractor=NAMED), {"extractor": other}).name == "fd-given-large"


def test_a_frechet_distance_of_few_images_ranks_nothing() -> None:
    metric = FrechetDistance(FrechetConfig(extractor=NAMED), GIVEN)
    assert not metric.run(subject(draw(9_999, 0), draw(10_000, 1)))[0].ranks
    assert metric.run(subject(draw(10_000, 0), draw(10_000, 1)))[0].ranks


@pytest.mark.parametrize("kind", ["kid", "fid"])
def test_inception_distances_take_no_other_features(kind: str) -> None:
    inception = {"extractor": InceptionFeatures(InceptionConfig(), {})}
    if kind == "kid":
        assert KernelInceptionDistance(KidConfig(), inception).name == "kid"
        with pytest.raises(TamingplatError, match=r"metric kid: its extractor must be inception, not given; .* use kd"):
            KernelInceptionDistance(KidConfig(extractor=NAMED), GIVEN)
    else:
        assert FrechetInceptionDistance(FidConfig(), inception).name == "fid"
        with pytest.raises(TamingplatError, match=r"metric fid: its extractor must be inception, not given; .* use fd"):
            FrechetInceptionDistance(FidConfig(extractor=NAMED), GIVEN)


def moments(features: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    return features.astype(np.float64).mean(axis=0), np.cov(features.astype(np.float64), rowvar=False)


@pytest.mark.filterwarnings("ignore:The `disp` argument:DeprecationWarning")  # clean-fid's own call of scipy
def test_clean_fids_arithmetic_agrees() -> None:
    one, other = draw(200, 0, dimensions=24) ** 3, 2 * draw(150, 1, 0.3, dimensions=24)
    (first, covariance), (second, covariance_too) = moments(one), moments(other)
    root = sqrtm(covariance @ covariance_too).real
    expected = np.sum((first - second) ** 2) + np.trace(covariance + covariance_too - 2 * root)
    assert frechet_distance(one, other) == pytest.approx(expected, rel=1e-6)
    clean = pytest.importorskip("cleanfid.fid")
    assert frechet_distance(one, other) == pytest.approx(
        clean.frechet_distance(first, covariance, second, covariance_too), rel=1e-4
    )


class FewClasses(InceptionLogits):
    dimensions = 6


@pytest.mark.parametrize("count", [9_999, 10_000, 50_000])
def test_other_numbers_of_images_are_other_columns(count: int) -> None:
    assert numbered("kd-given", count, "subset=1000") == f"kd-given (subset=1000, N={count})"
    assert numbered("fid", count, reference=10_000) == f"fid (N={count})"
    assert numbered("fid", count, reference=9_999) == f"fid (N={count}, reference=9999)"


def test_the_inception_score_is_its_formula() -> None:
    logits = 3 * draw(11, 0, dimensions=6)
    metric = InceptionScore(InceptionScoreConfig(splits=2), {"extractor": FewClasses(InceptionConfig(), {})})
    (measured,) = metric.run(subject(logits, draw(3, 1)))
    shuffled = logits[np.random.RandomState(2020).permutation(11)].astype(np.float64)
    scores = []
    for part in (shuffled[:5], shuffled[5:]):
        p = np.exp(part) / np.exp(part).sum(axis=1, keepdims=True)
        scores.append(np.exp(np.mean(np.sum(p * np.log(p / p.mean(axis=0)), axis=1))))
    assert measured.value == pytest.approx(np.mean(scores), rel=1e-9)
    assert measured.standard_error == pytest.approx(np.std(scores, ddof=1) / np.sqrt(2), rel=1e-9)
    assert (measured.name, measured.better, measured.ranks) == ("inception-score (N=11)", "higher", False)
    assert "1 samples are too few for 2 parts" in (refusal(metric, 1, 50) or "")
    assert refusal(metric, 2, 0) is None
    with pytest.raises(TamingplatError, match="must be inception-logits, not given"):
        InceptionScore(InceptionScoreConfig(extractor=NAMED), GIVEN)


def refusal(metric: FeatureMetric, samples: int, reference: int) -> str | None:
    return metric.refusal(DatasetInfo((8, 8), 3, {}), samples=samples, reference=reference)


def share_among(points: np.ndarray, others: np.ndarray, neighbours: int) -> float:
    distances = np.linalg.norm(others[:, None] - others[None], axis=2)
    radii = np.sort(distances, axis=1)[:, neighbours]
    return float(np.mean((np.linalg.norm(points[:, None] - others[None], axis=2) <= radii).any(axis=1)))


def test_precision_and_recall_by_counting() -> None:
    one, other = draw(40, 0), 1.5 * draw(30, 1, 0.7)
    metric = PrecisionRecall(PrecisionRecallConfig(extractor=NAMED, neighbours=2), GIVEN)
    precision, recall = metric.run(subject(one, other))
    assert (precision.name, recall.name) == (
        "precision-given (N=40, reference=30)",
        "recall-given (N=40, reference=30)",
    )
    assert precision.value == pytest.approx(share_among(one, other, 2))
    assert recall.value == pytest.approx(share_among(other, one, 2))
    assert 0 < recall.value < 1 and 0 < precision.value < 1 and precision.value != recall.value
    assert "2 samples are too few for a 2-th nearest neighbour; give at least 3" in (refusal(metric, 2, 9) or "")
    vgg = PrecisionRecall(PrecisionRecallConfig(), {"extractor": Vgg16Features(Vgg16Config(), {})})
    assert [item.name for item in vgg.run(subject(one, other))] == [
        "precision (N=40, reference=30)",
        "recall (N=40, reference=30)",
    ]


def memorised(samples: np.ndarray, training: np.ndarray, held_out: np.ndarray) -> Sequence[Measurement]:
    metric = Memorisation(MemorisationConfig(extractor=NAMED), GIVEN)
    return metric.run(subject(samples, draw(4, 9), training_features=training, held_out_features=held_out))


def test_memorisation_is_a_half_without_and_near_one_with_copies() -> None:
    training, held_out = draw(900, 0), draw(700, 1)
    for seed in (2, 3):
        pairs, near = memorised(draw(1100, seed), training, held_out)
        assert pairs.name == "memorisation-given (N=1100)" and near.name == "near-copies-given (N=1100)"
        assert pairs.value == pytest.approx(0.5, abs=0.04)
        assert near.value == pytest.approx(0.05, abs=0.025)
        assert (pairs.better, near.better) == ("", "")
        assert pairs.values is not None and pairs.values.mean() == pytest.approx(pairs.value)
    copies = np.concatenate([training[:300], 4 * draw(300, 4)])  # half are copies, half look like nothing
    pairs, near = memorised(copies, training, held_out)
    assert pairs.value == pytest.approx(0.5, abs=0.05)
    assert near.value == pytest.approx(0.5, abs=0.01)
    pairs, near = memorised(training[:50] + np.float32(1e-4), training, held_out)
    assert pairs.value == near.value == 1
    pairs, near = memorised(held_out, training, held_out)
    assert pairs.value == pytest.approx(0.5)
    assert near.value == pytest.approx(0.05, abs=2 / 700)


def test_nearest_distances_and_ranks_by_counting(monkeypatch: pytest.MonkeyPatch) -> None:
    from tamingplat_metrics import memorisation

    monkeypatch.setattr(memorisation, "_ROWS", 4)
    monkeypatch.setattr(memorisation, "_COLUMNS", 3)
    one, other = draw(11, 0, 100).astype(np.float64), draw(10, 1, 100).astype(np.float64)
    other[7] = one[2]
    expected = np.linalg.norm(one[:, None] - other[None], axis=2).min(axis=1)
    np.testing.assert_allclose(nearest_distance(torch.from_numpy(one), torch.from_numpy(other)), expected, atol=1e-6)
    distances, held_out = np.array([0.0, 1.0, 2.0, 5.0]), np.array([2.0, 1.0, 3.0, 1.0])
    counted = [np.mean((held_out > one) + 0.5 * (held_out == one)) for one in distances]
    np.testing.assert_allclose(farther_share(distances, held_out), counted)


METRICS: dict[str, FeatureMetric] = {
    "kernel": KernelDistance(KernelConfig(extractor=NAMED), GIVEN),
    "frechet": FrechetDistance(FrechetConfig(extractor=NAMED), GIVEN),
    "precision": PrecisionRecall(PrecisionRecallConfig(extractor=NAMED), GIVEN),
    "memorisation": Memorisation(MemorisationConfig(extractor=NAMED), GIVEN),
}


@pytest.mark.parametrize("name", METRICS)
def test_features_that_are_not_finite_fail_and_images_that_do_not_suit_are_refused(name: str) -> None:
    metric, broken, sound = METRICS[name], draw(20, 0), draw(20, 1)
    broken[4, 2] = np.nan
    with pytest.raises(TamingplatError, match="features of the images are not finite"):
        metric.run(subject(broken, sound, training_features=sound, held_out_features=sound))
    info = DatasetInfo((8, 8), 1, {})
    assert "given looks at colour images, not at 1 channels" in (metric.refusal(info, samples=99, reference=99) or "")
    assert refusal(metric, 99, 99) is None


@pytest.mark.parametrize(
    ("name", "samples", "reference"), [("kernel", 2, 9), ("kernel", 9, 2), ("frechet", 5, 9), ("precision", 9, 3)]
)
def test_too_few_images_are_refused(name: str, samples: int, reference: int) -> None:
    assert "are too few" in (refusal(METRICS[name], samples, reference) or "")
