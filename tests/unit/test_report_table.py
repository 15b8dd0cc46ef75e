"""The comparison table in every format, from made-up results."""

from __future__ import annotations

import csv
import io
import json
import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from rich.console import Console

from tamingplat.interfaces import ProblemsError
from tamingplat.report import (
    Collected,
    PublishedTable,
    Strip,
    TextTable,
    count,
    draw_strips,
    duration,
    load_published,
    make_view,
    number,
    published_table,
    summarise,
    to_csv,
    to_json,
    to_latex,
    to_markdown,
    to_rich,
)
from tamingplat.report.published import CAUTION, our_lines
from tamingplat.stages import Column, ResultRow, Results

REFERENCES = Path(__file__).parents[2] / "experiments" / "references"

COLUMNS = (
    Column("nll", "nats/token", "lower", "Validation NLL.", True),
    Column("fd-st-vgg (N=320)", "", "lower", "Distance.", True),
    Column("train nll", "nats/token", "lower", "Train NLL.", False),
)


def _row(prior: str, ordering: str, seed: int, nll: float, **changes: object) -> ResultRow:
    settings: dict[str, object] = {
        "kind": "cell",
        "dataset": "emoji",
        "tokenizer": "vqgan_f4",
        "prior": prior,
        "ordering": ordering,
        "conditioner": "none",
        "sampler": "ancestral",
        "components": {"tokenizer": "vqgan", "prior": prior.split("-")[0], "ordering": ordering},
        "seed": seed,
        "tokenizer_seed": 0,
        "metrics": {"nll": nll, "fd-st-vgg (N=320)": 10 * nll, "train nll": nll / 2},
        "cost": {"prior_parameters": 1.5e6, "prior_training_seconds": 70.0, "samples_per_second": 12.5},
        **changes,
    }
    return ResultRow(**settings)  # type: ignore[arg-type]


def _results(*rows: ResultRow) -> Results:
    return Results("made-up", rows, COLUMNS)


def _text(results: Results, *, wide: bool = False) -> str:
    console = Console(width=220, file=io.StringIO(), color_system=None)
    for table in make_view(results, wide=wide).tables():
        for part in to_rich(table):
            console.print(part)
        for note in table.notes:
            console.print(note)
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def test_seeds_become_a_mean_with_its_standard_error() -> None:
    rows = summarise(_results(*(_row("gpt", "raster", seed, nll) for seed, nll in enumerate([3.0, 4.0, 5.0]))))
    assert len(rows) == 1
    value = rows[0].metrics["nll"]
    assert (value.mean, value.seeds) == (4.0, 3)
    assert value.standard_error == pytest.approx(1 / math.sqrt(3))
    assert summarise(_results(_row("gpt", "raster", 0, 3.0)))[0].metrics["nll"].standard_error is None


def test_tokenizer_artifacts_are_never_averaged_over() -> None:
    rows = summarise(_results(_row("gpt", "raster", 0, 3.0), _row("gpt", "raster", 0, 5.0, tokenizer_seed=1)))
    assert [row.metrics["nll"].mean for row in rows] == [3.0, 5.0]


def test_the_narrow_table_shows_headlines_and_names_that_differ() -> None:
    text = _text(_results(_row("gpt", "raster", 0, 3.21), _row("pixelsnail", "raster", 0, 3.5)))
    assert "pixelsnail" in text and "3.210" in text and "nll ↓" in text and "1 min 10 s" in text and "1.50 M" in text
    assert "train nll" not in text and "raster" not in text and "emoji" not in text
    assert "cannot be told from noise" in text
    wide = _text(_results(_row("gpt", "raster", 0, 3.21)), wide=True)
    assert "train nll" in wide and "raster" in wide and "emoji" in wide


def test_what_is_not_done_says_why() -> None:
    text = _text(
        _results(
            _row("gpt", "raster", 0, 3.0),
            _row("gpt", "z-curve", 0, 3.0, status="failed", reason="ran out of memory", metrics={}),
            _row("gpt", "subsample", 0, 3.0, status="refused", reason="needs a square", metrics={}),
        )
    )
    assert "failed" in text and "ran out of memory" in text and "refused" in text and "needs a square" in text


def test_a_metric_that_the_tokenizer_was_trained_on_is_marked() -> None:
    text = _text(_results(_row("gpt", "raster", 0, 3.0, trained_on=("fd-st-vgg (N=320)",))))
    assert "30 †" in text and "not to be ranked" in text


