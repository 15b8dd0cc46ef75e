"""What ``compare`` shows and in which order: sorting and filtering by every column."""

from __future__ import annotations

import json
from dataclasses import replace
from types import ModuleType
from typing import Any

import pytest

from tamingplat.interfaces import ProblemsError
from tamingplat.report import make_view, to_json
from tamingplat.stages import Results, Tuning


def _shown(results: Results, **options: Any) -> list[tuple[str, str]]:
    lines = make_view(results, **options).lines
    return [(line.names["prior"] or line.kind, line.names["ordering"] or line.names["tokenizer"]) for line in lines]


REFERENCES = [("real", ""), ("reconstruction", "vq"), ("reconstruction", "other")]
VARIANT = ("gpt-s[learning_rate=0.01,steps=5]", "raster")


def test_lines_are_sorted_by_any_column_and_reference_rows_stay_last(view_results: ModuleType) -> None:
    ascending = [("gpt", "raster"), ("gpt", "z-curve"), ("pixelsnail", "raster"), VARIANT]
    assert _shown(view_results.RESULTS, sort="nll") == [*ascending, *REFERENCES]
    assert _shown(view_results.RESULTS, sort="nll:desc") == [*reversed(ascending[:3]), VARIANT, *REFERENCES], (
        "each tokenizer apart"
    )
    assert _shown(view_results.RESULTS, sort="fid") == [*ascending, *REFERENCES]
    assert [prior for prior, _ in _shown(view_results.RESULTS, sort="prior:desc")][:2] == ["pixelsnail", VARIANT[0]]
    without = replace(
        view_results.RESULTS, rows=tuple(replace(row, cost={}) if row.prior == "gpt" else row for row in view_results.ROWS)
    )
    assert [prior for prior, _ in _shown(without, sort="prior_parameters:desc")][2:4] == ["gpt", "gpt"]


def _of_two_tokenizers(view_results: ModuleType) -> Results:
    """Likelihoods of two tokenizers that lie between each other."""
    rows = (
        *view_results.cells("gpt", [3.05] * 2, "a"),
        *view_results.cells("snail", [3.25] * 2, "a"),
        *view_results.cells("gpt", [3.1] * 2, "b"),
        *view_results.cells("snail", [2.05] * 2, "b"),
    )
    return replace(view_results.RESULTS, rows=rows)


@pytest.mark.parametrize("column", ["nll", "fid (N=100)"])
def test_lines_of_two_tokenizers_are_never_sorted_among_each_other(view_results: ModuleType, column: str) -> None:
    """Neither by what ranks them nor by what is shown and does not."""

    def shown(sort: str) -> list[str]:
        return [
            f"{line.names['tokenizer']}/{line.names['prior']}"
            for line in make_view(_of_two_tokenizers(view_results), sort=sort).lines
        ]

    assert shown(column) == ["a/gpt", "a/snail", "b/snail", "b/gpt"]
    assert shown(f"{column}:desc") == ["a/snail", "a/gpt", "b/gpt", "b/snail"]
    notes = make_view(_of_two_tokenizers(view_results), sort=column).tables()[0].notes
    assert any(note.startswith(f"sorted by {column} among lines of the same tokenizer") for note in notes)
    # A rate compares tokenizers, and so do names and costs.
    assert shown("rate") == ["b/snail", "a/gpt", "b/gpt", "a/snail"]
    assert shown("prior") == ["a/gpt", "b/gpt", "a/snail", "b/snail"]
    assert not any(
        note.startswith("sorted by") for note in make_view(_of_two_tokenizers(view_results), sort="rate").tables()[0].notes
    )


def test_what_is_not_to_be_ranked_is_sorted_behind_what_is(view_results: ModuleType) -> None:
    rows = (
        *view_results.cells("gpt", [3.0]),
        *view_results.cells("snail", [2.0], trained_on=("PSNR", "nll")),
        *view_results.cells("other", [2.5]),
    )
    results = replace(view_results.RESULTS, rows=rows)
    assert [prior for prior, _ in _shown(results, sort="nll")] == ["other", "gpt", "snail"]
    assert [prior for prior, _ in _shown(results, sort="fid")] == ["snail", "other", "gpt"]


