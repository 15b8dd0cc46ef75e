"""What ``compare`` shows: sorting, filtering, marks, sections, and the shape of its JSON rows."""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from rich.console import Console

from tamingplat.engine import CurvePoint
from tamingplat.interfaces import ProblemsError
from tamingplat.report import TextTable, make_view, to_csv, to_json, to_latex, to_markdown, to_rich
from tamingplat.report.page.rates import rate_charts
from tamingplat.report.rate_distortion import rate_distortion
from tamingplat.stages import Column, Instrument, ResultRow, Results, Tuning

COLUMNS = (
    Column("nll", "nats/token", "lower", "Likelihood.", True),
    Column("rate", "bits/image", "", "Rate.", True),
    Column("fid (N=100)", "", "lower", "Distance.", True, ranks=False),
    Column("PSNR", "dB", "higher", "Error.", True),
    Column("codebook use", "", "higher", "Use.", False),
)
OF = {"nll": "prior", "rate": "prior", "fid (N=100)": "images", "PSNR": "tokenizer", "codebook use": "tokenizer"}


def _cells(
    prior: str, nll: Sequence[float], tokenizer: str = "vq", ordering: str = "raster", **changes: Any
) -> list[ResultRow]:
    fields: dict[str, Any] = {
        "kind": "cell",
        "dataset": "emoji",
        "tokenizer": tokenizer,
        "prior": prior,
        "ordering": ordering,
        "conditioner": "none",
        "sampler": "ancestral",
        "manifest": "made-up",
        "tokenizer_seed": 0,
        "evaluation": {"split": "validation", "reference": "train", "reference_hash": "R" * 64, "samples": 100},
        "cost": {"prior_parameters": 1.5e6},
    }
    rows = []
    for seed, value in enumerate(nll):
        metrics = {"nll": value, "rate": 100 * value, "fid (N=100)": 20 * value, "PSNR": 21.5, "codebook use": 0.5}
        rows.append(
            ResultRow(
                **{**fields, **changes},
                group=f"{prior} {tokenizer} {ordering}",
                seed=seed,
                metrics=metrics,
                instruments={name: Instrument(OF[name], "metric") for name in metrics},
                artifacts={"tokenizer": tokenizer, "prior": f"{prior} {tokenizer} {ordering} {seed}"},
                per_image={"PSNR": np.array([21.0, 22.0])},
            )
        )
    return rows


def _reference(kind: Any, tokenizer: str = "", **metrics: float) -> ResultRow:
    of = {name: Instrument("images", "metric") for name in metrics}
    artifacts = {"tokenizer": tokenizer} if tokenizer else {}
    return ResultRow(
        kind=kind,
        dataset="emoji",
        tokenizer=tokenizer,
        group=f"{kind} {tokenizer}",
        metrics=metrics,
        instruments=of,
        artifacts=artifacts,
        evaluation={"split": "validation", "reference": "train", "reference_hash": "R" * 64, "samples": 100},
        tokenizer_seed=0 if tokenizer else None,
    )


GPT = [3.0, 3.1, 2.9, 3.0, 3.05, 2.95]
ROWS = (
    *_cells("gpt", GPT),
    *_cells("gpt", [value + wiggle for value, wiggle in zip(GPT, [0.0201, -0.0199] * 3, strict=True)], ordering="z-curve"),
    *_cells("pixelsnail", [value + 0.5 + value / 100 for value in GPT]),
    *_cells("gpt-s[learning_rate=0.01,steps=5]", [4.0, 4.2], tokenizer="other"),
    _reference("real", **{"fid (N=100)": 1.0}),
    _reference("reconstruction", "vq", **{"fid (N=100)": 2.0}),
    _reference("reconstruction", "other", **{"fid (N=100)": 3.0}),
)
RESULTS = Results("made-up", ROWS, COLUMNS)


def _column(table: TextTable, heading: str) -> list[str]:
    return [line[table.headings.index(heading)] for line in table.lines]


def _shown(results: Results = RESULTS, **options: Any) -> list[tuple[str, str]]:
    lines = make_view(results, **options).lines
    return [(line.names["prior"] or line.kind, line.names["ordering"] or line.names["tokenizer"]) for line in lines]