def test_reference_rows_carry_their_name() -> None:
    real = ResultRow(kind="real", dataset="emoji", metrics={"fd-st-vgg (N=320)": 1.5})
    reconstruction = ResultRow(kind="reconstruction", dataset="emoji", tokenizer="vqgan_f4", metrics={"fd-st-vgg (N=320)": 2.5})
    text = _text(_results(_row("gpt", "raster", 0, 3.0), real, reconstruction))
    assert "(real)" in text and "(reconstruction)" in text


def test_json_and_csv_have_a_row_for_every_seed() -> None:
    results = _results(_row("gpt", "raster", 0, 3.0), _row("gpt", "raster", 1, 4.0), _row("gpt", "z-curve", 0, 5.0))
    view = make_view(results)
    rows = json.loads(to_json(view.everything, view.rankings, view.rows))
    assert [row["seed"] for row in rows] == [0, 1, 0]
    for name in ("dataset", "tokenizer", "prior", "ordering", "conditioner", "sampler", "status", "reason", "metrics", "cost"):
        assert name in rows[0]
    lines = list(csv.DictReader(io.StringIO(to_csv(view.everything, view.rankings, view.rows))))
    assert [float(line["nll"]) for line in lines] == [3.0, 4.0, 5.0]
    assert lines[0]["prior_parameters"] == "1500000.0"


def test_markdown_and_latex_escape_what_users_named() -> None:
    results = _results(_row("gpt|x", "raster", 0, 3.0))
    tables = make_view(results).tables()
    markdown = to_markdown(tables).splitlines()
    assert "gpt\\|x" in markdown[2]
    assert len({line.replace("\\|", "").count("|") for line in markdown[:3]}) == 1
    latex = to_latex(tables)
    assert r"vqgan\_f4" in latex and r"$\downarrow$" in latex and r"\toprule" in latex


HOSTILE = [
    "[x](http://y)",
    "*a*",
    "_b_",
    "__c__ d",
    "<b>e</b>",
    "&amp;",
    "`f` \\`",
    "~~g~~",
    "\\|h|\\",
    "- i",
    "1. j",
    "# k #",
    "$l$",
    "a_b < 3 *",
]
CHARACTERS = st.text("\\`*_<>[]()&;#|~-+=!.:1a b\n", max_size=12)


def _shown(markdown: str) -> list[str]:
    """What stands in each cell and each item of a list."""
    from markdown_it import MarkdownIt

    inline = [token for token in MarkdownIt().enable(["table", "strikethrough"]).parse(markdown) if token.type == "inline"]
    for token in inline:
        assert all(child.type in ("text", "text_special") for child in token.children or ()), token.content
    return ["".join(child.content for child in token.children or ()) for token in inline]


@given(st.sampled_from(HOSTILE) | CHARACTERS, st.sampled_from(HOSTILE) | CHARACTERS)
@settings(max_examples=150, deadline=None)
def test_markdown_shows_labels_and_notes_as_they_are(label: str, note: str) -> None:
    table = TextTable("t", (f"h {label}", "n"), ((label, "1"),), 1, notes=(f"note {note}", note))
    expected = [f"h {label}", "n", label, "1", f"note {note}", *([note] if note.strip() else [])]
    assert _shown(to_markdown([table])) == [" ".join(text.splitlines()).strip() for text in expected]


@pytest.mark.parametrize("label", ["[1pt]", "*", " [x", "*a"])
def test_a_first_cell_is_no_argument_of_a_line_break_in_latex(label: str) -> None:
    lines = to_latex([TextTable("t", (label, "n"), ((label, "1"), (label, "2")), 1, notes=("a\n\\input{b}",))]).splitlines()
    assert sum(line.startswith("{}") for line in lines) == 3
    assert not any(line.lstrip().startswith(("[", "*", "\\input")) for line in lines) and lines[-1] == "% a \\input{b}"


@pytest.mark.parametrize("path", sorted(REFERENCES.glob("*.toml")), ids=lambda path: path.stem)
def test_every_shipped_table_of_published_figures_loads(path: Path) -> None:
    published = load_published(path)
    assert published.source and published.url and published.row
    if isinstance(published, PublishedTable):
        assert len(published.variants()) > 1


def test_published_figures_stand_above_ours_in_their_columns() -> None:
    published = load_published(REFERENCES / "taming-fig30.toml")
    assert isinstance(published, PublishedTable)
    results = _results(_row("gpt", "raster", 0, 3.0), _row("gpt", "z-curve", 0, 3.25), _row("gpt", "made-up", 0, 9.0))
    table = published_table(published, summarise(results))
    (theirs, ours) = table.lines
    at = table.headings.index("z-curve")
    assert theirs[0].startswith("published: ") and "4.767" in theirs and theirs[at] == "4.81"
    assert ours[0].startswith("ours: ") and ours[at] == "3.250"
    assert "9.0" not in str(table) and CAUTION in table.notes