def test_every_heading_that_is_printed_sorts_and_filters(view_results: ModuleType) -> None:
    tuned = tuple(
        replace(
            row,
            cost={
                "prior_parameters": 1e6 if row.prior == "gpt" else 2e6,
                "prior_training_seconds": 60.0,
                "prior_training_flops": 1e9,
                "samples_per_second": 3.0,
                "sampling_speed_up": 2.0,
            },
            tuning={"prior": Tuning(4, 3) if row.prior == "gpt" else Tuning(None, 2), "tokenizer": Tuning(9, 1)},
            machine={"ema": 0.99 if row.prior == "gpt" else None},
        )
        if row.kind == "cell"
        else row
        for row in view_results.ROWS
    )
    more = replace(
        view_results.cells("pixelsnail", [3.9])[0], tokenizer_seed=1, group="again", artifacts={"tokenizer": "again"}
    )
    results = replace(view_results.RESULTS, rows=(*tuned, more))
    headings = make_view(results, wide=True).tables()[0].headings
    assert {"params", "train", "FLOPs", "img/s", "speed-up", "seeds", "EMA", "prior settings tried", "nll ↓"} <= set(headings)
    for heading in headings:
        assert len(make_view(results, sort=heading).lines) == len(make_view(results).lines), heading
    gpt, others = [("gpt", "raster"), ("gpt", "z-curve")], [("pixelsnail", "raster"), VARIANT, ("pixelsnail", "raster")]
    for condition, expected in (
        ("params<1.2e6", gpt),
        ("EMA=yes", gpt),
        ("prior settings tried=6", gpt),
        ("tokenizer settings tried>9", []),
        ("seeds<6", others[1:]),
        ("tokenizer seed=1", others[2:]),
        ("img/s>2,nll ↓<3.00005", gpt[:1]),
    ):
        assert [line for line in _shown(results, filters=[condition]) if line not in REFERENCES] == expected, condition
    assert next(prior for prior, _ in _shown(results, sort="params:desc")) == "pixelsnail"
    alone = replace(
        view_results.RESULTS,
        rows=(replace(view_results.reference("reconstruction", "vq"), cost={"tokenizer_parameters": 5.0}),),
    )
    assert make_view(alone, sort="params").selection.sort == "tokenizer_parameters"


@pytest.mark.parametrize(
    ("filters", "expected"),
    [
        (["prior=gpt,ordering=raster"], [("gpt", "raster"), *REFERENCES]),
        (["prior=gpt", "ordering=raster"], [("gpt", "raster"), *REFERENCES]),
        (["ordering=raster|z-curve,prior!=gpt"], [("pixelsnail", "raster"), VARIANT, *REFERENCES]),
        (["nll<3.2,nll>=3"], [("gpt", "raster"), ("gpt", "z-curve"), *REFERENCES]),
        (["fid (N=100)>75"], [VARIANT, *REFERENCES]),
        (["fid!=60"], [("pixelsnail", "raster"), VARIANT, *REFERENCES]),
        ([f"prior={VARIANT[0]}"], [VARIANT, *REFERENCES]),
        (["tokenizer=vq,prior_parameters=1.5e6,prior!=gpt"], [("pixelsnail", "raster"), *REFERENCES[:2]]),
        (["kind=cell,prior=pixelsnail"], [("pixelsnail", "raster")]),
    ],
)
def test_lines_are_filtered_by_any_column(
    view_results: ModuleType, filters: list[str], expected: list[tuple[str, str]]
) -> None:
    assert _shown(view_results.RESULTS, filters=filters) == expected


def test_a_filter_hides_lines_and_changes_no_verdict(view_results: ModuleType) -> None:
    whole, part = make_view(view_results.RESULTS), make_view(view_results.RESULTS, filters=["ordering=z-curve"])
    (line,) = (line for line in part.tables()[0].lines if "z-curve" in line)
    marked = [cell for cell in line if cell.endswith(" =")]
    assert len(marked) == 1 and part.rankings == whole.rankings
    rows = json.loads(to_json(part.everything, part.rankings, part.rows))
    assert {row["ordering"] for row in rows if row["kind"] == "cell"} == {"z-curve"}


def test_one_seed_can_be_looked_at_alone(view_results: ModuleType) -> None:
    view = make_view(view_results.RESULTS, filters=["seed=1"])
    assert {row.seed for row in view.rows if row.kind == "cell"} == {1}
    assert {comparison.verdict for ranking in view.rankings for comparison in ranking.comparisons} <= {"best", "undecided"}


def test_wrong_filters_and_columns_are_all_named_at_once(view_results: ModuleType) -> None:
    wrong = ["prio=gpt,nll<low,ordering<raster", "prior=gtp", "nll"]
    with pytest.raises(ProblemsError) as caught:
        make_view(view_results.RESULTS, filters=wrong, sort="nl:desc")
    texts = [str(problem) for problem in caught.value.problems]
    assert len(texts) == 6
    for text, parts in zip(
        texts,
        [
            ("prio", "did you mean prior"),
            ("low", "nll is a number"),
            ("ordering is a name", "write ordering=raster"),
            ("no row has prior gtp", "did you mean gpt"),
            ("is no condition", "COLUMN=VALUE"),
            ("--sort nl:desc", "no column nl", "did you mean nll"),
        ],
        strict=True,
    ):
        assert all(part in text for part in parts), text