REFERENCES = [("real", ""), ("reconstruction", "vq"), ("reconstruction", "other")]
VARIANT = ("gpt-s[learning_rate=0.01,steps=5]", "raster")


def test_lines_are_sorted_by_any_column_and_reference_rows_stay_last() -> None:
    ascending = [("gpt", "raster"), ("gpt", "z-curve"), ("pixelsnail", "raster"), VARIANT]
    assert _shown(sort="nll") == [*ascending, *REFERENCES]
    assert _shown(sort="nll:desc") == [*reversed(ascending[:3]), VARIANT, *REFERENCES], "each tokenizer apart"
    assert _shown(sort="fid") == [*ascending, *REFERENCES]
    assert [prior for prior, _ in _shown(sort="prior:desc")][:2] == ["pixelsnail", VARIANT[0]]
    without = replace(RESULTS, rows=tuple(replace(row, cost={}) if row.prior == "gpt" else row for row in ROWS))
    assert [prior for prior, _ in _shown(without, sort="prior_parameters:desc")][2:4] == ["gpt", "gpt"]


def _of_two_tokenizers() -> Results:
    """Likelihoods of two tokenizers that lie between each other."""
    rows = (
        *_cells("gpt", [3.05] * 2, "a"),
        *_cells("snail", [3.25] * 2, "a"),
        *_cells("gpt", [3.1] * 2, "b"),
        *_cells("snail", [2.05] * 2, "b"),
    )
    return replace(RESULTS, rows=rows)


@pytest.mark.parametrize("column", ["nll", "fid (N=100)"])
def test_lines_of_two_tokenizers_are_never_sorted_among_each_other(column: str) -> None:
    """Neither by what ranks them nor by what is shown and does not."""

    def shown(sort: str) -> list[str]:
        return [f"{line.names['tokenizer']}/{line.names['prior']}" for line in make_view(_of_two_tokenizers(), sort=sort).lines]

    assert shown(column) == ["a/gpt", "a/snail", "b/snail", "b/gpt"]
    assert shown(f"{column}:desc") == ["a/snail", "a/gpt", "b/gpt", "b/snail"]
    notes = make_view(_of_two_tokenizers(), sort=column).tables()[0].notes
    assert any(note.startswith(f"sorted by {column} among lines of the same tokenizer") for note in notes)
    # A rate compares tokenizers, and so do names and costs.
    assert shown("rate") == ["b/snail", "a/gpt", "b/gpt", "a/snail"]
    assert shown("prior") == ["a/gpt", "b/gpt", "a/snail", "b/snail"]
    assert not any(note.startswith("sorted by") for note in make_view(_of_two_tokenizers(), sort="rate").tables()[0].notes)


def test_what_is_not_to_be_ranked_is_sorted_behind_what_is() -> None:
    rows = (*_cells("gpt", [3.0]), *_cells("snail", [2.0], trained_on=("PSNR", "nll")), *_cells("other", [2.5]))
    results = replace(RESULTS, rows=rows)
    assert [prior for prior, _ in _shown(results, sort="nll")] == ["other", "gpt", "snail"]
    assert [prior for prior, _ in _shown(results, sort="fid")] == ["snail", "other", "gpt"]


def test_every_heading_that_is_printed_sorts_and_filters() -> None:
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
        for row in ROWS
    )
    more = replace(_cells("pixelsnail", [3.9])[0], tokenizer_seed=1, group="again", artifacts={"tokenizer": "again"})
    results = replace(RESULTS, rows=(*tuned, more))
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
    alone = replace(RESULTS, rows=(replace(_reference("reconstruction", "vq"), cost={"tokenizer_parameters": 5.0}),))
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
def test_lines_are_filtered_by_any_column(filters: list[str], expected: list[tuple[str, str]]) -> None:
    assert _shown(filters=filters) == expected


def test_a_filter_hides_lines_and_changes_no_verdict() -> None:
    whole, part = make_view(RESULTS), make_view(RESULTS, filters=["ordering=z-curve"])
    (line,) = (line for line in part.tables()[0].lines if "z-curve" in line)
    marked = [cell for cell in line if cell.endswith(" =")]
    assert len(marked) == 1 and part.rankings == whole.rankings
    rows = json.loads(to_json(part.everything, part.rankings, part.rows))
    assert {row["ordering"] for row in rows if row["kind"] == "cell"} == {"z-curve"}


