"""What a prior has left to learn of a known source, and what cannot be true."""

from __future__ import annotations

import math

import numpy as np
import pytest
from tamingplat_metrics.excess import check_possible, excess, marginal_nll

from tamingplat.interfaces import TamingplatError


def test_excess_and_structure_by_hand() -> None:
    train = np.array([[0, 1], [0, 1], [1, 1]], dtype=np.uint8)
    measured = np.array([[0, 1], [1, 0]], dtype=np.uint8)
    # (count + 1/2) / (3 + 1): 2.5/4 and 1.5/4 at the first position, 0.5/4 and 3.5/4 at the second.
    marginal = np.array([-math.log(2.5 / 4 * 3.5 / 4), -math.log(1.5 / 4 * 0.5 / 4)])
    np.testing.assert_allclose(marginal_nll(train, measured, 2), marginal, rtol=1e-12)
    nll, floor = np.array([1.0, 1.8]), np.array([0.8, 1.2])
    found = {one.name: one for one in excess(nll, floor, train, measured, 2)}
    assert found["nll_excess"].value == pytest.approx(0.2)
    np.testing.assert_allclose(found["nll_excess"].values, [0.1, 0.3])
    assert found["nll_excess/floor"].value == pytest.approx(40)
    assert found["nll_floor"].value == pytest.approx(0.5)
    assert found["nll_marginal"].value == pytest.approx(marginal.mean() / 2)
    captured = (marginal.mean() - 1.4) / (marginal.mean() - 1.0)
    assert found["structure captured"].value == pytest.approx(captured)
    assert {one.name for one in excess(nll, floor, train, measured, 2, "-bound")} >= {"nll_excess-bound"}


def test_no_structure_is_no_share_of_it() -> None:
    train = measured = np.zeros((400, 2), dtype=np.uint8)
    floor = np.full(400, 0.1)
    names = {one.name for one in excess(floor + 0.1, floor, train, measured, 2)}
    assert "structure captured" not in names and "nll_excess" in names
    assert "nll_excess/floor" not in {one.name for one in excess(floor, 0 * floor, train, measured, 2)}


def test_many_images_are_counted_in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    codes = np.random.default_rng(0).integers(0, 5, (37, 6)).astype(np.uint8)
    whole = marginal_nll(codes, codes[:20], 5)
    monkeypatch.setattr("tamingplat_metrics.excess._IMAGES_AT_A_TIME", 8)
    np.testing.assert_array_equal(marginal_nll(codes, codes[:20], 5), whole)


def test_the_bound_is_exact() -> None:
    """m = 3 checkpoints × 4 positions at α = 1e-6: 16.3 nats over any number of first images."""
    most = math.log(12e6)
    floor = np.full(5, 10.0)
    below, above = floor - most / 5 + 1e-9, floor - most / 5 - 1e-9
    check_possible(below, floor, 4, checkpoints=3)
    with pytest.raises(TamingplatError, match=r"over the first 5 of 5 images the prior gains 16\.3 nats"):
        check_possible(above, floor, 4, checkpoints=3)
    with pytest.raises(TamingplatError, match="impossible"):
        check_possible(below, floor, 4)


def test_a_gain_that_is_lost_again_is_still_impossible() -> None:
    nll, floor = np.array([0.0, 100.0]), np.array([50.0, 1.0])
    with pytest.raises(TamingplatError, match=r"over the first 1 of 2 images the prior gains 50\.0 nats"):
        check_possible(nll, floor, 16)


def test_honest_priors_pass() -> None:
    """Likelihood ratios of wrong tables to the true one, on images from the true one, hundreds of times."""
    random = np.random.default_rng(1)
    for _ in range(300):
        true, wrong = random.dirichlet(np.ones(6)), random.dirichlet(np.ones(6))
        wrong = 0.98 * true + 0.02 * wrong
        drawn = random.choice(6, size=2000, p=true)
        check_possible(-np.log(wrong[drawn]), -np.log(true[drawn]), 1)
