"""Rate and distortion of several tokenizers: their points, tables and charts."""

from __future__ import annotations

from dataclasses import replace
from types import ModuleType
from typing import Any

import pytest

from tamingplat.report import make_view
from tamingplat.report.page.rates import rate_charts
from tamingplat.report.rate_distortion import rate_distortion
from tamingplat.stages import Column, ResultRow, Results


def test_several_tokenizers_are_compared_by_rate_and_distortion(view_results: ModuleType) -> None:
    points = rate_distortion(view_results.RESULTS)
    assert [point.tokenizer_label for point in points] == ["vq", "vq", "vq", "other"]
    first = points[0]
    assert first.rate.mean == pytest.approx(300) and first.rate.seeds == 6 and not first.bound
    assert {name: value.mean for name, value in first.distortions.items()} == {"PSNR": 21.5, "fid (N=100)": 2.0}
    assert first.distances["fid (N=100)"].mean == pytest.approx(60)
    table = make_view(view_results.RESULTS).tables()[1]
    assert table.title == "Rate and distortion" and [line[0].split(" / ")[0] for line in table.lines][-1] == "other"
    one = replace(view_results.RESULTS, rows=tuple(row for row in view_results.ROWS if row.tokenizer != "other"))
    assert len(make_view(one).tables()) == 1
    assert len(make_view(one, sections=("rate-distortion",)).tables()) == 2


def _namesakes(view_results: ModuleType, **changes: Any) -> Results:
    """Two manifests that give the same names to different tokenizer artifacts."""
    one = view_results.cells("gpt", [3.0])
    other = [
        replace(row, manifest="another", group="another", artifacts={"tokenizer": "T2", "prior": "P2"}, **changes)
        for row in view_results.cells("gpt", [2.0])
    ]
    return replace(view_results.RESULTS, rows=(*one, *other))


def test_tokenizers_of_one_name_in_two_manifests_are_two(view_results: ModuleType) -> None:
    points = rate_distortion(_namesakes(view_results))
    assert [point.label for point in points] == ["made-up / vq", "another / vq"]
    assert [point.tokenizer_label for point in points] == ["made-up / vq", "another / vq"]
    tables = make_view(_namesakes(view_results)).tables()
    assert [table.title for table in tables][1:] == ["Rate and distortion"], "there are two tokenizers"
    assert [line[0] for line in tables[1].lines] == ["another / vq", "made-up / vq"], "the lower rate first"
    assert [chart.series[0].name for chart in rate_charts(points, view_results.COLUMNS)] == ["made-up / vq"] * 2
    assert {len(chart.series) for chart in rate_charts(points, view_results.COLUMNS)} == {2}


def test_rates_of_windows_are_compared_among_windows_of_one_size(view_results: ModuleType) -> None:
    def windowed(row: ResultRow, name: str) -> ResultRow:
        metrics = {name if column == "rate" else column: value for column, value in row.metrics.items()}
        return replace(row, metrics=metrics)

    first, second = _namesakes(view_results).rows
    third = replace(second, tokenizer="third", group="third", artifacts={"tokenizer": "T3", "prior": "P3"})
    rows = (windowed(first, "rate"), windowed(second, "rate-bound-8x8"), windowed(third, "rate-8x8"))
    points = rate_distortion(replace(view_results.RESULTS, rows=rows))
    assert [point.bound for point in points] == [False, True, False]
    assert [point.rate_of["window"].identity if "window" in point.rate_of else None for point in points] == [None, "8x8", "8x8"]
    charts = rate_charts(points, view_results.COLUMNS)
    assert [len(chart.series) for chart in charts] == [1, 2] * 2 and len({chart.title for chart in charts}) == 4
    assert ["8x8 codes" in " ".join(chart.notes) for chart in charts] == [False, True] * 2
    (table,) = [
        one for one in make_view(replace(view_results.RESULTS, rows=rows)).tables() if one.title == "Rate and distortion"
    ]
    assert [line[1] for line in table.lines] == ["300", "≤ 200", "200"], "whole images first, then windows"
    assert any("tile the image" in note for note in table.notes) and any("not to be compared" in note for note in table.notes)