def test_one_seed_can_be_looked_at_alone() -> None:
    view = make_view(RESULTS, filters=["seed=1"])
    assert {row.seed for row in view.rows if row.kind == "cell"} == {1}
    assert {comparison.verdict for ranking in view.rankings for comparison in ranking.comparisons} <= {"best", "undecided"}


def test_wrong_filters_and_columns_are_all_named_at_once() -> None:
    wrong = ["prio=gpt,nll<low,ordering<raster", "prior=gtp", "nll"]
    with pytest.raises(ProblemsError) as caught:
        make_view(RESULTS, filters=wrong, sort="nl:desc")
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


def test_places_in_a_ranking_are_marked_and_explained() -> None:
    table = make_view(RESULTS).tables()[0]
    nll = _column(table, "nll ↓")
    assert nll[0].endswith(" *") and nll[1].endswith(" =") and nll[2][-1].isdigit()
    # Alone with its tokenizer: there is nothing that it would be the best of.
    assert nll[3][-1].isdigit()
    assert all(cell[-1:].isdigit() for cell in _column(table, "fid (N=100) ↓"))
    notes = "\n".join(table.notes)
    assert "* best of its ranking, = not distinguishable from the best, no mark: worse" in notes
    assert "nll: ranked only among lines of the same tokenizer, which differ here" in notes
    assert "fid (N=100): shown and not ranked" in notes
    few = make_view(replace(RESULTS, rows=tuple(row for row in ROWS if not row.seed)))
    assert [cell[-1] for cell in _column(few.tables()[0], "nll ↓")[:3]] == ["*", "?", "?"]
    assert any("? undecided" in note for note in few.tables()[0].notes)


def test_json_rows_have_the_documented_shape() -> None:
    view = make_view(RESULTS)
    rows = json.loads(to_json(view.everything, view.rankings, view.rows))
    assert len(rows) == len(ROWS)
    names = ("dataset", "tokenizer", "prior", "ordering", "conditioner", "sampler", "status", "reason")
    for row in rows:
        assert all(isinstance(row[name], str) for name in names)
        assert row["seed"] is None or isinstance(row["seed"], int)
        assert row["status"] in ("done", "failed", "refused", "missing")
        for numbers in ("metrics", "cost"):
            assert all(isinstance(name, str) and isinstance(value, float) for name, value in row[numbers].items())
        assert not {"per_image", "curve"} & set(row)
    ranked = rows[6]["rankings"]["nll"]
    assert set(ranked) == {"difference", "interval", "adjusted_p", "seeds", "verdict", "basis", "held"}
    assert ranked["verdict"] == "tied" and ranked["held"]["split"] == "validation"
    assert rows[0]["instruments"]["nll"] == {"measures": "prior", "metric": "metric", "extractor": ""}


def test_csv_has_a_line_for_every_row_that_is_shown() -> None:
    view = make_view(RESULTS, filters=["prior=pixelsnail,kind=cell"])
    lines = list(csv.DictReader(io.StringIO(to_csv(view.everything, view.rankings, view.rows))))
    assert [line["seed"] for line in lines] == ["0", "1", "2", "3", "4", "5"] and "per_image" not in lines[0]
    assert float(lines[0]["fid (N=100)"]) == pytest.approx(20 * (3.5 + 0.03))


def test_csv_says_what_the_marks_of_the_table_say() -> None:
    busy = {"host": "h", "device": "cpu", "threads": 1, "contended": True}
    curve = tuple(CurvePoint("validation", step, step, float(step), step, {"total": 5.0}) for step in (10, 20))
    rows = [replace(row, machine={"training": busy}, curve=curve) if row.prior else row for row in ROWS]
    rows[0] = replace(rows[0], standard_errors={"fid (N=100)": 0.25})
    view = make_view(replace(RESULTS, rows=tuple(rows)))
    lines = list(csv.DictReader(io.StringIO(to_csv(view.everything, view.rankings, view.rows))))
    verdicts = {(line["prior"], line["ordering"]): line["nll: verdict"] for line in lines if line["kind"] == "cell"}
    assert list(verdicts.values()) == ["best", "tied", "worse", ""]
    assert [line["fid (N=100): standard error"] for line in lines[:2]] == ["0.25", ""]
    assert lines[0]["nll at equal time"] == "" and lines[0]["nll at equal time: reason"] == "contended"
    assert "fid (N=100): verdict" not in lines[0] and "PSNR: standard error" not in lines[0]


