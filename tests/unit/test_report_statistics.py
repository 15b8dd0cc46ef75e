"""Intervals and corrections, beside SciPy's and beside their definitions."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from tamingplat.report.statistics import Estimate, holm, of_sample, of_two_samples

NUMBERS = st.lists(st.floats(-100, 100, allow_nan=False).map(lambda value: round(value, 3)), min_size=2, max_size=12)
P_VALUES = st.lists(st.floats(0, 1), min_size=1, max_size=6)


def _spread(values: list[float]) -> bool:
    return max(values) - min(values) > 1e-2


@given(NUMBERS.filter(_spread))
@settings(max_examples=60, deadline=None)
def test_the_interval_and_the_p_value_of_a_mean_are_scipys(values: list[float]) -> None:
    theirs = stats.ttest_1samp(values, 0.0)
    ours = of_sample(values)
    assert ours.interval() == pytest.approx(tuple(theirs.confidence_interval(0.95)), rel=1e-6, abs=1e-9)
    assert ours.p_value() == pytest.approx(theirs.pvalue, rel=1e-6, abs=1e-12)


@given(NUMBERS.filter(_spread), NUMBERS.filter(_spread))
@settings(max_examples=60, deadline=None)
def test_the_difference_of_two_samples_is_welchs(first: list[float], second: list[float]) -> None:
    theirs = stats.ttest_ind(first, second, equal_var=False)
    ours = of_two_samples(first, second)
    assert ours.freedom == pytest.approx(theirs.df, rel=1e-6)
    assert ours.interval() == pytest.approx(tuple(theirs.confidence_interval(0.95)), rel=1e-6, abs=1e-9)
    assert ours.p_value() == pytest.approx(theirs.pvalue, rel=1e-6, abs=1e-12)


def test_numbers_without_spread_decide_from_six_on_and_divide_nothing_by_zero() -> None:
    assert of_sample([2.0, 2.0]) == Estimate(2.0, 0.0, 1)
    assert [of_sample([-2.0] * count).p_value() for count in (2, 3, 5, 6, 9)] == [0.5, 0.25, 0.0625, 0, 0]
    assert of_sample([0.0, 0.0]).p_value() == of_sample([0.0] * 6).p_value() == 1
    assert of_two_samples([1.0, 1.0], [1.0, 1.0, 1.0]).p_value() == 1
    assert of_two_samples([2.0, 2.0], [1.0] * 9).p_value() == 0.5 and of_two_samples([2.0] * 6, [1.0] * 9).p_value() == 0


def test_equal_differences_of_a_quantised_column_are_equal_whatever_their_rounding() -> None:
    differences = [0.85 - 0.8, 0.75 - 0.7]
    assert differences[0] != differences[1]
    assert of_sample(differences).p_value() == 0.5


@pytest.mark.parametrize("comparisons", [1, 5])
def test_the_least_significant_mean_has_a_p_value_of_the_level(comparisons: int) -> None:
    estimate = of_sample([0.1, -0.2, 0.15, 0.0, -0.1, 0.05])
    least = estimate.least_significant(comparisons)
    assert Estimate(least, estimate.standard_error, estimate.freedom).p_value() * comparisons == pytest.approx(0.05)
    assert least / estimate.standard_error == pytest.approx({1: 2.571, 5: 4.032}[comparisons], abs=1e-3)


@pytest.mark.parametrize("comparisons", [1, 5])
def test_what_is_detectable_is_found_in_four_of_five_experiments(comparisons: int) -> None:
    generator = np.random.default_rng(0)
    truth = Estimate(0.0, 1 / math.sqrt(6), 5).detectable(comparisons)
    found = 0
    for sample in generator.normal(truth, 1.0, (2000, 6)):
        estimate = of_sample(sample.tolist())
        found += estimate.mean > estimate.least_significant(comparisons)
    # The standard error of each experiment is its own, and the share's is 0.009.
    assert found / 2000 == pytest.approx(0.8, abs=0.03)


def _holm_by_definition(p_values: list[float], alpha: float) -> list[bool]:
    """Reject the smallest while each is at most α over the number of those that are left."""
    order = sorted(range(len(p_values)), key=lambda index: p_values[index])
    rejected = [False] * len(p_values)
    for rank, index in enumerate(order):
        if p_values[index] * (len(p_values) - rank) > alpha:
            break
        rejected[index] = True
    return rejected


@given(P_VALUES, st.floats(0.001, 0.999))
@settings(max_examples=200, deadline=None)
def test_holms_correction_rejects_what_its_definition_rejects(p_values: list[float], alpha: float) -> None:
    assert [p <= alpha for p in holm(p_values)] == _holm_by_definition(p_values, alpha)


@given(P_VALUES)
@settings(max_examples=60, deadline=None)
def test_holms_correction_does_not_look_at_the_order(p_values: list[float]) -> None:
    expected = dict(zip(p_values, holm(p_values), strict=True)) if len(set(p_values)) == len(p_values) else None
    for order in itertools.islice(itertools.permutations(range(len(p_values))), 24):
        adjusted = holm([p_values[index] for index in order])
        assert all(adjusted[place] >= p_values[index] for place, index in enumerate(order))
        if expected is not None:
            assert adjusted == [expected[p_values[index]] for index in order]


def test_nineteen_of_twenty_intervals_cover_the_truth() -> None:
    generator = np.random.default_rng(0)
    experiments, seeds = 2000, 6
    covered = 0
    for values in generator.normal(3.0, 2.0, size=(experiments, seeds)):
        low, high = of_sample(values.tolist()).interval()
        covered += low <= 3.0 <= high
    share = covered / experiments
    assert abs(share - 0.95) < 4 * math.sqrt(0.95 * 0.05 / experiments)
