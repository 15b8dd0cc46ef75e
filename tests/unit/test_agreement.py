"""Scores of obedience: their values where these can be worked out, and that they tell true conditions from others."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from tamingplat_agreement.classes import ClassAgreement
from tamingplat_agreement.completion import CompletionAgreement, GivenRegion
from tamingplat_agreement.config import (
    AgreementConfig,
    ClassAgreementConfig,
    CompletionAgreementConfig,
    EdgeAgreementConfig,
    GivenRegionConfig,
    KeypointAgreementConfig,
    LowResolutionAgreementConfig,
)
from tamingplat_agreement.edges import EdgeAgreement, f_score, widened
from tamingplat_agreement.keypoints import KeypointAgreement, distance
from tamingplat_agreement.low_resolution import MOST_DECIBELS, LowResolutionAgreement, averaged, signal_to_noise
from tamingplat_agreement.maps import DepthAgreement, SegmentationAgreement, intersection_over_union, rank_correlation
from tamingplat_agreement.scores import shifted
from tamingplat_conditioners.config import EdgesConfig, LowResolutionConfig
from tamingplat_scenes.config import ScenesConfig
from tamingplat_scenes.dataset import ScenesDataset
from torch import Tensor

from tamingplat.interfaces import CodeSpace, ConditionLayout, Config, DatasetInfo, Region, TamingplatError, Windows
from tamingplat.interfaces.models import ImageSubject, Measurement, PlannedSamples, PriorSubject, TokenSplit, VisitPlan
from tamingplat.testing.standins import StandInDistance, StandInPrior, StandInTokenizer

CPU = torch.device("cpu")
FEW = {"fit_images": 60, "fit_pixels": 60, "features": 96}


@pytest.fixture(scope="module")
def columns() -> dict[str, dict[str, np.ndarray]]:
    """All columns of some scenes of two splits."""
    dataset = ScenesDataset(ScenesConfig(size=32, shapes=(1, 3)), {})
    found = {}
    for split, count in (("train", 60), ("validation", 24)):
        examples = [dataset.read(split, index) for index in range(count)]
        found[split] = {name: np.stack([example[name] for example in examples]) for name in examples[0]}
    return found


def subject(columns: Mapping[str, Mapping[str, np.ndarray]], images: np.ndarray | None = None) -> ImageSubject:
    """Real images, or others, with the conditions of the validation split."""
    own, reference = columns["validation"], columns["train"]
    return ImageSubject(
        images=own["image"] if images is None else images,
        labels=lambda: own["label"],
        features=None,
        reference_features=None,
        reference="train",
        reference_images=reference["image"],
        device=CPU,
        conditions=lambda: own,
        reference_conditions=lambda: reference,
    )


def told(measurements: list[Measurement] | Any, evidence: Any = None) -> tuple[Measurement, Measurement, Measurement]:
    """The score, the shuffled one and the gain; the three belong together, and their errors are of the images with a score."""
    own, other, gain = measurements[:3]
    sign = 1 if own.better == "higher" else -1
    np.testing.assert_allclose(gain.values, sign * (own.values - other.values))
    for one in (own, other, gain):
        assert one.value == pytest.approx(one.values.mean())
        scored = one.values if evidence is None else one.values[evidence]
        assert one.standard_error == pytest.approx(scored.std(ddof=1) / len(scored) ** 0.5)
    return own, other, gain


METRICS = {
    "segmentation": lambda: SegmentationAgreement(AgreementConfig(**FEW), {}),
    "depth": lambda: DepthAgreement(AgreementConfig(**FEW), {}),
    "edges": lambda: EdgeAgreement(EdgeAgreementConfig(), {}),
    "low-resolution": lambda: LowResolutionAgreement(LowResolutionAgreementConfig(), {}),
    "keypoints": lambda: KeypointAgreement(KeypointAgreementConfig(**FEW), {}),
    "given region": lambda: GivenRegion(GivenRegionConfig(), {"perceptual": StandInDistance()}),
}


@pytest.mark.parametrize("name", METRICS)
def test_real_images_agree_with_their_own_conditions_and_not_with_others(name: str, columns: Any) -> None:
    metric = METRICS[name]()
    own, _, gain = told(metric.run(subject(columns)))
    assert gain.value > 4 * gain.standard_error > 0
    ceiling = {"segmentation": 0.25, "depth": 0.6, "edges": 1, "low-resolution": MOST_DECIBELS, "given region": MOST_DECIBELS}
    if name in ceiling:
        assert own.value >= ceiling[name]
    # Images that do not know their conditions agree with them no better than with others.
    strangers = subject(columns, np.roll(columns["validation"]["image"], 7, axis=0))
    own, _, gain = told(metric.run(strangers))
    assert abs(gain.value) < 3.5 * gain.standard_error
    again = told(METRICS[name]().run(strangers))[0]
    assert own.value == again.value


def test_intersection_over_union() -> None:
    one = np.array([[0, 0, 1], [1, 1, 1]])
    assert intersection_over_union(one, one) == 1
    assert intersection_over_union(one, 1 - one) == 0
    # Class 0: 1 of 3 pixels; class 1: 2 of 4; class 2: none of 1.
    assert intersection_over_union(one, np.array([[0, 1, 1], [1, 0, 2]])) == pytest.approx((1 / 3 + 2 / 5 + 0) / 3)


def test_rank_correlation_is_spearmans() -> None:
    values = np.array([[3.0, 1.0, 2.0], [5.0, 4.0, 9.0]])
    assert rank_correlation(values, np.exp(values)) == pytest.approx(1)
    assert rank_correlation(values, -(values**3)) == pytest.approx(-1)
    assert rank_correlation(values, np.ones_like(values)) == 0
    # Ranks 1, 2.5, 2.5, 4 beside 1, 2, 3, 4.
    tied = np.corrcoef([1, 2.5, 2.5, 4], [1, 2, 3, 4])[0, 1]
    assert rank_correlation(np.array([0, 7, 7, 9]), np.array([1, 2, 3, 4])) == pytest.approx(tied)


def test_edges_count_within_the_tolerance() -> None:
    found, wanted = np.zeros((9, 9), bool), np.zeros((9, 9), bool)
    found[:, 3], wanted[:, 4] = True, True

    def score(tolerance: int) -> float:
        return f_score(found, widened(found, tolerance), wanted, widened(wanted, tolerance))

    assert score(0) == 0 and score(1) == 1
    found[:, 8] = True
    assert score(1) == pytest.approx(2 * 0.5 * 1 / 1.5)
    nothing = np.zeros((9, 9), bool)
    assert f_score(nothing, nothing, nothing, nothing) == 1 and f_score(nothing, nothing, wanted, wanted) == 0


def test_low_resolution_is_the_conditioners_mean() -> None:
    images = np.arange(2 * 3 * 4 * 8, dtype=np.uint8).reshape(2, 3, 4, 8)
    wanted = torch.nn.functional.avg_pool2d(torch.from_numpy(images).double(), 2).numpy()
    np.testing.assert_allclose(averaged(images, 2), wanted)
    assert signal_to_noise(np.zeros(4), np.full(4, 25.5)) == pytest.approx(20)
    assert signal_to_noise(np.zeros(4), np.zeros(4)) == MOST_DECIBELS


def test_joints_that_are_not_seen_do_not_count(columns: Any) -> None:
    figures = np.array([[[3.0, 4, 2], [100, 100, 1], [50, 50, 0]]])
    assert distance(np.zeros((3, 2)), figures) == 5
    poses = columns["validation"]["keypoints"].copy()
    poses[4:8, ..., 2] = 0
    hidden = {**columns, "validation": {**columns["validation"], "keypoints": poses}}
    scored = np.delete(np.arange(len(poses)), range(3, 8))
    values = told(METRICS["keypoints"]().run(subject(hidden)), scored)[0].values
    # Those without a score, and those whose neighbour has no joints, have the mean of the others.
    np.testing.assert_allclose(values[3:8], np.delete(values, range(3, 8)).mean())
    poses[..., 2] = 0
    with pytest.raises(TamingplatError, match="no image was made for a pose of which a joint is seen"):
        METRICS["keypoints"]().run(subject(hidden))


class Brightness:
    """A classifier that knows two classes, dark and bright."""

    label_names = ("dark", "bright")

    def log_probabilities(self, images: Tensor) -> Tensor:
        bright = images.float().mean((1, 2, 3)) / 255
        return torch.stack([1 - bright, bright], 1).log()


def test_class_agreement_is_an_accuracy(columns: Any) -> None:
    from tamingplat_agreement.config import ClassAgreementConfig

    metric = ClassAgreement(ClassAgreementConfig(classifier="residual"), {"classifier": Brightness()})
    images = np.zeros((4, 3, 8, 8), np.uint8)
    images[[1, 3]] = 250
    given = replace(subject(columns, images), labels=lambda: np.array([0, 1, 0, 0]))
    own, other, _ = told(metric.run(given))
    assert own.values.tolist() == [1, 1, 1, 0]
    assert other.values.tolist() == [0, 0, 1, 0]  # of the labels 1, 0, 0, 0
    info = replace(ScenesDataset(ScenesConfig(size=8), {}).info, label_names=("dark", "light"))
    assert "the classifier tells dark, bright apart" in (metric.refusal(info, samples=9, reference=9) or "")
    with pytest.raises(TamingplatError, match="made for no class"):
        metric.run(replace(given, labels=lambda: None))


class Copies(StandInPrior):
    """Thinks that every code of the lower half is that of the upper half, with probability 0.9."""

    def nll(self, codes: Tensor, condition: Tensor, plan: VisitPlan) -> Tensor:
        half = codes.shape[1] // 2
        same = (codes[:, half:] == codes[:, :half]).double()
        rest = -(same * 0.9 + (1 - same) * 0.1 / (self.vocab_size - 1)).log()
        return torch.cat([torch.ones(len(codes), half), rest], 1)


def test_completion_agreement_is_the_likelihood_of_the_rest() -> None:
    layout: ConditionLayout = ()
    tokenizer, generator = StandInTokenizer().eval(), np.random.default_rng(0)
    upper = generator.integers(0, 256, (5, 3, 2, 2), np.uint8).repeat(4, 2).repeat(4, 3)
    images = np.concatenate([upper, upper], axis=2)
    space: CodeSpace = tokenizer.code_space((16, 8))
    codes = tokenizer.encode(torch.from_numpy(images).float() / 127.5 - 1).numpy()
    measured = PriorSubject(
        Copies(space, layout),
        space,
        lambda rows: VisitPlan(torch.arange(8).expand(len(rows), -1), torch.ones(8, dtype=torch.int64)),
        False,
        {"validation": TokenSplit(codes, np.zeros((5, 0), np.int64))},
        CPU,
        2,
        tokenizer=lambda: tokenizer,
        images=lambda split: images,
    )
    metric = CompletionAgreement(CompletionAgreementConfig(region=Region(0, 0, 0.5, 1)), {})
    own, other, _ = told(metric.run(measured))
    assert own.value == pytest.approx(-np.log(0.9))
    same = codes[:, :4] == np.roll(codes[:, :4], -1, axis=0)
    np.testing.assert_allclose(other.values, -np.log(np.where(same, 0.9, 0.1 / 6)).mean(1))
    with pytest.raises(TamingplatError, match="does not lie on the grid"):
        CompletionAgreement(CompletionAgreementConfig(region=Region(0, 0, 0.3, 1)), {}).run(measured)


def test_what_no_completion_can_be_measured_of_is_refused_before_anything_is_trained() -> None:
    space = CodeSpace(((8, 8),), 4)
    metric = CompletionAgreement(CompletionAgreementConfig(region=Region(0, 0, 0.5, 1)), {})
    assert metric.prior_refusal(space, None) is None
    assert metric.given_positions(space).tolist() == [True] * 32 + [False] * 32
    info = DatasetInfo((8, 8), 3, {"validation": 1})
    assert metric.refusal(info, samples=2, reference=9) is None
    assert "a split of 2 images or more" in str(metric.refusal(info, samples=1, reference=9))
    assert "windows of 4×4 codes" in str(metric.prior_refusal(space, Windows(space, (), (4, 4))))
    assert "does not lie on the grid" in str(metric.prior_refusal(CodeSpace(((5, 5),), 4), None))


def test_only_the_given_part_counts_in_a_completion(columns: Any) -> None:
    metric = GivenRegion(GivenRegionConfig(region=Region(0, 0, 0.5, 1)), {"perceptual": StandInDistance()})
    images = columns["validation"]["image"].copy()
    images[:, :, 16:] = 255 - images[:, :, 16:]
    results = metric.run(subject(columns, images))
    ratio, perceptual = told(results)[0], told(results[3:])[0]
    assert ratio.value == MOST_DECIBELS and perceptual.value == 0
    images[:, :, 0] ^= 255
    results = metric.run(subject(columns, images))
    assert told(results)[0].value < 40 and told(results[3:])[0].value > 0.01


def test_every_image_is_scored_with_another_ones_condition() -> None:
    assert shifted(5).tolist() == [1, 2, 3, 4, 0]
    for name, make in METRICS.items():
        info = ScenesDataset(ScenesConfig(size=32), {}).info
        assert "set samples to 2" in (make().refusal(info, samples=1, reference=50) or ""), name
        assert make().refusal(info, samples=2, reference=50) is None, name
    bare = replace(info, columns=("image",), label_names=None, segmentation_classes=None, joints=None)
    for name in ("segmentation", "depth", "keypoints"):
        assert f"no {name}" in (METRICS[name]().refusal(bare, samples=9, reference=9) or "")
    assert "not divisible by factor 4" in (
        METRICS["low-resolution"]().refusal(replace(info, image_size=(30, 32)), samples=9, reference=9) or ""
    )


def test_images_without_conditions_are_told_so(columns: Any) -> None:
    alone = replace(subject(columns), conditions=None)
    with pytest.raises(TamingplatError, match="nothing is known of the image that these images were made for"):
        METRICS["edges"]().run(alone)


def planned(given: np.ndarray | None = None, names_class: bool = False, **conditions: Config) -> PlannedSamples:
    found = tuple((name.replace("_", "-"), config) for name, config in conditions.items())
    return PlannedSamples(CodeSpace(((4, 4),), 8), found, names_class, given)


def test_no_class_is_looked_for_where_none_was_asked_for() -> None:
    metric = ClassAgreement(ClassAgreementConfig(classifier="any"), {"classifier": None})
    assert metric.nothing_asked(planned(names_class=True)) is None
    assert metric.nothing_asked(planned(edges=EdgesConfig(tokenizer="own"))) == "the condition names no class"


def test_settings_are_those_of_the_condition() -> None:
    edges, small = EdgeAgreement(EdgeAgreementConfig(), {}), LowResolutionAgreement(LowResolutionAgreementConfig(), {})
    own = planned(edges=EdgesConfig(tokenizer="own"), low_resolution=LowResolutionConfig(tokenizer="own"))
    assert edges.samples_refusal(own) is small.samples_refusal(own) is None
    other = planned(
        edges=EdgesConfig(tokenizer="own", low=50, blur=1), low_resolution=LowResolutionConfig(tokenizer="own", factor=2)
    )
    assert edges.samples_refusal(other) == (
        "has low = 100, and that of the conditioner edges is 50; blur = 0, and that of the conditioner edges is 1: it would "
        "measure another condition; set them alike"
    )
    assert "has factor = 4, and that of the conditioner low-resolution is 2" in (small.samples_refusal(other) or "")
    # Samples of another condition, or of none, are what those of this one are compared with.
    assert edges.samples_refusal(planned(names_class=True)) is small.samples_refusal(planned()) is None


def test_the_given_region_is_the_samplers() -> None:
    metric = GivenRegion(GivenRegionConfig(), {"perceptual": StandInDistance()})
    upper = np.arange(16) < 8
    assert metric.nothing_asked(planned()) == "the sampler is given no part of an image"
    assert metric.nothing_asked(planned(upper)) is metric.samples_refusal(planned(upper)) is None
    quarter = metric.samples_refusal(planned(np.arange(16) < 4))
    assert (
        quarter is not None and "has 8 codes, of which 4 are among the 4 that the sampler is given; set its region" in quarter
    )
    odd = GivenRegion(GivenRegionConfig(region=Region(0, 0, 0.3, 1)), {}).samples_refusal(planned(upper))
    assert odd is not None and "does not lie on the grid" in odd
