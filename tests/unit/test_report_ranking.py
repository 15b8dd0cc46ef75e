"""Rankings from made-up results: what is compared with what, over what, and what is said of it."""

from __future__ import annotations

import itertools
import math
import random
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from tamingplat.report.lines import joined
from tamingplat.report.ranking import Comparison, Ranking, rankings
from tamingplat.report.summary import summarise, value_of
from tamingplat.stages import Column, Instrument, ResultRow, Results

NLL = Column("nll", "nats/token", "lower", "Likelihood.", True)
FD = Column("fd-x", "", "lower", "Distance.", True)
KID = Column("kid (subset=50, N=100)", "", "lower", "Kernel distance.", True)
PSNR = Column("PSNR", "dB", "higher", "Errors.", True)
OF = {NLL.name: "prior", FD.name: "images", KID.name: "images", PSNR.name: "tokenizer"}


def _cell(line: str, seed: int, metrics: dict[str, float], **changes: Any) -> ResultRow:
    """A row of a prior trained on one tokenizer; ``changes`` replace fields, entries of dictionaries one by one."""
    row = ResultRow(
        kind="cell",
        dataset="emoji",
        tokenizer="vq",
        prior=line,
        ordering="raster",
        conditioner="none",
        sampler="ancestral",
        group=f"group of {line}",
        seed=seed,
        tokenizer_seed=0,
        metrics=metrics,
        sources={name: f"{name} of {line} {seed}" for name in metrics},
        instruments={name: Instrument(OF[name], "metric", "inception" if name == FD.name else "") for name in metrics},
        artifacts={"tokenizer": "T" * 64, "prior": f"{line} {seed}", "samples": f"samples {line} {seed}"},
        evaluation={"split": "validation", "reference": "train", "reference_hash": "R" * 64, "samples": 100},
        settings={"preprocessing": "D" * 64, "condition": "C" * 64, "decoding": "S" * 64},
    )
    for name, value in changes.items():
        old = getattr(row, name)
        row = replace(row, **{name: {**old, **value} if isinstance(old, dict) else value})
    return row


def _results(rows: Sequence[ResultRow], *columns: Column) -> Results:
    return Results("made-up", tuple(rows), columns or (NLL,))


def _seeds(line: str, values: Sequence[float], **changes: Any) -> list[ResultRow]:
    return [_cell(line, seed, {NLL.name: value}, **changes) for seed, value in enumerate(values)]


def _one(results: Results) -> Ranking:
    (ranking,) = rankings(results)
    return ranking


def _of(ranking: Ranking, line: str) -> Comparison:
    return next(one for one in ranking.comparisons if one.group == f"group of {line}")


A = [3.00, 3.10, 2.95, 3.05, 3.02, 2.98]
B = [value + shift for value, shift in zip(A, [0.02, -0.03, 0.03, -0.01, 0.02, -0.02], strict=True)]
C = [value + shift for value, shift in zip(A, [0.20, 0.22, 0.19, 0.21, 0.20, 0.18], strict=True)]


def test_differences_are_paired_by_seed_and_have_students_interval() -> None:
    ranking = _one(_results([*_seeds("a", A), *_seeds("b", B), *_seeds("c", C)]))
    assert [one.verdict for one in ranking.comparisons] == ["best", "tied", "worse"]
    for line, values in (("b", B), ("c", C)):
        theirs = stats.ttest_rel(values, A)
        ours = _of(ranking, line)
        assert ours.difference == pytest.approx(np.mean(values) - np.mean(A))
        assert ours.interval == pytest.approx(tuple(theirs.confidence_interval(0.95)))
        assert (ours.seeds, ours.basis) == (6, "t interval over 6 seeds")
    p_b, p_c = (stats.ttest_rel(values, A).pvalue for values in (B, C))
    assert _of(ranking, "c").adjusted_p == pytest.approx(min(1, 2 * p_c))
    assert _of(ranking, "b").adjusted_p == pytest.approx(max(2 * p_c, p_b))


