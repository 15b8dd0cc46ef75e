"""How many times as fast images are sampled as with the most codes to an image."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tamingplat.report import (
    PublishedTable,
    asks_for_speed_ups,
    load_published,
    make_view,
    published_table,
    to_csv,
    with_speed_ups,
)
from tamingplat.stages import ResultRow, Results

FIGURE = Path(__file__).parents[2] / "experiments" / "references" / "taming-fig7.toml"
SAMPLING = {"host": "here", "device": "cpu", "dtype": "float32", "threads": 1, "processes": 1, "decode_included": True}


def _row(tokenizer: str, codes: int, speed: float, **changes: Any) -> ResultRow:
    """A cell that samples ``speed`` images of ``codes`` codes a second; 0 for one without samples."""
    cost = {"samples_per_second": speed, "sampled_tokens_per_second": speed * codes, "sampling_batch_size": 32.0}
    settings: dict[str, Any] = {
        "kind": "cell",
        "manifest": "context",
        "dataset": "emoji",
        "tokenizer": tokenizer,
        "prior": "gpt",
        "ordering": "raster",
        "conditioner": "none",
        "sampler": "window",
        "components": {"tokenizer": tokenizer.split("-")[0], "prior": "gpt"},
        "seed": 0,
        "tokenizer_seed": 0,
        "status": "done" if speed else "missing",
        "cost": cost if speed else {},
        "machine": {"sampling": SAMPLING} if speed else {},
        "settings": {"decoding": "same"},
        **changes,
    }
    return ResultRow(**settings)


def _results(*rows: ResultRow) -> Results:
    return Results("context", rows, ())


def _speed_ups(*rows: ResultRow) -> list[float | None]:
    return [row.cost.get("sampling_speed_up") for row in with_speed_ups(_results(*rows)).rows]


KMEANS, F2, F8 = _row("kmeans-f1", 4096, 0.5), _row("vqgan-f2", 1024, 2.0), _row("vqgan-f8", 64, 40.0)


def test_every_speed_is_divided_by_that_of_the_most_codes_to_an_image() -> None:
    assert _speed_ups(F2, KMEANS, F8) == [4.0, 1.0, 80.0]
    # Of one manifest, one data set and one seed each.
    elsewhere = {"manifest": "elsewhere"}
    assert _speed_ups(KMEANS, _row("vqgan-f2", 1024, 2.0, **elsewhere), _row("vqgan-f8", 64, 40.0, **elsewhere)) == [
        None,
        1,
        20,
    ]
    seeds = _row("kmeans-f1", 4096, 0.25, seed=1), _row("vqgan-f2", 1024, 3.0, seed=1)
    assert _speed_ups(KMEANS, F2, *seeds) == [1, 4, 1, 12]


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"settings": {"decoding": "another"}}, "sampled with another sampler setting than kmeans-f1"),
        ({"machine": {"sampling": SAMPLING | {"device": "cuda", "threads": 2}}}, "another device and number of threads than"),
        ({"machine": {"sampling": SAMPLING | {"dtype": "bfloat16"}}}, "another dtype than kmeans-f1"),
        ({"machine": {"sampling": SAMPLING | {"host": "elsewhere"}}}, "sampled with another host than kmeans-f1"),
        ({"prior": "pixelsnail"}, "kmeans-f1, which has the most codes to an image, was not sampled with the same prior"),
    ],
)
def test_a_row_that_was_sampled_otherwise_has_a_note_in_place_of_a_number(changes: dict[str, Any], words: str) -> None:
    rows = with_speed_ups(_results(KMEANS, _row("vqgan-f2", 1024, 2.0, **changes), F8)).rows
    assert "sampling_speed_up" not in rows[1].cost
    assert len(rows[1].notes) == 1 and words in rows[1].notes[0] and rows[1].notes[0].startswith("no speed-up: ")
    assert rows[2].cost["sampling_speed_up"] == 80 and rows[2].notes == ()


def test_nothing_is_divided_while_the_baseline_may_be_missing() -> None:
    rows = with_speed_ups(_results(_row("kmeans-f1", 4096, 0), F2, F8)).rows
    assert all("sampling_speed_up" not in row.cost for row in rows)
    assert rows[0].notes == () and all("nothing was sampled yet with kmeans-f1" in row.notes[0] for row in rows[1:])
    assert _speed_ups(F2) == [None] and _speed_ups(F2, _row("vqgan-f4", 1024, 3.0)) == [None, None]
    # What can never be sampled keeps nobody waiting.
    assert _speed_ups(_row("kmeans-f1", 4096, 0, status="refused"), F2, F8) == [None, 1, 20]


def test_the_column_stands_in_the_table_and_beside_the_published_figure() -> None:
    published = load_published(FIGURE)
    assert isinstance(published, PublishedTable) and asks_for_speed_ups([published])
    assert not asks_for_speed_ups([load_published(FIGURE.with_name("taming-tab1.toml"))])
    results = with_speed_ups(_results(KMEANS, F2, F8))
    table = make_view(results).tables()[0]
    at = table.headings.index("speed-up")
    assert [line[at] for line in table.lines] == ["1×", "4×", "80×"]
    assert "speed-up" not in make_view(_results(KMEANS, F2, F8)).tables()[0].headings
    view = make_view(results)
    assert "sampling_speed_up" in to_csv(view.everything, view.rankings, view.rows).splitlines()[0]

    ours = [line for line in published_table(published, view.lines).lines if line[0].startswith("ours: ")]
    assert [tuple(filter(None, line)) for line in ours] == [("ours: emoji", "1", "4"), ("ours: emoji, vqgan-f8", "80")]
