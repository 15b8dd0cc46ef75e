"""The page's charts: learning curves, axes and the use of codebooks, from made-up numbers."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tamingplat.report.budgets import with_budgets
from tamingplat.report.learning_curves import learning_curves
from tamingplat.report.page.codebooks import CodebookUse, codebook_chart, read_codebooks
from tamingplat.report.page.curves import MOST_POINTS, curve_panels
from tamingplat.report.page.lines import make_table
from tamingplat.report.page.plot import BOTTOM, LEFT, RIGHT, TOP, Series, draw, make_axis, spread
from tamingplat.stages.encode import EncodeDataset


def test_learning_curves_are_drawn_against_four_quantities_and_thinned(page_results: ModuleType) -> None:
    table = make_table(with_budgets(page_results.RESULTS), [])
    (panel,) = curve_panels(learning_curves(page_results.RESULTS), table.lines)
    assert [drawing.name for drawing in panel.chart.drawings] == ["steps", "images", "seconds", "flops"]
    assert [one.name for one in panel.chart.series if one.name.startswith("gpt · raster")] == [
        "gpt · raster, seed 0",
        "gpt · raster, seed 1",
        "gpt · raster, mean",
    ]
    assert [one.name for one in panel.chart.series[-2:]] == ["gpt · raster, mean", "gpt · z-curve, mean"], "above the seeds"
    assert len(panel.chart.series) == 6 and len(panel.chart.legend()) == 2
    assert panel.chart.series[4].y[-1] == pytest.approx(3.1 + 1 / 1990) and not panel.chart.series[4].faint
    assert [bool(line.marks) for line in panel.chart.drawings[0].lines] == [False] * 4 + [True] * 2
    for one in panel.chart.series:
        assert len(one.y) == MOST_POINTS and "step 10," in one.texts[0] and "step 1990," in one.texts[-1]
    assert [row[0] for row in panel.equal.lines] == ["gpt · raster", "gpt · z-curve"]
    assert panel.equal.lines[0][2].startswith("3.1") and "±" in panel.equal.lines[0][2]
    assert [row[1] for row in panel.equal.lines] == ["2", "2"]
    script = panel.chart.script()["series"]
    assert {len(one["text"]) for one in script} == {MOST_POINTS} == {len(one["x"]["flops"]) for one in script}


def test_panels_of_two_manifests_with_the_same_names_are_told_apart(page_results: ModuleType) -> None:
    other = [
        replace(row, manifest="other", group="other", artifacts={"tokenizer": "v" * 64})
        for row in page_results.RESULTS.rows[:1]
    ]
    results = replace(page_results.RESULTS, rows=(*page_results.RESULTS.rows[:1], *other))
    panels = curve_panels(learning_curves(results), make_table(with_budgets(results), []).lines)
    assert [panel.equal.title.split(" at equal budgets, ")[1] for panel in panels] == [
        "made-up: emoji, codes of vqgan",
        "other: emoji, codes of vqgan",
    ]


def test_the_same_training_under_two_seeds_counts_once_in_a_mean(page_results: ModuleType) -> None:
    rows = (page_results.row("raster", 0, 3.0), page_results.row("raster", 1, 3.0), page_results.row("raster", 2, 3.6))
    results = replace(page_results.RESULTS, rows=rows)
    (panel,) = curve_panels(learning_curves(results), make_table(with_budgets(results), []).lines)
    assert panel.chart.series[-1].y[-1] == pytest.approx(3.3 + 1 / 1990)


@settings(max_examples=60, deadline=None)
@given(
    st.lists(
        st.floats(-1e9, 1e9, allow_nan=False).filter(lambda value: value == 0 or abs(value) > 1e-6), min_size=1, max_size=8
    ),
    st.sampled_from(["linear", "log"]),
)
def test_an_axis_holds_its_values_and_its_ticks(values: list[float], scale: Any) -> None:
    values = [abs(value) + 1e-3 for value in values] if scale == "log" else values
    axis = make_axis(values, "title", scale)
    assert all(-1e-9 <= axis.share(value) <= 1 + 1e-9 for value in values)
    assert axis.ticks and all(-1e-6 <= axis.share(tick.at) <= 1 + 1e-6 for tick in axis.ticks)
    assert [tick.at for tick in axis.ticks] == sorted({tick.at for tick in axis.ticks}) and len(axis.ticks) < 16
    assert len({tick.text for tick in axis.ticks}) == len(axis.ticks)


def test_points_lie_where_their_values_are() -> None:
    series = [Series("a", 0, (1.0, 2.0), ("first", "second"), (0.5, None))]
    drawing = draw(series, [[0.0, 10.0]], name="steps", label="steps", titles=("x", "y"), show=str)
    first, second = drawing.places[0]
    assert LEFT <= first.x < second.x <= RIGHT and TOP <= second.y < first.y <= BOTTOM
    assert first.low is not None and first.high is not None and first.high < first.y < first.low
    assert second.low is None
    assert first.x == pytest.approx(drawing.x_at(0.0), abs=0.1) and first.y == pytest.approx(drawing.y_at(1.0), abs=0.1)


@given(st.integers(0, 500), st.integers(2, 50))
def test_indices_are_spread_over_all(count: int, most: int) -> None:
    found = spread(count, most)
    assert len(found) == min(count, most) and found == sorted(set(found))
    assert count == 0 or (found[0], found[-1]) == (0, count - 1)


def test_codebook_use_is_counted_as_it_is_defined() -> None:
    use = CodebookUse("t", np.array([4, 4, 0, 0]), 2)
    assert use.used == 2 and use.perplexity == pytest.approx(2.0)
    chart = codebook_chart("codebooks-1", [use], "validation")
    assert chart is not None
    assert chart.values.lines == (("t", "4", "2", "50 %", "2", "50 %", "2"),)
    assert codebook_chart("codebooks-1", [], "validation") is None


class _Encoded(EncodeDataset):
    """Encoded images with a key of the test's own."""

    key = "K"  # type: ignore[assignment]


def test_every_grid_of_codes_has_a_codebook_of_its_own(tmp_path: Path) -> None:
    """Together, a collapsed grid would hide behind a used one."""
    codes = np.array([[[3, 0, 1, 2, 3]], [[3, 1, 0, 3, 2]]], dtype=np.uint8)
    np.save(tmp_path / "validation.npy", codes)
    record = {"result": {"grids": [[1, 1], [2, 2]], "vocab_size": 4}}
    artifact = SimpleNamespace(path=lambda name: tmp_path / name, details=record)
    builder: Any = None
    named: Any = SimpleNamespace(label="blobs", name="scales")
    plan: Any = SimpleNamespace(
        stages={"K": _Encoded(builder, named, named, ("validation",), 1)},
        manifest=SimpleNamespace(evaluate=SimpleNamespace(split="validation")),
    )
    store: Any = SimpleNamespace(find=lambda kind, key: artifact)
    uses = read_codebooks(plan, store)
    assert [(use.name, use.counts.tolist(), use.images) for use in uses] == [
        ("scales, grid 0 (1×1)", [2, 0, 0, 0], 2),
        ("scales, grid 1 (2×2)", [2, 2, 2, 2], 2),
    ]