def test_published_figures_are_in_every_layout_and_beside_the_lines_that_are_shown() -> None:
    published = load_published(REFERENCES / "taming-fig30.toml")
    assert isinstance(published, PublishedTable)
    rows = [_row(prior, "raster", 0, nll) for prior, nll in (("gpt", 3.25), ("pixelsnail", 4.5))]
    sizes = TextTable("Published sizes", ("published as", "here"), (("RIN", "gpt"),), 2)
    collected = Collected(_results(*rows), (published,), (sizes,))
    tables = make_view(collected).tables()
    assert [table.title for table in tables[1:]] == [published.heading, "Published sizes"]
    for text in (to_markdown(tables), to_latex(tables)):
        assert "4.767" in text and "ours: gpt" in text and "ours: pixelsnail" in text and CAUTION in text and "RIN" in text
    few = to_markdown(make_view(collected, filters=["prior=gpt"]).tables())
    assert "ours: " in few and "3.250" in few and "4.500" not in few, "what is filtered out is not among ours"


def test_our_lines_of_two_manifests_with_the_same_names_are_told_apart() -> None:
    published = load_published(REFERENCES / "taming-fig30.toml")
    assert isinstance(published, PublishedTable)
    rows = [_row("gpt", "raster", 0, 3.0 + at, manifest=name, group=name) for at, name in enumerate(("one", "two"))]
    assert [line.label for line in our_lines(published, summarise(_results(*rows)))] == ["one: emoji", "two: emoji"]
    assert [line.label for line in our_lines(published, summarise(_results(rows[0])))] == ["emoji"]


def test_a_variant_at_another_budget_has_our_figure_at_that_budget() -> None:
    published = load_published(REFERENCES / "taming-tab1.toml")
    at_time = {"nll": 3.0, "nll at equal time": 3.5}
    row = _row("gpt", "raster", 0, 3.0, metrics=at_time)
    assert isinstance(published, PublishedTable)
    (line,) = our_lines(published, summarise(_results(row, _row("pixelsnail", "raster", 0, 3.25))))
    assert {name: mean for name, (mean, _) in line.values.items()} == {"gpt": 3.0, "gpt-equal-time": 3.5, "pixelsnail": 3.25}


def test_a_wrong_table_of_published_figures_names_every_fault(tmp_path: Path) -> None:
    path = tmp_path / "wrong.toml"
    path.write_text('schema = 1\ntitle = "x"\nsource = "y"\naxis = "colour"\nrow = []\n')
    with pytest.raises(ProblemsError) as caught:
        load_published(path)
    text = str(caught.value)
    assert "axis" in text and "metric" in text and "row" in text and str(path) in text
    path.write_text("schema = ")
    with pytest.raises(ProblemsError, match="cannot be read"):
        load_published(path)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0, "0"),
        (12, "12"),
        (3.14159, "3.142"),
        (123456.7, "123457"),
        (1.5e9, "1.5e+09"),
        (0.0123456, "0.01235"),
        (0.5, "0.5000"),
        (2e-5, "2e-05"),
    ],
)
def test_numbers_are_short_and_exact(value: float, text: str) -> None:
    assert number(value) == text


def test_counts_and_durations_read_as_people_say_them() -> None:
    assert count(307_000_000) == "307 M" and count(999) == "999"
    assert duration(4.21) == "4.2 s" and duration(190) == "3 min 10 s" and duration(7500) == "2 h 5 min"


def test_a_grid_shows_every_image_where_it_belongs(tmp_path: Path) -> None:
    colours = np.array([[255, 0, 0], [0, 255, 0], [0, 0, 255]], dtype=np.uint8)
    images = np.broadcast_to(colours[:, :, None, None], (3, 3, 8, 8))
    path = tmp_path / "folder" / "grid.png"
    draw_strips([Strip("colours", images), Strip("gray", np.full((2, 1, 8, 8), 128, np.uint8))], path, columns=3)
    pixels = np.asarray(Image.open(path).convert("RGB")).reshape(-1, 3)
    for colour in (*colours, np.array([128, 128, 128])):
        assert (np.abs(pixels.astype(int) - colour).sum(-1) < 4).sum() > 200
    assert [entry.name for entry in path.parent.iterdir()] == ["grid.png"]