def test_what_is_higher_is_better_where_the_column_says_so() -> None:
    rows = [*_seeds("a", A), *_seeds("c", C)]
    ranking = _one(_results(rows, replace(NLL, better="higher")))
    assert ranking.comparisons[0].group == "group of c" and _of(ranking, "a").difference == pytest.approx(-0.2)
    assert _of(ranking, "a").verdict == "worse"


def test_fewer_than_six_seeds_and_an_interval_across_zero_are_undecided() -> None:
    few = _one(_results([*_seeds("a", A[:5]), *_seeds("b", B[:5]), *_seeds("c", C[:5])]))
    assert _of(few, "b").verdict == "undecided" and _of(few, "c").verdict == "worse"
    interval = _of(few, "b").interval
    assert interval is not None and interval[0] < 0 < interval[1]


def test_equal_differences_decide_nothing_below_six_seeds() -> None:
    best = [0.85, 0.8, 0.9, 0.75, 0.7, 0.8]
    others = [value - 0.05 for value in best]
    for seeds, verdict in ((2, "undecided"), (5, "undecided"), (6, "worse")):
        rows = [*_seeds("a", best[:seeds]), *_seeds("b", others[:seeds])]
        assert _of(_one(_results(rows, replace(NLL, better="higher"))), "b").verdict == verdict


@pytest.mark.parametrize("better", ["lower", "higher"])
def test_a_line_that_wins_on_the_common_seeds_is_not_called_worse(better: Any) -> None:
    sign = 1 if better == "lower" else -1
    best = [3.0, 3.1, 2.9, 3.0, *[1.0] * 6]
    others = [value - 0.1 - wiggle for value, wiggle in zip(best[:4], [0.001, -0.001, 0.002, 0.0], strict=True)]
    rows = [*_seeds("a", [sign * value for value in best]), *_seeds("b", [sign * value for value in others])]
    other = _of(_one(_results(rows, replace(NLL, better=better))), "b")
    assert sign * other.difference == pytest.approx(-0.1, abs=0.01)
    assert other.adjusted_p is not None and other.adjusted_p < 0.05
    assert other.verdict == "undecided"


def test_other_seeds_are_compared_without_pairs() -> None:
    late = [replace(row, seed=row.seed + 10) for row in _seeds("c", C) if row.seed is not None]
    ours = _of(_one(_results([*_seeds("a", A), *late])), "c")
    theirs = stats.ttest_ind(C, A, equal_var=False)
    assert ours.interval == pytest.approx(tuple(theirs.confidence_interval(0.95)))
    assert ours.seeds == 6 and "not paired" in ours.basis


def _images(values: Sequence[float], noise: float, seed: int) -> npt.NDArray[np.float64]:
    return np.asarray(values) + np.random.default_rng(seed).normal(0, noise, len(values))


def test_one_seed_says_something_of_these_models_only() -> None:
    hard = np.linspace(1, 9, 200)
    first, second = _images(hard, 0.1, 0), _images(hard + 0.1, 0.1, 1)
    rows = [
        _cell(line, 0, {NLL.name: float(values.mean())}, per_image={NLL.name: values})
        for line, values in (("a", first), ("b", second))
    ]
    ours = _of(_one(_results(rows)), "b")
    theirs = stats.ttest_rel(second, first)
    assert ours.interval == pytest.approx(tuple(theirs.confidence_interval(0.95)))
    assert ours.interval is not None and ours.interval[0] > 0
    # The interval is far from zero, and another training might all the same turn out the other way.
    assert (ours.verdict, ours.adjusted_p, ours.seeds) == ("undecided", None, 1)
    assert ours.basis == "these trained models only: t interval over 200 images"
    bare = _of(_one(_results([replace(row, per_image={}) for row in rows])), "b")
    assert (bare.verdict, bare.interval, bare.basis) == ("undecided", None, "these trained models only: no interval")


