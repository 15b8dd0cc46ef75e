"""Intervals and tests: Student's t over independent trainings, and Holm's correction for several comparisons."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from scipy.special import nctdtrinc, stdtr, stdtrit

LEVEL = 0.95
"""Coverage of every interval."""

_ROUNDING = 1e-9
"""A standard error below this share of the mean is the rounding of differences that are equal."""


@dataclass(frozen=True)
class Estimate:
    """A mean, or a difference of means, from a few independent numbers.

    Attributes:
        mean: What is estimated.
        standard_error: Of the mean.
        freedom: Degrees of freedom of the t distribution.
    """

    mean: float
    standard_error: float
    freedom: float

    def interval(self) -> tuple[float, float]:
        """The t interval: it covers what is estimated in 95 % of all such experiments where the numbers are normal."""
        half = float(stdtrit(self.freedom, (1 + LEVEL) / 2)) * self.standard_error
        return self.mean - half, self.mean + half

    def p_value(self) -> float:
        """Two-sided: how often a t statistic at least as large comes about where the truth is zero.

        Numbers that are all the same, up to rounding, have no t statistic. In a column of few possible values, such as a share
        of a hundred images, two or three differences are easily equal by chance, and that is no proof. What is left is that all
        have one sign, which happens to n numbers with a probability of 2^(1 − n) where the truth is zero. That is the p-value
        until it decides by itself, from six numbers on; from there on the lack of spread leaves no doubt.
        """
        if self.mean == 0 and self.standard_error == 0:
            return 1.0
        if self.standard_error <= _ROUNDING * abs(self.mean):
            one_sign = 2.0**-self.freedom
            return one_sign if one_sign > 1 - LEVEL else 0.0
        return 2 * float(stdtr(self.freedom, -abs(self.mean) / self.standard_error))

    def least_significant(self, comparisons: int = 1) -> float:
        """The smallest mean whose p-value would be at the level with this standard error.

        Args:
            comparisons: How many Holm's correction is over; the mean is that of the first which it rejects.
        """
        return self._critical(comparisons) * self.standard_error

    def detectable(self, comparisons: int = 1, power: float = 0.8) -> float:
        """The minimum detectable difference: a truth as large is called significant with a probability of ``power``.

        It is larger than the smallest significant mean, which a truth of that size falls short of in half of all experiments.

        Args:
            comparisons: As in ``least_significant``.
            power: Between 0.05 and 1.
        """
        # The chance of a significant mean of the other sign is left out: it is next to nothing at such a truth.
        return float(nctdtrinc(self.freedom, 1 - power, self._critical(comparisons))) * self.standard_error

    def _critical(self, comparisons: int) -> float:
        return float(stdtrit(self.freedom, 1 - (1 - LEVEL) / (2 * comparisons)))


def of_sample(values: Sequence[float]) -> Estimate:
    """The mean of at least two independent numbers."""
    count = len(values)
    assert count > 1, "one number has no spread"
    mean = math.fsum(values) / count
    return Estimate(mean, math.sqrt(_variance(values, mean) / count), count - 1)


def of_two_samples(first: Sequence[float], second: Sequence[float]) -> Estimate:
    """Mean of the first minus mean of the second, of at least two independent numbers each, by Welch's approximation."""
    sides = []
    for values in (first, second):
        assert len(values) > 1, "one number has no spread"
        mean = math.fsum(values) / len(values)
        sides.append((mean, _variance(values, mean) / len(values), len(values) - 1))
    (mean, variance, freedom), (other_mean, other_variance, other_freedom) = sides
    total = variance + other_variance
    if total == 0:
        # Where neither has spread, the shares below are not defined; this is the smallest number that they can give.
        return Estimate(mean - other_mean, 0.0, min(freedom, other_freedom))
    # In shares of the total, so that tiny variances do not vanish when squared.
    share = variance / total
    return Estimate(mean - other_mean, math.sqrt(total), 1 / (share**2 / freedom + (1 - share) ** 2 / other_freedom))


def _variance(values: Sequence[float], mean: float) -> float:
    return math.fsum((value - mean) ** 2 for value in values) / (len(values) - 1)


def holm(p_values: Sequence[float]) -> list[float]:
    """P-values adjusted by Holm's step-down procedure, in their order.

    Rejecting what is below α keeps the probability of any wrong rejection below α, whatever the dependence between the tests
    (Holm, 1979).
    """
    count = len(p_values)
    adjusted = [0.0] * count
    largest = 0.0
    for rank, index in enumerate(sorted(range(count), key=lambda index: p_values[index])):
        largest = max(largest, min(1.0, (count - rank) * p_values[index]))
        adjusted[index] = largest
    return adjusted