def test_latex_is_a_booktabs_table_in_which_nothing_is_left_to_escape() -> None:
    named = tuple(replace(row, prior=f"{row.prior}_{{&%$#~^\\≥") if row.prior == "gpt" else row for row in ROWS)
    text = to_latex(make_view(replace(RESULTS, rows=named), wide=True, sections=("differences",)).tables())
    for table in re.findall(r"\\begin\{tabular\}\{([lr]+)\}\n(.*?)\\end\{tabular\}", text, re.DOTALL):
        columns, body = table
        lines = [line for line in body.splitlines() if line.endswith(r"\\")]
        assert lines and body.startswith("\\toprule") and body.rstrip().endswith("\\bottomrule") and "\\midrule" in body
        for line in lines:
            plain = re.sub(r"\\text\w+\{\}|\\[&%$#_{}]|\$\\?\w+\$|\$[-<>]\$|\\dots\{\}", "", line.removesuffix(r"\\"))
            assert plain.count("&") == len(columns) - 1 and not set(plain) & set("\\%$#_{}~^≥±↓↑†−…"), plain
    assert text.count("\\begin{tabular}") == 3


def test_markdown_has_every_section_under_its_heading() -> None:
    text = to_markdown(make_view(RESULTS, sections=("differences",)).tables())
    assert text.startswith("| tokenizer |") and "### Rate and distortion" in text and "### Differences from the best" in text
    row = next(line for line in text.splitlines() if "pixelsnail" in line and "t interval over 6 seeds" in line)
    assert re.search(r"\| \+0\.530 \| \+0\.52\d+ … \+0\.53\d+ \| < 0\.001 \| 6 \| worse \|", row), row


def test_a_narrow_terminal_gets_the_columns_below_each_other() -> None:
    table = make_view(RESULTS).tables()[0]
    assert len(to_rich(table)) == 1
    parts = to_rich(table, 80)
    assert len(parts) > 1
    console = Console(width=80, file=io.StringIO(), color_system=None)
    for part in parts:
        console.print(part)
    assert isinstance(console.file, io.StringIO)
    lines = console.file.getvalue().splitlines()
    assert max(map(len, lines)) <= 80
    # A name is printed in one piece in every part.
    assert sum("pixelsnail" in line for line in lines) == len(parts)
    headings = {" ".join(str(column.header).split()) for part in parts for column in part.columns}
    assert headings == set(table.headings)


def test_settings_tried_and_averaged_weights_are_in_the_row() -> None:
    tuned = tuple(
        replace(row, tuning={"prior": Tuning(4, 3, "learning rates") if row.prior == "gpt" else Tuning(None, 2)})
        if row.kind == "cell"
        else row
        for row in ROWS
    )
    averaged = tuple(
        replace(row, machine={"ema": 0.999 if row.prior == "gpt" else None}) if row.prior else row for row in tuned
    )
    results = replace(RESULTS, rows=averaged)
    wide, narrow = make_view(results, wide=True).tables()[0], make_view(results).tables()[0]
    assert _column(wide, "prior settings tried")[:4] == ["6", "6", "≥ 2", "≥ 2"]
    assert _column(narrow, "EMA")[:4] == ["yes", "yes", "no", "no"]
    assert any("gpt: 6 settings tried: learning rates" in note for note in wide.notes)
    view = make_view(results)
    row = json.loads(to_json(view.everything, view.rankings, view.rows))[0]
    assert row["tuning"]["prior"] == {"declared": 4, "variants": 3, "note": "learning rates", "tried": 6}