def test_a_kernel_distance_of_one_seed_has_its_own_estimators_errors_and_a_frechet_distance_none() -> None:
    errors = {"a": 0.03, "b": 0.04}
    rows = [
        _cell(line, 0, {KID.name: value, FD.name: value}, standard_errors={KID.name: errors[line]})
        for line, value in (("a", 1.0), ("b", 1.2))
    ]
    kernel, frechet = rankings(_results(rows, KID, FD))
    interval = _of(kernel, "b").interval
    assert interval == pytest.approx((0.2 - 1.96 * 0.05, 0.2 + 1.96 * 0.05), abs=1e-4)
    assert _of(kernel, "b").verdict == "undecided" and "these trained models only" in _of(kernel, "b").basis
    assert _of(frechet, "b").interval is None


def _with_images(row: ResultRow) -> ResultRow:
    assert row.seed is not None
    values = np.random.default_rng([row.seed, ord(row.prior)]).normal(row.metrics[NLL.name], 1.0, 50)
    return replace(row, per_image={NLL.name: values})


def test_a_planted_duplicate_seed_does_not_shrink_an_error_bar() -> None:
    honest = [
        replace(_with_images(row), weights={"tokenizer": "of all", "prior": f"of {row.prior} {row.seed}"})
        for row in (*_seeds("a", A[:5]), *_seeds("b", B[:5]))
    ]
    expected = _of(_one(_results(honest)), "b")
    spread = next(row for row in summarise(_results(honest)) if row.names["prior"] == "b").metrics["nll"]
    original = honest[-1]
    plants = (
        # One prior artifact, and its one measurement, listed again under another seed.
        replace(original, seed=5, weights={}),
        # An imported prior: one artifact, measured anew for every seed.
        replace(original, seed=5, sources={NLL.name: "another key"}, weights={}),
        # One that was written anew under another key: what it says of every image is the same to the last bit.
        replace(
            original, seed=5, sources={NLL.name: "another"}, artifacts={"tokenizer": "T" * 64, "prior": "another"}, weights={}
        ),
        # One that was copied under another key, and measured on a machine that rounds otherwise: the file has the same content.
        replace(
            original,
            seed=5,
            sources={NLL.name: "another"},
            artifacts={"tokenizer": "T" * 64, "prior": "another"},
            weights={"tokenizer": "of all", "prior": "of b 4"},
            per_image={name: values * (1 + 1e-9) for name, values in original.per_image.items()},
        ),
    )
    for plant in plants:
        for best_too in (False, True):
            planted = [*honest, plant, *([_with_images(_cell("a", 5, {NLL.name: A[5]}))] if best_too else [])]
            results = _results(planted)
            found = next(row for row in summarise(results) if row.names["prior"] == "b")
            assert found.metrics["nll"] == spread and found.copies == (5,)
            ours = _of(_one(results), "b")
            assert ours.seeds == 5 and ours.basis == "t interval over 5 seeds"
            if not best_too:
                assert ours.interval == pytest.approx(expected.interval)
    # Six seeds of one imported model are no six trainings, whatever they are compared with.
    imported = [
        replace(row, sources={NLL.name: f"key {row.seed}"}, artifacts={**row.artifacts, "prior": "imported"})
        for row in _seeds("b", [4.0, 4.1, 4.0, 3.9, 4.0, 4.1])
    ]
    ours = _of(_one(_results([*_seeds("a", A), *imported])), "b")
    assert (ours.verdict, ours.seeds) == ("undecided", 1) and ours.basis.startswith("these trained models only")


def test_lines_that_share_a_measurement_are_one_entrant() -> None:
    rows = [*_seeds("a", A), *_seeds("b", B)]
    twins = [replace(row, group="group of a, top-k", sampler="top-k") for row in rows if row.prior == "a"]
    ranking = _one(_results([*rows, *twins]))
    assert sum(one.verdict == "best" for one in ranking.comparisons) == 2
    alone = _one(_results(rows))
    # The twin is no further comparison, which Holm's correction would have to pay for.
    assert _of(ranking, "b") == _of(alone, "b")


