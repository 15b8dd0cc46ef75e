"""Top-k and top-p beside their definitions in plain Python."""

from __future__ import annotations

import math
from fractions import Fraction

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from tamingplat_samplers import filters

WEIGHTS = st.lists(st.integers(0, 12), min_size=1, max_size=12).filter(any)


def ranking(weights: list[int]) -> list[int]:
    """Codes from the most to the least likely, the lower code first among equals."""
    return sorted(range(len(weights)), key=lambda code: (-weights[code], code))


def kept_by_top_k(weights: list[int], k: int) -> set[int]:
    return set(ranking(weights)[:k])


def kept_by_top_p(weights: list[int], p: Fraction) -> set[int]:
    kept: set[int] = set()
    for code in ranking(weights):
        if Fraction(sum(weights[other] for other in kept), sum(weights)) >= p:
            break
        kept.add(code)
    return kept


def logits_of(weights: list[int]) -> torch.Tensor:
    return torch.tensor([math.log(weight) if weight else -math.inf for weight in weights], dtype=torch.float64)


def kept(logits: torch.Tensor) -> set[int]:
    return set(logits.isfinite().nonzero().flatten().tolist())


def possible(weights: list[int], codes: set[int]) -> set[int]:
    """A code of weight zero is as good as taken out."""
    return {code for code in codes if weights[code]}


@given(WEIGHTS, st.integers(1, 14))
@settings(deadline=None)
def test_top_k_keeps_exactly_k(weights: list[int], k: int) -> None:
    logits = logits_of(weights)
    filtered = filters.top_k(logits, k)
    assert kept(filtered) == possible(weights, kept_by_top_k(weights, k))
    assert torch.equal(filtered[filtered.isfinite()], logits[filtered.isfinite()])


@given(st.lists(st.tuples(st.lists(st.integers(0, 9), min_size=6, max_size=6).filter(any), st.integers(1, 8)), min_size=1))
@settings(deadline=None)
def test_every_row_with_a_k_of_its_own(rows: list[tuple[list[int], int]]) -> None:
    logits = torch.stack([logits_of(weights) for weights, _ in rows])
    filtered = filters.top_k(logits, torch.tensor([k for _, k in rows]))
    for row, (weights, k) in zip(filtered, rows, strict=True):
        assert kept(row) == possible(weights, kept_by_top_k(weights, k))
        assert torch.equal(row, filters.top_k(logits_of(weights), k))


@given(WEIGHTS, st.integers(1, 199))
@settings(deadline=None)
def test_top_p_keeps_the_smallest_sufficient_set(weights: list[int], share: int) -> None:
    # p lies halfway between multiples of 1/100; where a sum of weights meets it all the same, rounding decides.
    p = Fraction(2 * share + 1, 400)
    masses = {Fraction(sum(sorted(weights)[-count:]), sum(weights)) for count in range(1, len(weights) + 1)}
    if p in masses:
        return
    filtered = filters.top_p(logits_of(weights), float(p))
    assert kept(filtered) == possible(weights, kept_by_top_p(weights, p))


@given(WEIGHTS, st.integers(1, 12), st.integers(1, 99))
@settings(deadline=None)
def test_one_code_is_always_left(weights: list[int], k: int, percent: int) -> None:
    filtered = filters.top_p(filters.top_k(logits_of(weights), k), percent / 100)
    assert kept(filtered)
    assert ranking(weights)[0] in kept(filtered)


def test_all_equal_keeps_the_lower_codes() -> None:
    logits = torch.zeros(2, 3, 100)
    assert filters.top_k(logits, 10).isfinite().nonzero()[:, -1].tolist() == list(range(10)) * 6
    assert filters.top_p(logits.double(), 0.095).isfinite().nonzero()[:, -1].tolist() == list(range(10)) * 6


@pytest.mark.parametrize("k", [5, 6, 1000])
def test_a_k_as_large_as_the_vocabulary_keeps_all(k: int) -> None:
    logits = torch.tensor([3.0, 1.0, 2.0, 1.0, 0.0])
    assert torch.equal(filters.top_k(logits, k), logits)
    assert torch.equal(filters.top_k(logits[None], torch.tensor([k]))[0], logits)


def test_a_tiny_p_keeps_one() -> None:
    assert kept(filters.top_p(torch.tensor([1.0, 5.0, 5.0], dtype=torch.float64), 1e-12)) == {1}


def test_p_of_one_keeps_what_is_there() -> None:
    logits = torch.tensor([0.0, -50.0, -math.inf], dtype=torch.float64)
    assert filters.top_p(logits, 1.0) is logits
