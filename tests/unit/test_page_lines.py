"""The page's tables: lines with their details, rankings, and what is not done, from made-up results."""

from __future__ import annotations

from dataclasses import replace
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

from tamingplat.report.budgets import with_budgets
from tamingplat.report.page.details import make_details
from tamingplat.report.page.lines import make_table
from tamingplat.report.page.provenance import Environment, MadeStage, Provenance, stage_keys
from tamingplat.report.page.remarks import unfinished
from tamingplat.report.page.verdicts import ranking_tables
from tamingplat.report.ranking import rankings
from tamingplat.stages import ResultRow, Tuning


def test_lines_bear_what_they_are_sorted_by_and_where_they_stand(page_results: ModuleType) -> None:
    results, ranking = page_results.RESULTS, page_results.RANKING
    table = make_table(with_budgets(results), [ranking])
    assert [line.summary.kind for line in table.references] == ["real"]
    column = [heading.label for heading in table.headings].index("nll")
    cells = [line.cells[column] for line in table.lines]
    assert [cell.verdict for cell in cells] == ["best", "undecided", "", ""]
    assert [cell.sort for cell in cells] == [pytest.approx(3.1), pytest.approx(3.6), None, None]
    assert cells[0].text == "3.100 ± 0.10" and cells[2].text == ""
    assert ("ordering", ("raster", "z-curve", page_results.HOSTILE, "subsample")) in table.filters
    assert len({line.anchor for line in table.all}) == len(table.all)
    # The address of a line stays when other lines come and go.
    fewer = make_table(with_budgets(replace(results, rows=results.rows[2:])), [])
    assert fewer.lines[0].anchor == table.lines[1].anchor


def test_a_line_is_headed_by_what_tells_it_from_the_others(page_results: ModuleType) -> None:
    results, ranking = page_results.RESULTS, page_results.RANKING
    table = make_table(with_budgets(results), [ranking])
    assert [line.cells[0].text for line in table.lines] == ["raster", "z-curve", page_results.HOSTILE, "subsample"]
    assert [line.cells[0].text for line in table.references] == ["(real)"]
    assert table.shared == "emoji · vqgan · gpt · ancestral"
    both = replace(results, rows=(*results.rows[:4], *(replace(row, prior="snail", group="snail") for row in results.rows[:2])))
    headed = [line.cells[0].text for line in make_table(with_budgets(both), []).lines]
    assert headed == ["gpt · raster", "gpt · z-curve", "snail · raster"]
    alone = replace(results, rows=results.rows[:2])
    assert [line.cells[0].text for line in make_table(with_budgets(alone), []).lines] == ["vqgan · gpt"]


def test_every_number_is_sorted_among_those_that_it_may_be_compared_with(page_results: ModuleType) -> None:
    made, distance = page_results.RESULTS, page_results.FD.name
    other = [
        replace(row, tokenizer="vq", group=f"vq {row.ordering}", artifacts={"tokenizer": "v" * 64}) for row in made.rows[:4]
    ]
    marked = [replace(row, group="marked", trained_on=("nll", distance)) for row in made.rows[:1]]
    results = replace(made, rows=(*made.rows[:4], *marked, *other))
    ranked = rankings(results)
    table = make_table(with_budgets(results), ranked)
    for name in ("nll", distance):
        at = [heading.label for heading in table.headings].index(name)
        assert [line.cells[at].pool for line in table.lines] == [1, 1, 3, 2, 2], name
        heading = table.headings[at]
        assert heading.pools == 3 and heading.split_by[0] == "tokenizer" and "relative" in heading.split_by[-1]
    assert not any(ranking.column.name == distance for ranking in ranked), "it has no ranking, and is not sorted freely"


def test_settings_tried_are_told_as_they_are_known(page_results: ModuleType) -> None:
    tuned = [Tuning(4, 1), Tuning(None, 2), None]
    rows = tuple(
        replace(page_results.row(f"order-{at}", 0, 3.0), tuning={} if tuning is None else {"prior": tuning})
        for at, tuning in enumerate(tuned)
    )
    table = make_table(with_budgets(replace(page_results.RESULTS, rows=rows)), [])
    at = [heading.label for heading in table.headings].index("settings tried")
    assert [(line.cells[at].text, line.cells[at].sort) for line in table.lines] == [
        ("4", 4.0),
        ("≥ 2", 2.0),
        ("not stated", None),
    ]
    provenance = Provenance((), {})
    details = make_details(table, (), {}, provenance, {}, {})
    assert [dict(detail.facts).get("settings of the prior") for detail in details] == ["4 tried", "≥ 2 tried", None]