@pytest.mark.parametrize(
    ("setting", "column", "changes"),
    [
        ("tokenizer", NLL, {"artifacts": {"tokenizer": "U" * 64}}),
        ("condition", NLL, {"settings": {"condition": "other"}}),
        ("split", NLL, {"evaluation": {"split": "test"}}),
        ("preprocessing", NLL, {"settings": {"preprocessing": "other"}}),
        ("metric", NLL, {"instruments": {NLL.name: Instrument("prior", "other")}}),
        ("tokenizer", FD, {"artifacts": {"tokenizer": "U" * 64}}),
        ("condition", FD, {"settings": {"condition": "other"}}),
        ("preprocessing", FD, {"settings": {"preprocessing": "other"}}),
        ("reference", FD, {"evaluation": {"reference_hash": "other"}}),
        ("extractor", FD, {"instruments": {FD.name: Instrument("images", "other", "vgg")}}),
        ("N", FD, {"evaluation": {"samples": 101}}),
        ("decoding", FD, {"settings": {"decoding": "other"}}),
    ],
)
def test_what_differs_in_a_setting_is_in_no_ranking_together(setting: str, column: Column, changes: dict[str, Any]) -> None:
    def rows(line: str, **more: Any) -> list[ResultRow]:
        return [_cell(line, seed, {column.name: value}, **more) for seed, value in enumerate(A)]

    together = rankings(_results([*rows("a"), *rows("b")], column))
    assert len(together) == 1 and not together[0].alone and together[0].split_by == ()
    apart = rankings(_results([*rows("a"), *rows("b", **changes)], column))
    assert [len(one.comparisons) for one in apart] == [1, 1] and all(one.alone for one in apart)
    assert all(one.split_by == (setting,) for one in apart)
    assert apart[0].held[setting] != apart[1].held[setting]


def test_the_images_that_were_measured_have_to_be_as_many() -> None:
    rows = [
        _cell(line, 0, {NLL.name: 3.0}, per_image={NLL.name: np.full(count, 3.0)}) for line, count in (("a", 20), ("b", 30))
    ]
    assert [one.split_by for one in rankings(_results(rows))] == [("N",), ("N",)]


def test_a_likelihood_does_not_care_how_samples_are_drawn() -> None:
    other = {"settings": {"decoding": "other"}, "evaluation": {"samples": 7, "reference_hash": "other"}}
    assert len(rankings(_results([*_seeds("a", A), *_seeds("b", B, **other)]))) == 1


def test_columns_without_rank_and_networks_that_were_in_the_loss_rank_nothing() -> None:
    rows = [*_seeds("a", A), *_seeds("b", B)]
    assert rankings(_results(rows, replace(NLL, ranks=False))) == []
    assert rankings(_results(rows, replace(NLL, better=""))) == []
    trained = [replace(row, trained_on=(NLL.name,)) for row in rows if row.prior == "b"]
    ranking = _one(_results([row for row in rows if row.prior == "a"] + trained))
    assert ranking.alone and len(ranking.comparisons) == 1


def _reconstruction(tokenizer: str, seed: int, value: float, kind: Any = "reconstruction") -> ResultRow:
    return ResultRow(
        kind=kind,
        dataset="emoji",
        tokenizer=tokenizer,
        group=f"{kind} {tokenizer} {seed}",
        tokenizer_seed=seed,
        metrics={PSNR.name: value},
        sources={PSNR.name: f"{tokenizer} {seed}"},
        instruments={PSNR.name: Instrument("tokenizer", "metric")},
        artifacts={"tokenizer": f"{tokenizer} {seed}"},
        evaluation={"split": "validation"},
        settings={"preprocessing": "D", "recipe": tokenizer},
    )


