"""In which column a number stands: by the manifest that asks for it, never by what else was measured."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest

from tamingplat.manifest import ResolvedComponent
from tamingplat.stages import Column, Instrument, ResultRow, Results, join_results
from tamingplat.stages.measured import MeasuredColumns


def block(label: str, component: str, extractor: str = "vgg16") -> ResolvedComponent:
    """A block of a metric that names an extractor."""
    part = SimpleNamespace(component=SimpleNamespace(reference=f"feature_extractor:{extractor}"))
    made = SimpleNamespace(label=label, component=SimpleNamespace(reference=f"metric:{component}"), parts={"extractor": part})
    return cast(ResolvedComponent, made)


def item(name: str, *, ranks: bool = True) -> dict[str, Any]:
    return {"name": name, "unit": "", "better": "lower", "description": "What.", "headline": False, "ranks": ranks}


FEW, MORE = block("few", "precision-recall"), block("more", "precision-recall")


@pytest.mark.parametrize("measured", [(FEW, MORE), (MORE, FEW), (MORE,)])
def test_the_second_block_of_a_metric_has_columns_of_its_own_whatever_the_first_one_has(
    measured: tuple[ResolvedComponent, ...],
) -> None:
    columns = MeasuredColumns([FEW, MORE])
    names = {metric.label: columns.add(metric, item("precision")) for metric in measured}
    assert names["more"] == "precision [more]" and names.get("few", "precision") == "precision"
    assert {column.name for column in columns.all} == set(names.values())


def test_blocks_with_other_networks_have_names_of_their_own_already() -> None:
    one, other = block("kd", "kd", "classifier"), block("theirs", "kd", "st-vgg")
    columns = MeasuredColumns([one, other])
    assert columns.add(other, item("kd-st-vgg")) == "kd-st-vgg"
    assert columns.add(one, item("kd-classifier")) == "kd-classifier"


def test_one_name_of_two_metrics_is_of_one_of_them_in_the_whole_table() -> None:
    one, other = block("reconstruction", "reconstruction"), block("psnr", "psnr")
    columns = MeasuredColumns([one, other])
    # Of the first row the first metric failed; the columns of the second row are the same.
    assert [columns.add(metric, item("PSNR")) for metric in (other, one, other)] == ["PSNR", "PSNR [reconstruction]", "PSNR"]


@pytest.mark.parametrize("order", [(True, False), (False, True)])
def test_a_column_that_ranks_nothing_somewhere_ranks_nothing(order: tuple[bool, bool]) -> None:
    columns = MeasuredColumns([FEW])
    for ranks in order:
        columns.add(FEW, item("mine", ranks=ranks))
    (column,) = columns.all
    assert not column.ranks
    joined = join_results([Results(str(ranks), (), (Column("mine", "", "", "", True, ranks),)) for ranks in order])
    assert [one.ranks for one in joined.columns] == [False]


KID = "kid (subset=10, N=20)"


def measured_in(manifest: str, metric: str, value: float, *, seeds: int = 1, line: str = "line") -> Results:
    rows = [
        ResultRow(
            kind="cell",
            dataset="emoji",
            manifest=manifest,
            group=line,
            seed=seed,
            metrics={KID: value},
            sources={KID: f"{metric} {seed}"},
            standard_errors={KID: 0.1},
            instruments={KID: Instrument("images", metric, "inception")},
            per_image={KID: np.full(3, value)},
            trained_on=(KID,),
        )
        for seed in range(seeds)
    ]
    return Results(manifest, tuple(rows), (Column(KID, "", "lower", "What.", True),))


def test_a_line_that_two_manifests_measure_otherwise_keeps_both_numbers() -> None:
    first, other = measured_in("a", "10 subsets", 1.0), measured_in("b", "100 subsets", 2.0, seeds=2)
    joined = join_results([first, other])
    own = f"{KID} [b]"
    assert [column.name for column in joined.columns] == [KID, own]
    both, single = joined.rows
    assert both.metrics == {KID: 1.0, own: 2.0} and both.trained_on == (KID, own)
    assert both.sources == {KID: "10 subsets 0", own: "100 subsets 0"}
    assert both.instruments[own].metric == "100 subsets" and both.per_image[own].tolist() == [2.0] * 3
    # A seed that the second manifest alone has is no number of the first one's column.
    assert single.metrics == {own: 2.0}
    third = join_results([first, other, measured_in("b", "1000 subsets", 3.0)]).rows[0].metrics
    assert sorted(third.values()) == [1.0, 2.0, 3.0]


def test_equal_instruments_and_other_lines_share_a_column() -> None:
    first = measured_in("a", "10 subsets", 1.0)
    assert join_results([first, measured_in("b", "10 subsets", 1.0)]).rows[0].metrics == {KID: 1.0}
    elsewhere = join_results([first, measured_in("b", "100 subsets", 2.0, line="another")])
    assert [row.metrics for row in elsewhere.rows] == [{KID: 1.0}, {KID: 2.0}] and len(elsewhere.columns) == 1