def test_details_say_what_every_seed_ran_on_and_was_made_with(page_results: ModuleType) -> None:
    def on(seed: int, host: str) -> ResultRow:
        row = page_results.row("raster", seed, 3.0)
        return replace(row, machine={"training": {**row.machine["training"], "host": host}})

    environments = tuple(
        Environment(at, f"commit {at}", "3.11", "linux", (("torch", "2.5"), ("numpy", "2"))) for at in (1, 2, 3)
    )
    made = {f"raster {seed}": MadeStage("k", "k", "train_prior", "p", "now", "vm", seed + 1, "run") for seed in range(2)}
    stages: Any = {key: SimpleNamespace(inputs=()) for key in made}
    table = make_table(with_budgets(replace(page_results.RESULTS, rows=(on(0, "one"), on(1, "two")))), [])
    (detail,) = make_details(table, (), stages, Provenance(environments, made), {}, {})
    assert dict(detail.facts)["training ran on"] == "one, cpu, 1 thread (seed 0); two, cpu, 1 thread (seed 1)"
    assert [one.commit for one in detail.environments] == ["commit 1", "commit 2"]
    assert environments[0].headlines == (("torch", "2.5"),)
    same = make_table(with_budgets(replace(page_results.RESULTS, rows=(on(0, "one"), on(1, "one")))), [])
    (detail,) = make_details(same, (), stages, Provenance(environments, made), {}, {})
    assert dict(detail.facts)["training ran on"] == "one, cpu, 1 thread"


def test_a_row_of_several_manifests_rests_on_the_stages_of_all(page_results: ModuleType) -> None:
    row = page_results.row("raster", 0, 3.0, sources={"nll": "of the first", "fd-st-vgg (N=32)": "of the second"})
    stages: Any = {
        "of the first": SimpleNamespace(inputs=()),
        "of the second": SimpleNamespace(inputs=(SimpleNamespace(key="features"),)),
        "features": SimpleNamespace(inputs=()),
        "of nobody": SimpleNamespace(inputs=()),
    }
    assert set(stage_keys(row, stages)) == {"of the first", "of the second", "features"}


def test_what_is_not_done_is_listed_with_its_reason(page_results: ModuleType) -> None:
    found = unfinished(make_table(with_budgets(page_results.RESULTS), []).all)
    assert [(one.status, one.reason) for one in found] == [
        ("failed", f"OSError: {page_results.HOSTILE}"),
        ("refused", f"no order: {page_results.HOSTILE}"),
    ]


def test_a_ranking_shows_differences_with_their_intervals(page_results: ModuleType) -> None:
    results, ranking = page_results.RESULTS, page_results.RANKING
    (table,) = ranking_tables([ranking], make_table(with_budgets(results), [ranking]).all)
    best, other = table.lines
    assert (best.verdict, best.difference, best.interval) == ("best", "", "")
    assert (other.difference, other.interval, other.p) == ("+0.500", "−0.100 … +1.10", "< 0.001")
    picture = other.picture
    assert picture.low is not None and picture.high is not None
    assert picture.low < picture.none == best.picture.at < picture.at < picture.high


def test_rankings_of_namesakes_are_told_apart(page_results: ModuleType) -> None:
    held = [{"tokenizer": f"vq (seed 0) #{letter * 8}"} for letter in "ab"]
    two = [replace(page_results.RANKING, held=one, split_by=("tokenizer",)) for one in held]
    lines = make_table(with_budgets(page_results.RESULTS), [page_results.RANKING]).all
    assert [table.apart for table in ranking_tables(two, lines)] == [
        "tokenizer vq (seed 0) #aaaaaaaa",
        "tokenizer vq (seed 0) #bbbbbbbb",
    ]
    assert [table.apart for table in ranking_tables(two[:1], lines)] == ["tokenizer vq (seed 0)"]
