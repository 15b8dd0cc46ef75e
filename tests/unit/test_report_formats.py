"""How ``compare`` says it: marks and notes, JSON, CSV, LaTeX, Markdown and narrow terminals."""

from __future__ import annotations

import csv
import io
import json
import re
from dataclasses import replace
from types import ModuleType

import pytest
from rich.console import Console

from tamingplat.engine import CurvePoint
from tamingplat.report import TextTable, make_view, to_csv, to_json, to_latex, to_markdown, to_rich
from tamingplat.stages import Tuning


def _column(table: TextTable, heading: str) -> list[str]:
    return [line[table.headings.index(heading)] for line in table.lines]


def test_places_in_a_ranking_are_marked_and_explained(view_results: ModuleType) -> None:
    table = make_view(view_results.RESULTS).tables()[0]
    nll = _column(table, "nll ↓")
    assert nll[0].endswith(" *") and nll[1].endswith(" =") and nll[2][-1].isdigit()
    # Alone with its tokenizer: there is nothing that it would be the best of.
    assert nll[3][-1].isdigit()
    assert all(cell[-1:].isdigit() for cell in _column(table, "fid (N=100) ↓"))
    notes = "\n".join(table.notes)
    assert "* best of its ranking, = not distinguishable from the best, no mark: worse" in notes
    assert "nll: ranked only among lines of the same tokenizer, which differ here" in notes
    assert "fid (N=100): shown and not ranked" in notes
    few = make_view(replace(view_results.RESULTS, rows=tuple(row for row in view_results.ROWS if not row.seed)))
    assert [cell[-1] for cell in _column(few.tables()[0], "nll ↓")[:3]] == ["*", "?", "?"]
    assert any("? undecided" in note for note in few.tables()[0].notes)


def test_json_rows_have_the_documented_shape(view_results: ModuleType) -> None:
    view = make_view(view_results.RESULTS)
    rows = json.loads(to_json(view.everything, view.rankings, view.rows))
    assert len(rows) == len(view_results.ROWS)
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


def test_csv_has_a_line_for_every_row_that_is_shown(view_results: ModuleType) -> None:
    view = make_view(view_results.RESULTS, filters=["prior=pixelsnail,kind=cell"])
    lines = list(csv.DictReader(io.StringIO(to_csv(view.everything, view.rankings, view.rows))))
    assert [line["seed"] for line in lines] == ["0", "1", "2", "3", "4", "5"] and "per_image" not in lines[0]
    assert float(lines[0]["fid (N=100)"]) == pytest.approx(20 * (3.5 + 0.03))


def test_csv_says_what_the_marks_of_the_table_say(view_results: ModuleType) -> None:
    busy = {"host": "h", "device": "cpu", "threads": 1, "contended": True}
    curve = tuple(CurvePoint("validation", step, step, float(step), step, {"total": 5.0}) for step in (10, 20))
    rows = [replace(row, machine={"training": busy}, curve=curve) if row.prior else row for row in view_results.ROWS]
    rows[0] = replace(rows[0], standard_errors={"fid (N=100)": 0.25})
    view = make_view(replace(view_results.RESULTS, rows=tuple(rows)))
    lines = list(csv.DictReader(io.StringIO(to_csv(view.everything, view.rankings, view.rows))))
    verdicts = {(line["prior"], line["ordering"]): line["nll: verdict"] for line in lines if line["kind"] == "cell"}
    assert list(verdicts.values()) == ["best", "tied", "worse", ""]
    assert [line["fid (N=100): standard error"] for line in lines[:2]] == ["0.25", ""]
    assert lines[0]["nll at equal time"] == "" and lines[0]["nll at equal time: reason"] == "contended"
    assert "fid (N=100): verdict" not in lines[0] and "PSNR: standard error" not in lines[0]


def test_latex_is_a_booktabs_table_in_which_nothing_is_left_to_escape(view_results: ModuleType) -> None:
    named = tuple(replace(row, prior=f"{row.prior}_{{&%$#~^\\≥") if row.prior == "gpt" else row for row in view_results.ROWS)
    text = to_latex(make_view(replace(view_results.RESULTS, rows=named), wide=True, sections=("differences",)).tables())
    for table in re.findall(r"\\begin\{tabular\}\{([lr]+)\}\n(.*?)\\end\{tabular\}", text, re.DOTALL):
        columns, body = table
        lines = [line for line in body.splitlines() if line.endswith(r"\\")]
        assert lines and body.startswith("\\toprule") and body.rstrip().endswith("\\bottomrule") and "\\midrule" in body
        for line in lines:
            plain = re.sub(r"\\text\w+\{\}|\\[&%$#_{}]|\$\\?\w+\$|\$[-<>]\$|\\dots\{\}", "", line.removesuffix(r"\\"))
            assert plain.count("&") == len(columns) - 1 and not set(plain) & set("\\%$#_{}~^≥±↓↑†−…"), plain
    assert text.count("\\begin{tabular}") == 3


def test_markdown_has_every_section_under_its_heading(view_results: ModuleType) -> None:
    text = to_markdown(make_view(view_results.RESULTS, sections=("differences",)).tables())
    assert text.startswith("| tokenizer |") and "### Rate and distortion" in text and "### Differences from the best" in text
    row = next(line for line in text.splitlines() if "pixelsnail" in line and "t interval over 6 seeds" in line)
    assert re.search(r"\| \+0\.530 \| \+0\.52\d+ … \+0\.53\d+ \| < 0\.001 \| 6 \| worse \|", row), row


def test_a_narrow_terminal_gets_the_columns_below_each_other(view_results: ModuleType) -> None:
    table = make_view(view_results.RESULTS).tables()[0]
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


def test_settings_tried_and_averaged_weights_are_in_the_row(view_results: ModuleType) -> None:
    tuned = tuple(
        replace(row, tuning={"prior": Tuning(4, 3, "learning rates") if row.prior == "gpt" else Tuning(None, 2)})
        if row.kind == "cell"
        else row
        for row in view_results.ROWS
    )
    averaged = tuple(
        replace(row, machine={"ema": 0.999 if row.prior == "gpt" else None}) if row.prior else row for row in tuned
    )
    results = replace(view_results.RESULTS, rows=averaged)
    wide, narrow = make_view(results, wide=True).tables()[0], make_view(results).tables()[0]
    assert _column(wide, "prior settings tried")[:4] == ["6", "6", "≥ 2", "≥ 2"]
    assert _column(narrow, "EMA")[:4] == ["yes", "yes", "no", "no"]
    assert any("gpt: 6 settings tried: learning rates" in note for note in wide.notes)
    view = make_view(results)
    row = json.loads(to_json(view.everything, view.rankings, view.rows))[0]
    assert row["tuning"]["prior"] == {"declared": 4, "variants": 3, "note": "learning rates", "tried": 6}