def test_tokenizer_seeds_are_series_of_their_own(view_results: ModuleType) -> None:
    seeds = [replace(row, manifest="made-up", tokenizer_seed=1) for row in _namesakes(view_results).rows[1:]]
    points = rate_distortion(replace(view_results.RESULTS, rows=(_namesakes(view_results).rows[0], *seeds)))
    charts = rate_charts(points, view_results.COLUMNS)
    assert [[one.name for one in chart.series] for chart in charts] == [["vq (seed 0)", "vq (seed 1)"]] * 2


@pytest.mark.parametrize(
    ("changes", "titles"),
    [
        (
            {"dataset": "faces", "settings": {"preprocessing": "F" * 64}},
            [
                "Rate and PSNR of reconstructions, preprocessing emoji",
                "Rate and PSNR of reconstructions, preprocessing faces",
                "Rate and fid (N=100) of samples, preprocessing emoji",
                "Rate and fid (N=100) of samples, preprocessing faces",
            ],
        ),
        (
            {"conditioner": "class"},
            [
                "Rate and PSNR of reconstructions, condition none",
                "Rate and PSNR of reconstructions, condition class",
                "Rate and fid (N=100) of samples, condition none",
                "Rate and fid (N=100) of samples, condition class",
            ],
        ),
        (
            {"evaluation": {"split": "validation", "reference": "train", "reference_hash": "S" * 64, "samples": 100}},
            [
                "Rate and PSNR of reconstructions",
                "Rate and fid (N=100) of samples, reference train #RRRRRRRR",
                "Rate and fid (N=100) of samples, reference train #SSSSSSSS",
            ],
        ),
    ],
)
def test_points_that_cannot_be_compared_are_in_charts_of_their_own(
    view_results: ModuleType, changes: dict[str, Any], titles: list[str]
) -> None:
    points = rate_distortion(_namesakes(view_results, **changes))
    assert [chart.title for chart in rate_charts(points, view_results.COLUMNS) if "codebook" not in chart.title] == titles
    if "evaluation" not in changes:
        table = next(
            table for table in make_view(_namesakes(view_results, **changes)).tables() if table.title == "Rate and distortion"
        )
        assert [line[1] for line in table.lines] == ["300", "200"], "the lower rate first among those of the same images alone"
        assert any("not to be compared" in note for note in table.notes)


def test_a_seed_without_a_number_says_nothing_of_what_the_others_were_measured_with(view_results: ModuleType) -> None:
    first, second = view_results.cells("gpt", [3.0, 3.1])
    failed = replace(first, metrics={}, instruments={}, status="failed")
    whole = rate_distortion(replace(view_results.RESULTS, rows=(first, second)))
    (point,) = rate_distortion(replace(view_results.RESULTS, rows=(failed, second)))
    assert point.measured == whole[0].measured and point.rate_of == whole[0].rate_of


def test_reconstructions_of_several_manifests_stand_beside_their_cells(view_results: ModuleType) -> None:
    def elsewhere(value: float, column: str, reference: str) -> ResultRow:
        row = view_results.reference("reconstruction", "vq", **{column: value})
        evaluation = {**row.evaluation, "reference_hash": reference}
        return replace(row, manifest="another", group=f"another {column} {reference}", evaluation=evaluation)

    others = (
        elsewhere(7.0, "kid (N=100)", "R" * 64),
        elsewhere(8.0, "fid (N=100)", "R" * 64),
        elsewhere(9.0, "rkid (N=100)", "another split"),
    )
    own = tuple(replace(row, manifest="made-up") if row.kind == "reconstruction" else row for row in view_results.ROWS)
    columns = (
        *view_results.COLUMNS,
        *(Column(name, "", "lower", "Distance.", True) for name in ("kid (N=100)", "rkid (N=100)")),
    )
    for rows in ((*own, *others), (*others, *own)):
        first = next(point for point in rate_distortion(Results("both", rows, columns)) if point.tokenizer_label == "vq")
        found = {name: value.mean for name, value in first.distortions.items()}
        # What its own manifest measured comes first; what was measured beside another reference is no number of these cells.
        assert found == {"PSNR": 21.5, "fid (N=100)": 2.0, "kid (N=100)": 7.0}