def test_several_tokenizers_are_compared_by_rate_and_distortion() -> None:
    points = rate_distortion(RESULTS)
    assert [point.tokenizer_label for point in points] == ["vq", "vq", "vq", "other"]
    first = points[0]
    assert first.rate.mean == pytest.approx(300) and first.rate.seeds == 6 and not first.bound
    assert {name: value.mean for name, value in first.distortions.items()} == {"PSNR": 21.5, "fid (N=100)": 2.0}
    assert first.distances["fid (N=100)"].mean == pytest.approx(60)
    table = make_view(RESULTS).tables()[1]
    assert table.title == "Rate and distortion" and [line[0].split(" / ")[0] for line in table.lines][-1] == "other"
    one = replace(RESULTS, rows=tuple(row for row in ROWS if row.tokenizer != "other"))
    assert len(make_view(one).tables()) == 1
    assert len(make_view(one, sections=("rate-distortion",)).tables()) == 2


def _namesakes(**changes: Any) -> Results:
    """Two manifests that give the same names to different tokenizer artifacts."""
    one = _cells("gpt", [3.0])
    other = [
        replace(row, manifest="another", group="another", artifacts={"tokenizer": "T2", "prior": "P2"}, **changes)
        for row in _cells("gpt", [2.0])
    ]
    return replace(RESULTS, rows=(*one, *other))


def test_tokenizers_of_one_name_in_two_manifests_are_two() -> None:
    points = rate_distortion(_namesakes())
    assert [point.label for point in points] == ["made-up / vq", "another / vq"]
    assert [point.tokenizer_label for point in points] == ["made-up / vq", "another / vq"]
    tables = make_view(_namesakes()).tables()
    assert [table.title for table in tables][1:] == ["Rate and distortion"], "there are two tokenizers"
    assert [line[0] for line in tables[1].lines] == ["another / vq", "made-up / vq"], "the lower rate first"
    assert [chart.series[0].name for chart in rate_charts(points, COLUMNS)] == ["made-up / vq"] * 2
    assert {len(chart.series) for chart in rate_charts(points, COLUMNS)} == {2}


def test_tokenizer_seeds_are_series_of_their_own() -> None:
    seeds = [replace(row, manifest="made-up", tokenizer_seed=1) for row in _namesakes().rows[1:]]
    points = rate_distortion(replace(RESULTS, rows=(_namesakes().rows[0], *seeds)))
    charts = rate_charts(points, COLUMNS)
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
            {"evaluation": {"split": "validation", "reference": "train", "reference_hash": "S" * 64, "samples": 100}},
            [
                "Rate and PSNR of reconstructions",
                "Rate and fid (N=100) of samples, reference train #RRRRRRRR",
                "Rate and fid (N=100) of samples, reference train #SSSSSSSS",
            ],
        ),
    ],
)
def test_points_that_cannot_be_compared_are_in_charts_of_their_own(changes: dict[str, Any], titles: list[str]) -> None:
    points = rate_distortion(_namesakes(**changes))
    assert [chart.title for chart in rate_charts(points, COLUMNS) if "codebook" not in chart.title] == titles
    if "dataset" in changes:
        table = next(table for table in make_view(_namesakes(**changes)).tables() if table.title == "Rate and distortion")
        assert [line[1] for line in table.lines] == ["300", "200"], "the lower rate first among those of the same images alone"
        assert any("not to be compared" in note for note in table.notes)


def test_reconstructions_of_several_manifests_stand_beside_their_cells() -> None:
    def elsewhere(value: float, column: str, reference: str) -> ResultRow:
        row = _reference("reconstruction", "vq", **{column: value})
        evaluation = {**row.evaluation, "reference_hash": reference}
        return replace(row, manifest="another", group=f"another {column} {reference}", evaluation=evaluation)

    others = (
        elsewhere(7.0, "kid (N=100)", "R" * 64),
        elsewhere(8.0, "fid (N=100)", "R" * 64),
        elsewhere(9.0, "rkid (N=100)", "another split"),
    )
    own = tuple(replace(row, manifest="made-up") if row.kind == "reconstruction" else row for row in ROWS)
    columns = (*COLUMNS, *(Column(name, "", "lower", "Distance.", True) for name in ("kid (N=100)", "rkid (N=100)")))
    for rows in ((*own, *others), (*others, *own)):
        first = next(point for point in rate_distortion(Results("both", rows, columns)) if point.tokenizer_label == "vq")
        found = {name: value.mean for name, value in first.distortions.items()}
        # What its own manifest measured comes first; what was measured beside another reference is no number of these cells.
        assert found == {"PSNR": 21.5, "fid (N=100)": 2.0, "kid (N=100)": 7.0}