def test_tokenizers_are_compared_over_their_own_seeds_on_their_own_rows() -> None:
    rows = [_reconstruction("vqgan", seed, 20 + value) for seed, value in enumerate(A)]
    rows += [_reconstruction("vqvae", seed, 20 + value) for seed, value in enumerate(C)]
    # A cell shows the number of its tokenizer, and is no entrant of its own; a row of real images is none either.
    cell = _cell("gpt", 0, {PSNR.name: 99.0}, sources={PSNR.name: "vqgan 0"})
    ranking = _one(_results([*rows, cell, _reconstruction("", 0, 99.0, kind="real")], PSNR))
    verdicts = {one.group: one.verdict for one in ranking.comparisons}
    assert set(verdicts) == {row.group for row in rows}
    assert {verdict for group, verdict in verdicts.items() if "vqvae" in group} == {"best"}
    worse = [one for one in ranking.comparisons if "vqgan" in one.group]
    assert {one.verdict for one in worse} == {"worse"} and {one.seeds for one in worse} == {6}


def test_a_tokenizer_that_was_copied_is_no_further_seed() -> None:
    def line(name: str, values: Sequence[float], copied: int = 0) -> list[ResultRow]:
        rows = [
            replace(_reconstruction(name, seed, 20 + value), weights={"tokenizer": f"weights of {name} {seed}"})
            for seed, value in enumerate(values)
        ]
        return rows + [
            replace(_reconstruction(name, len(rows) + copy, 20 + values[-1]), weights=rows[-1].weights)
            for copy in range(copied)
        ]

    honest, planted = line("vqgan", B[:3]), line("vqgan", B[:3], copied=3)
    assert len(planted) == 6 and value_of(planted, PSNR.name) == value_of(honest, PSNR.name)
    for rows in (honest, planted):
        compared = {one.verdict: one for one in _one(_results([*rows, *line("vqvae", A)], PSNR)).comparisons}
        assert set(compared) == {"best", "undecided"} and compared["undecided"].seeds == 3


@given(st.lists(st.frozensets(st.integers(0, 6), max_size=3), max_size=8))
@settings(max_examples=100, deadline=None)
def test_what_shares_a_mark_with_anything_of_a_group_is_in_it(marks: list[frozenset[int]]) -> None:
    groups = joined(range(len(marks)), lambda index: marks[index])
    assert sorted(index for group in groups for index in group) == list(range(len(marks)))
    for group in groups:
        outside = [index for index in range(len(marks)) if index not in group]
        assert not any(marks[one] & marks[other] for one in group for other in outside)
        # Nothing is together without a reason: no part of a group can be cut off.
        for size in range(1, len(group)):
            for part in itertools.combinations(group, size):
                assert any(marks[one] & marks[other] for one in part for other in group if other not in part)


@given(st.randoms(use_true_random=False), st.integers(2, 4), st.integers(1, 7))
@settings(max_examples=40, deadline=None)
def test_the_order_of_the_rows_changes_no_verdict(order: random.Random, lines: int, seeds: int) -> None:
    generator = np.random.default_rng(order.randrange(1000))
    # Rounded, so that there are equal numbers too.
    values = np.round(generator.normal(3, 0.1, size=(lines, seeds)), 1)
    rows = [row for index in range(lines) for row in _seeds(f"line {index}", values[index].tolist())]
    expected = _one(_results(rows)).comparisons
    shuffled = list(rows)
    order.shuffle(shuffled)
    assert _one(_results(shuffled)).comparisons == expected


@pytest.mark.parametrize(("lines", "rate"), [(2, 0.05), (6, 0.09)])
def test_lines_that_do_not_differ_are_seldom_told_apart(lines: int, rate: float) -> None:
    generator = np.random.default_rng(1)
    experiments, wrong = 400, 0
    for _ in range(experiments):
        common = generator.normal(3, 0.2, size=6)
        rows = [row for line in range(lines) for row in _seeds(str(line), (common + generator.normal(0, 0.1, 6)).tolist())]
        wrong += any(one.verdict == "worse" for one in _one(_results(rows)).comparisons)
    assert wrong / experiments < rate + 4 * math.sqrt(rate * (1 - rate) / experiments)
