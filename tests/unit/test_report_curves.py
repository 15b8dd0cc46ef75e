"""Learning curves at equal budgets, from made-up trainings."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tamingplat.engine import CurvePoint as TrainingPoint
from tamingplat.report import make_view
from tamingplat.report.budgets import with_budgets
from tamingplat.report.learning_curves import CurvePoint, LearningCurve, at_equal, learning_curves
from tamingplat.stages import Column, ResultRow, Results

MACHINE = {"host": "here", "device": "cpu", "threads": 2, "processes": 1, "contended": False}


def _curve(
    group: str, nll: Sequence[float], *, seconds: float = 1.0, flops: float | None = 10.0, **machine: Any
) -> LearningCurve:
    """Validated every ten steps, each of which takes ``seconds`` and ``flops``."""
    points = tuple(
        CurvePoint(steps, 8 * steps, steps * seconds, None if flops is None else steps * flops, value)
        for steps, value in zip(range(10, 10 * len(nll) + 10, 10), nll, strict=True)
    )
    return LearningCurve(group, {"tokenizer": "vq"}, 0, {**MACHINE, **machine}, points)


def test_curves_are_compared_where_both_have_come() -> None:
    slow, fast = _curve("gpt", [5, 4, 3], seconds=2.0, flops=5.0), _curve("pixelsnail", [6, 5], seconds=1.0, flops=30.0)
    steps = at_equal([slow, fast], "steps")
    assert (steps.at, steps.nll, steps.reasons) == (20, (4, 5), ("", ""))
    seconds = at_equal([slow, fast], "seconds")
    assert (seconds.at, seconds.nll) == (20, (5, 5))
    # 600 operations the one took in all, and 150 the other: in the middle of the first's tenth step there is no validation yet.
    flops = at_equal([slow, fast], "flops")
    assert flops.at == 150 and flops.nll == (3, None) and flops.reasons == ("", "validated later only")


@given(st.lists(st.floats(0, 10), min_size=2, max_size=6), st.lists(st.floats(0, 10), min_size=2, max_size=6))
@settings(max_examples=40, deadline=None)
def test_what_is_read_off_lies_between_the_validations_around_it(first: list[float], second: list[float]) -> None:
    curves = [_curve("a", first, flops=7.0), _curve("b", second, flops=10.0)]
    for curve, value in zip(curves, at_equal(curves, "flops").nll, strict=True):
        known = [point.nll for point in curve.points]
        assert value is None or min(known) - 1e-9 <= value <= max(known) + 1e-9
    shorter = min(curves, key=lambda curve: len(curve.points))
    values = at_equal(curves, "steps").nll
    assert values[curves.index(shorter)] == shorter.points[-1].nll


@pytest.mark.parametrize(
    ("difference", "reason"),
    [
        ({"contended": True}, "contended"),
        ({"host": "there"}, "another machine"),
        ({"device": "cuda"}, "another machine"),
        ({"threads": 1}, "another machine"),
    ],
)
def test_seconds_of_other_or_busy_machines_are_not_compared(difference: dict[str, Any], reason: str) -> None:
    curves = [_curve("a", [5, 4]), _curve("b", [5, 3]), _curve("c", [6, 2], **difference)]
    seconds = at_equal(curves, "seconds")
    assert seconds.nll == (4, 3, None) and seconds.reasons == ("", "", reason)
    # Equal steps and equal operations always can be compared.
    assert at_equal(curves, "steps").nll == (4, 3, 2) and at_equal(curves, "flops").nll == (4, 3, 2)
    pair = at_equal(curves[1:], "seconds")
    assert pair.at is None and pair.nll == (None, None)
    assert set(pair.reasons) == {reason, "nothing to compare with"}


def test_what_was_not_counted_or_is_alone_says_so() -> None:
    curves = [_curve("a", [5, 4]), _curve("b", [5, 3]), _curve("c", [6, 2], flops=None)]
    assert at_equal(curves, "flops").reasons == ("", "", "not counted")
    assert at_equal([curves[0], replace(curves[0], seed=1)], "steps").reasons == ("nothing to compare with",) * 2
    assert at_equal([], "seconds").at is None


def _rows(prior: str, tokenizer: str, nll: Sequence[float], seeds: int, **machine: Any) -> list[ResultRow]:
    return [
        ResultRow(
            kind="cell",
            dataset="emoji",
            tokenizer=tokenizer,
            prior=prior,
            ordering="raster",
            conditioner="none",
            sampler="ancestral",
            group=f"{prior} on {tokenizer}",
            seed=seed,
            tokenizer_seed=0,
            metrics={"nll": nll[-1] + seed / 100},
            machine={"training": {**MACHINE, **machine}},
            artifacts={"tokenizer": tokenizer, "prior": f"{prior} {tokenizer} {seed}"},
            curve=tuple(
                TrainingPoint("validation", steps, 8 * steps, float(steps), 5 * steps, {"total": value + seed / 100})
                for steps, value in zip((10, 20, 30), nll, strict=False)
            ),
        )
        for seed in range(seeds)
    ]


def _results(rows: Sequence[ResultRow]) -> Results:
    return Results("made-up", tuple(rows), (Column("nll", "nats/token", "lower", "Likelihood.", True),))


def test_every_trained_prior_has_one_curve() -> None:
    rows = _rows("gpt", "vq", [5, 4, 3], 2)
    sampled = [replace(row, group="gpt on vq, top-k", sampler="top-k") for row in rows]
    curves = learning_curves(_results([*rows, *sampled]))
    assert [(curve.group, curve.seed) for curve in curves] == [("gpt on vq", 0), ("gpt on vq", 1)]
    assert curves[0].lines == ("gpt on vq", "gpt on vq, top-k")
    assert curves[0].points[0] == CurvePoint(10, 80, 10.0, 50, 5)


def test_tables_have_likelihoods_at_equal_budgets_or_why_not() -> None:
    rows = [
        *_rows("gpt", "vq", [5, 4, 3], 6),
        *_rows("pixelsnail", "vq", [5.5, 4.5], 6, contended=True),
        *_rows("gpt", "other", [9, 8, 7], 1),
    ]
    results = _results(rows)
    budgets = with_budgets(results)
    by_name = {(row.prior, row.tokenizer, row.seed): row for row in budgets.results.rows}
    assert by_name["gpt", "vq", 1].metrics["nll at equal steps"] == pytest.approx(4.01)
    assert "nll at equal steps" not in by_name["gpt", "other", 0].metrics
    assert budgets.reason(by_name["pixelsnail", "vq", 0], "nll at equal time") == "contended"

    view = make_view(results, sections=("evolution",))
    main, equal, *evolution = view.tables()
    assert "nll at equal steps ↓" not in main.headings
    cells = {line[: equal.names]: dict(zip(equal.headings, line, strict=True)) for line in equal.lines}
    assert len(cells) == 2
    gpt, snail = cells["vq", "gpt"], cells["vq", "pixelsnail"]
    assert gpt["nll at equal steps ↓"].startswith("4.025 ±") and gpt["nll at equal steps ↓"].endswith(" *")
    assert snail["nll at equal time ↓"] == "contended"
    assert any("at 20 steps" in note for note in equal.notes)
    assert {line[0]: line[-2] for line in evolution[0].lines}["vq pixelsnail"] == ""
    assert [table.title for table in evolution[:2]] == [
        "Validation NLL along training, vq",
        "Validation NLL along training, other",
    ]


def _evolution(results: Results, *filters: str) -> list[tuple[str, ...]]:
    """The lines of the tables of likelihoods along training."""
    tables = make_view(results, filters=filters, sections=("evolution",)).tables()
    return [line for table in tables if "along training" in table.title for line in table.lines]


def test_a_curve_stands_in_whichever_of_its_lines_is_shown() -> None:
    rows = [*_rows("gpt", "vq", [5, 4, 3], 2), *_rows("pixelsnail", "vq", [6, 5, 4], 2)]
    sampled = [replace(row, group=f"{row.group}, top-k", sampler="top-k") for row in rows]
    results = _results([*rows, *sampled])
    assert len(_evolution(results)) == 2
    assert [line[1:] for line in _evolution(results, "sampler=top-k")] == [line[1:] for line in _evolution(results)]


def test_a_training_that_was_copied_under_other_seeds_does_not_shrink_an_error_along_training() -> None:
    rows = _rows("gpt", "vq", [5, 4, 3], 2)
    copies = [
        replace(row, seed=seed, artifacts={**row.artifacts, "prior": f"copy {seed}"}) for seed, row in enumerate(rows, start=2)
    ]
    honest, planted = _evolution(_results(rows)), _evolution(_results([*rows, *copies]))
    assert planted == honest and honest[0][-1] == "2"


def test_a_line_says_how_many_of_its_seeds_came_so_far() -> None:
    rows = _rows("gpt", "vq", [5, 4, 3], 3)
    (line,) = _evolution(_results([*rows[:2], replace(rows[2], curve=rows[2].curve[:1])]))
    assert line[1].startswith("5.010 ±") and "(" not in line[1]
    assert line[3].startswith("3.005 ±") and line[3].endswith(" (2 of 3)")


def test_what_was_found_to_be_no_likelihood_is_compared_with_nothing() -> None:
    honest = _rows("gpt", "vq", [5, 4, 3], 2)
    leaky = [
        replace(row, status="failed", reason="nll: impossible", metrics={}) for row in _rows("leaky", "vq", [2, 1, 0.5], 2)
    ]
    results = _results([*honest, *_rows("pixelsnail", "vq", [6, 5, 4], 2), *leaky])
    assert {curve.names["prior"] for curve in learning_curves(results)} == {"gpt", "pixelsnail"}
    budgets = with_budgets(results)
    assert not any("nll at equal steps" in row.metrics for row in budgets.results.rows if row.prior == "leaky")
    # What failed behind the likelihood, in a distance say, has its curve.
    behind = [replace(row, status="failed", reason="fid: not finite") for row in honest]
    assert len(learning_curves(_results(behind))) == 2


def test_a_bound_is_known_before_anything_is_measured() -> None:
    rows = [
        *_rows("gpt", "vq", [5, 4, 3], 1),
        *(replace(row, settings={"likelihood": "bound"}, metrics={}) for row in _rows("masked", "vq", [4, 3, 2], 1)),
    ]
    assert {curve.held["likelihood"] for curve in learning_curves(_results(rows))} == {"exact", "bound"}
    assert len(with_budgets(_results(rows)).columns) == 0
