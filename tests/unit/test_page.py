"""The HTML page: its model and its markup, from made-up results."""

from __future__ import annotations

import base64
import hashlib
import io
import json
import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from tamingplat.engine import CurvePoint
from tamingplat.interfaces import CodeSpace
from tamingplat.interfaces.models import VisitPlan
from tamingplat.report.budgets import with_budgets
from tamingplat.report.learning_curves import learning_curves
from tamingplat.report.page import Page, render_page
from tamingplat.report.page.codebooks import CodebookUse, codebook_chart, read_codebooks
from tamingplat.report.page.curves import MOST_POINTS, curve_panels
from tamingplat.report.page.details import Settings, make_details
from tamingplat.report.page.figures import PublishedFigures, published_figures
from tamingplat.report.page.gallery import Gallery, LineSamples, NamedSheet, Reconstructions, make_gallery
from tamingplat.report.page.lines import make_table
from tamingplat.report.page.model import DrawnOrdering, ManifestFacts
from tamingplat.report.page.orders import draw_order
from tamingplat.report.page.pictures import BUDGET, LARGEST_SIDE, MOST_IMAGES, layout, make_sheet
from tamingplat.report.page.plot import BOTTOM, LEFT, RIGHT, TOP, Series, draw, make_axis, spread
from tamingplat.report.page.provenance import Environment, MadeStage, Provenance, stage_keys
from tamingplat.report.page.rates import rate_charts
from tamingplat.report.page.remarks import unfinished
from tamingplat.report.page.render import embedded
from tamingplat.report.page.verdicts import ranking_tables
from tamingplat.report.published import CAUTION, PublishedTable
from tamingplat.report.ranking import Comparison, Ranking, rankings
from tamingplat.report.rate_distortion import RatePoint
from tamingplat.report.references import load_published
from tamingplat.report.summary import Value
from tamingplat.stages import Column, ResultRow, Results, Tuning
from tamingplat.stages.encode import EncodeDataset

HOSTILE = "</script></style><script>alert(1)</script><img src=http://x/ onerror=alert(2)>\"'`${1}&<!--"
NLL = Column("nll", "nats/token", "lower", "validation NLL", headline=True)
FD = Column("fd-st-vgg (N=32)", "", "lower", "a distance", headline=True, ranks=False)


def _curve(end: float) -> tuple[CurvePoint, ...]:
    return tuple(
        CurvePoint("validation", step, step * 8, step / 10, step * 1000, {"total": end + 1 / step})
        for step in range(10, 2000, 10)
    )


def _row(ordering: str, seed: int, nll: float | None, **kwargs: Any) -> ResultRow:
    return ResultRow(
        kind="cell",
        dataset="emoji",
        tokenizer="vqgan",
        prior="gpt",
        ordering=ordering,
        conditioner="none",
        sampler="ancestral",
        manifest="made-up",
        seed=seed,
        tokenizer_seed=0,
        group=kwargs.pop("group", f"group of {ordering}"),
        status=kwargs.pop("status", "done"),
        metrics={} if nll is None else {"nll": nll, "fd-st-vgg (N=32)": 10 * nll},
        cost={"prior_parameters": 1.5e6, "prior_training_seconds": 12.0} if nll is not None else {},
        machine={"training": {"host": "vm", "device": "cpu", "threads": 1, "contended": False}} if nll is not None else {},
        artifacts={"tokenizer": "t" * 64, "prior": f"{ordering} {seed}"},
        curve=_curve(nll) if nll is not None else (),
        **kwargs,
    )


RESULTS = Results(
    "made-up",
    (
        _row("raster", 0, 3.0),
        _row("raster", 1, 3.2),
        _row("z-curve", 0, 3.5),
        _row("z-curve", 1, 3.7),
        _row(HOSTILE, 0, None, status="refused", reason=f"no order: {HOSTILE}", group=""),
        _row("subsample", 0, None, status="failed", reason=f"OSError: {HOSTILE}"),
        ResultRow(kind="real", dataset="emoji", manifest="made-up", group="real", metrics={"fd-st-vgg (N=32)": 0.5}),
    ),
    (NLL, FD),
)
RANKING = Ranking(
    NLL,
    {"tokenizer": "vqgan (seed 0) #12ab", "condition": "none"},
    (),
    (
        Comparison("group of raster", 0.0, None, None, 2, "best", ""),
        Comparison("group of z-curve", 0.5, (-0.1, 1.1), 0.0004, 2, "undecided", f"t interval {HOSTILE}"),
    ),
)


def _page(made_up_page: ModuleType) -> Page:
    table = make_table(with_budgets(RESULTS), [RANKING])
    images = np.zeros((4, 3, 8, 8), dtype=np.uint8)
    sheet = NamedSheet("sheet-1", HOSTILE, f"4 samples of {HOSTILE}", make_sheet(images))
    order = draw_order("raster", CodeSpace(((4, 4),), 8), VisitPlan.repeat(torch.arange(16), 1))
    made = MadeStage("abc", "abc" * 20, "train_prior", HOSTILE, "2026-01-01", HOSTILE, 1, HOSTILE)
    provenance = Provenance((Environment(1, HOSTILE, "3.11", HOSTILE, ((HOSTILE, "1"),)),), {"raster 0": made})
    part = Settings("settings-1", "prior", HOSTILE, HOSTILE, json.dumps({HOSTILE: HOSTILE}))
    parts = {("made-up", "prior", "gpt"): (part,)}
    stages: Any = {"raster 0": SimpleNamespace(inputs=())}
    distortions = {"PSNR": Value(14.0, None, 1)}
    points = [
        RatePoint(line.group, line.label, (HOSTILE,), HOSTILE, {}, Value(80.0 + at, 1.0, 2), True, distortions, {})
        for at, line in enumerate(table.lines[:2])
    ]
    theirs, ours = (((HOSTILE, number),) for number in ("1", "2"))
    figures = PublishedFigures(HOSTILE, HOSTILE, "javascript:alert(1)", CAUTION, (HOSTILE,), theirs, ours, HOSTILE)
    chart = codebook_chart("codebooks-1", [CodebookUse(HOSTILE, np.array([5, 3, 0]), 4)], "validation")
    assert chart is not None
    return replace(
        made_up_page.page_of(RESULTS, [RANKING], stages, provenance, parts, {table.lines[0].anchor: [sheet]}),
        title=HOSTILE,
        manifests=(ManifestFacts(HOSTILE, HOSTILE, ((HOSTILE, HOSTILE),), HOSTILE),),
        rates=tuple(rate_charts(points, RESULTS.columns)),
        orderings=(DrawnOrdering(HOSTILE, HOSTILE, True, tuple(order)),),
        gallery=Gallery(
            (Reconstructions(HOSTILE, (replace(sheet, anchor="sheet-2"),)),),
            (replace(sheet, anchor="sheet-3"),),
            (LineSamples(table.lines[0].anchor, HOSTILE, (sheet, replace(sheet, anchor="sheet-4", sheet=None))),),
            (HOSTILE,),
        ),
        codebooks=(chart,),
        figures=(figures,),
        remarks=(HOSTILE,),
        settings=(part,),
    )


class _Elements(HTMLParser):
    """Every element with its attributes, and what stands in scripts."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.text: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.text.append(data)


@pytest.fixture(scope="module")
def html(made_up_page: ModuleType) -> str:
    return render_page(_page(made_up_page))


def test_nothing_that_a_user_named_becomes_markup(html: str) -> None:
    found = _Elements(html)
    scripts = [attributes for tag, attributes in found.elements if tag == "script"]
    assert scripts == [{"type": "application/json", "id": "chart-data"}, {}]
    for _tag, attributes in found.elements:
        assert not [name for name in attributes if name.startswith("on") or name == "style"]
        for name in ("src", "href"):
            value = attributes.get(name)
            assert value is None or value.startswith(("#", "data:image/png;base64,")) or value == "data:,", value
    # It is all there, as text.
    whole = "".join(found.text)
    for where in ("no order: ", "OSError: ", "t interval "):
        assert where + HOSTILE in whole


def test_the_pages_own_policy_allows_its_own_style_and_script_alone(html: str) -> None:
    policy = re.search(r'http-equiv="Content-Security-Policy" content="([^"]*)"', html)
    assert policy is not None
    rules = policy[1].replace("&#39;", "'")
    style, script = re.search(r"<style>(.*?)</style>", html, re.S), re.search(r"<script>(.*?)</script>", html, re.S)
    assert style is not None and script is not None
    for part, name in ((style[1], "style-src"), (script[1], "script-src")):
        digest = base64.b64encode(hashlib.sha256(part.encode()).digest()).decode()
        assert f"{name} 'sha256-{digest}'" in rules
    assert "default-src 'none'" in rules and "img-src data:" in rules and "unsafe" not in rules
    assert "http:" not in style[1] + script[1] and "https:" not in style[1] + script[1]


def test_whoever_does_not_see_it_is_told(html: str) -> None:
    found = _Elements(html)
    identifiers = [attributes["id"] for _, attributes in found.elements if "id" in attributes]
    assert sorted(identifiers) == sorted(set(identifiers)), "every name once"
    count = {tag: sum(one == tag for one, _ in found.elements) for tag in ("table", "caption", "img", "dialog")}
    assert count["table"] == count["caption"] > 5
    assert count["dialog"] == len(RESULTS.rows) - 2, "one for every line"
    for tag, attributes in found.elements:
        if tag == "img":
            assert attributes.get("alt")
        if tag == "svg":
            assert attributes.get("aria-hidden") == "true" or attributes.get("aria-label")
        if tag == "a" and str(attributes.get("href")).startswith("#"):
            assert str(attributes["href"])[1:] in identifiers
        if attributes.get("role") in ("region", "application"):
            assert attributes.get("tabindex") == "0" and (attributes.get("aria-label") or attributes.get("aria-labelledby"))


@settings(max_examples=40, deadline=None)
@given(st.recursive(st.text(), lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner), max_leaves=5))
def test_embedded_json_means_the_same_and_cannot_end_its_element(value: object) -> None:
    text = str(embedded([value, HOSTILE]))
    assert json.loads(text) == [value, HOSTILE]
    assert not set("<>&\u2028\u2029") & set(text)


def test_lines_bear_what_they_are_sorted_by_and_where_they_stand() -> None:
    table = make_table(with_budgets(RESULTS), [RANKING])
    assert [line.summary.kind for line in table.references] == ["real"]
    column = [heading.label for heading in table.headings].index("nll")
    cells = [line.cells[column] for line in table.lines]
    assert [cell.verdict for cell in cells] == ["best", "undecided", "", ""]
    assert [cell.sort for cell in cells] == [pytest.approx(3.1), pytest.approx(3.6), None, None]
    assert cells[0].text == "3.100 ± 0.10" and cells[2].text == ""
    assert ("ordering", ("raster", "z-curve", HOSTILE, "subsample")) in table.filters
    assert len({line.anchor for line in table.all}) == len(table.all)
    # The address of a line stays when other lines come and go.
    fewer = make_table(with_budgets(replace(RESULTS, rows=RESULTS.rows[2:])), [])
    assert fewer.lines[0].anchor == table.lines[1].anchor


def test_a_line_is_headed_by_what_tells_it_from_the_others() -> None:
    table = make_table(with_budgets(RESULTS), [RANKING])
    assert [line.cells[0].text for line in table.lines] == ["raster", "z-curve", HOSTILE, "subsample"]
    assert [line.cells[0].text for line in table.references] == ["(real)"]
    assert table.shared == "emoji · vqgan · gpt · ancestral"
    both = replace(RESULTS, rows=(*RESULTS.rows[:4], *(replace(row, prior="snail", group="snail") for row in RESULTS.rows[:2])))
    headed = [line.cells[0].text for line in make_table(with_budgets(both), []).lines]
    assert headed == ["gpt · raster", "gpt · z-curve", "snail · raster"]
    alone = replace(RESULTS, rows=RESULTS.rows[:2])
    assert [line.cells[0].text for line in make_table(with_budgets(alone), []).lines] == ["vqgan · gpt"]


def test_every_number_is_sorted_among_those_that_it_may_be_compared_with() -> None:
    other = [
        replace(row, tokenizer="vq", group=f"vq {row.ordering}", artifacts={"tokenizer": "v" * 64}) for row in RESULTS.rows[:4]
    ]
    marked = [replace(row, group="marked", trained_on=("nll", FD.name)) for row in RESULTS.rows[:1]]
    results = replace(RESULTS, rows=(*RESULTS.rows[:4], *marked, *other))
    ranked = rankings(results)
    table = make_table(with_budgets(results), ranked)
    for name in ("nll", FD.name):
        at = [heading.label for heading in table.headings].index(name)
        assert [line.cells[at].pool for line in table.lines] == [1, 1, 3, 2, 2], name
        heading = table.headings[at]
        assert heading.pools == 3 and heading.split_by[0] == "tokenizer" and "relative" in heading.split_by[-1]
    assert not any(ranking.column.name == FD.name for ranking in ranked), "it has no ranking, and is not sorted freely"


def test_settings_tried_are_told_as_they_are_known() -> None:
    tuned = [Tuning(4, 1), Tuning(None, 2), None]
    rows = tuple(
        replace(_row(f"order-{at}", 0, 3.0), tuning={} if tuning is None else {"prior": tuning})
        for at, tuning in enumerate(tuned)
    )
    table = make_table(with_budgets(replace(RESULTS, rows=rows)), [])
    at = [heading.label for heading in table.headings].index("settings tried")
    assert [(line.cells[at].text, line.cells[at].sort) for line in table.lines] == [
        ("4", 4.0),
        ("≥ 2", 2.0),
        ("not stated", None),
    ]
    provenance = Provenance((), {})
    details = make_details(table, (), {}, provenance, {}, {})
    assert [dict(detail.facts).get("settings of the prior") for detail in details] == ["4 tried", "≥ 2 tried", None]


def test_details_say_what_every_seed_ran_on_and_was_made_with() -> None:
    def on(seed: int, host: str) -> ResultRow:
        row = _row("raster", seed, 3.0)
        return replace(row, machine={"training": {**row.machine["training"], "host": host}})

    environments = tuple(
        Environment(at, f"commit {at}", "3.11", "linux", (("torch", "2.5"), ("numpy", "2"))) for at in (1, 2, 3)
    )
    made = {f"raster {seed}": MadeStage("k", "k", "train_prior", "p", "now", "vm", seed + 1, "run") for seed in range(2)}
    stages: Any = {key: SimpleNamespace(inputs=()) for key in made}
    table = make_table(with_budgets(replace(RESULTS, rows=(on(0, "one"), on(1, "two")))), [])
    (detail,) = make_details(table, (), stages, Provenance(environments, made), {}, {})
    assert dict(detail.facts)["training ran on"] == "one, cpu, 1 thread (seed 0); two, cpu, 1 thread (seed 1)"
    assert [one.commit for one in detail.environments] == ["commit 1", "commit 2"]
    assert environments[0].headlines == (("torch", "2.5"),)
    same = make_table(with_budgets(replace(RESULTS, rows=(on(0, "one"), on(1, "one")))), [])
    (detail,) = make_details(same, (), stages, Provenance(environments, made), {}, {})
    assert dict(detail.facts)["training ran on"] == "one, cpu, 1 thread"


def test_panels_of_two_manifests_with_the_same_names_are_told_apart() -> None:
    other = [replace(row, manifest="other", group="other", artifacts={"tokenizer": "v" * 64}) for row in RESULTS.rows[:1]]
    results = replace(RESULTS, rows=(*RESULTS.rows[:1], *other))
    panels = curve_panels(learning_curves(results), make_table(with_budgets(results), []).lines)
    assert [panel.equal.title.split(" at equal budgets, ")[1] for panel in panels] == [
        "made-up: emoji, codes of vqgan",
        "other: emoji, codes of vqgan",
    ]


def test_published_figures_are_marked_as_of_other_data(html: str) -> None:
    table = load_published(Path(__file__).parents[2] / "experiments" / "references" / "taming-fig30.toml")
    assert isinstance(table, PublishedTable)
    figures = published_figures(table, [line.summary for line in make_table(with_budgets(RESULTS), []).lines])
    assert figures.caution == CAUTION and "Not the same data" in CAUTION
    assert f'<p class="caution"><b>{CAUTION}</b></p>' in html


def test_what_made_a_stage_is_told(html: str) -> None:
    assert html.count('<td class="command"><code>') >= 2 and "<code></code>" not in html


def test_what_is_not_done_is_listed_with_its_reason() -> None:
    found = unfinished(make_table(with_budgets(RESULTS), []).all)
    assert [(one.status, one.reason) for one in found] == [
        ("failed", f"OSError: {HOSTILE}"),
        ("refused", f"no order: {HOSTILE}"),
    ]


def test_learning_curves_are_drawn_against_four_quantities_and_thinned() -> None:
    table = make_table(with_budgets(RESULTS), [])
    (panel,) = curve_panels(learning_curves(RESULTS), table.lines)
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


def _pixels(address: str) -> np.ndarray[Any, Any]:
    assert address.startswith("data:image/png;base64,")
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(address.partition(",")[2]))).convert("RGBA"))


@pytest.mark.parametrize("channels", [1, 2, 3, 4])
def test_a_sheet_has_every_pixel_of_small_images(channels: int) -> None:
    images = np.random.default_rng(0).integers(0, 256, (5, channels, 6, 4), dtype=np.uint8)
    sheet = make_sheet(images, columns=3)
    pixels = _pixels(sheet.address)
    assert (sheet.width, sheet.height, sheet.count, sheet.pixelated) == (3 * 5 - 1, 2 * 7 - 1, 5, True)
    shown = images[4, :3] if channels > 2 else np.repeat(images[4, :1], 3, axis=0)
    assert (pixels[7:13, 5:9, :3] == np.moveaxis(shown, 0, -1)).all()
    assert (pixels[7:13, 10:, 3] == 0).all() and (pixels[6, :, 3] == 0).all(), "nothing beside and between them"


def test_large_images_are_shown_smaller() -> None:
    sheet = make_sheet(np.zeros((1, 3, 800, 400), dtype=np.uint8))
    assert (sheet.height, sheet.width, sheet.pixelated, sheet.large) == (LARGEST_SIDE, LARGEST_SIDE // 2, False, True)
    four_in_a_line = make_sheet(np.zeros((8, 3, 128, 128), dtype=np.uint8))
    assert (four_in_a_line.height, four_in_a_line.width) == (2 * 129 - 1, 4 * 129 - 1)


@pytest.mark.parametrize(
    ("sheets", "side", "shown"),
    [(1, 8, 8), (40, 64, 64), (2, 256, 256), (6, 256, 128), (60, 256, 64), (300, 32, 32), (700, 256, 32)],
)
def test_sheets_are_as_large_as_the_pages_budget_allows_even_for_noise(sheets: int, side: int, shown: int) -> None:
    chosen = layout(sheets, (side, side), BUDGET)
    assert chosen.shown((side, side)) == (shown, shown)
    noise = np.random.default_rng(0).integers(0, 256, (chosen.images, 3, side, side), dtype=np.uint8)
    sheet = make_sheet(noise, chosen.side)
    assert sheet.count == chosen.images and sheets * len(sheet.address) <= BUDGET * 1.02
    assert layout(1, (side, side), BUDGET, like=chosen) == chosen, "not larger than others of the page"


class _Stored:
    """A store of samples: noise of a seed of its own under every key."""

    def __init__(self, folder: Path, side: int) -> None:
        self.folder, self.side = folder, side

    def find(self, kind: str, key: str) -> Any:
        def path(name: str) -> Path:
            file = self.folder / f"{key}.npy"
            generator = np.random.default_rng(int(key.split("-")[-1]))
            np.save(file, generator.integers(0, 256, (MOST_IMAGES, 3, self.side, self.side), dtype=np.uint8))
            return file

        return SimpleNamespace(path=path)


def _gallery(lines: int, seeds: int, side: int, folder: Path) -> Gallery:
    rows = tuple(
        replace(row, artifacts={**row.artifacts, "samples": f"samples-{seeds * index + seed}"})
        for index in range(lines)
        for seed in range(seeds)
        for row in [_row(f"order-{index}", seed, 3.0)]
    )
    table = make_table(with_budgets(replace(RESULTS, rows=rows)), [])
    store: Any = _Stored(folder, side)
    return make_gallery([], store, table.lines)


def test_every_line_has_a_picture_before_any_has_a_second(tmp_path: Path) -> None:
    gallery = _gallery(lines=24, seeds=12, side=64, folder=tmp_path)
    shown = [[one.sheet is not None for one in line.sheets] for line in gallery.samples]
    assert len(shown) == 24 and all(seeds[0] for seeds in shown)
    numbers = [sum(seeds) for seeds in shown]
    assert max(numbers) - min(numbers) <= 1 < max(numbers) < 12, "no line has many where another has few"
    every = [one.sheet for line in gallery.samples for one in line.sheets if one.sheet is not None]
    assert BUDGET * 0.95 < sum(len(sheet.address) for sheet in every) <= BUDGET
    assert gallery.notes == (f"{24 * 12 - len(every)} of {24 * 12} sheets are left out, to keep the page small",)


def test_large_samples_are_shown_larger_where_there_is_room(tmp_path: Path) -> None:
    gallery = _gallery(lines=3, seeds=1, side=256, folder=tmp_path)
    sheets = [line.sheets[0].sheet for line in gallery.samples]
    assert [(sheet.width, sheet.count) for sheet in sheets if sheet is not None] == [(4 * 257 - 1, 8)] * 3
    assert gallery.notes == ()
    gallery = _gallery(lines=7, seeds=1, side=256, folder=tmp_path)
    assert gallery.notes == ("images of 256×256 pixels are shown at 128×128",)


def test_an_order_is_drawn_as_it_is_visited() -> None:
    order = torch.tensor([5, 4, 3, 0, 1, 2])
    (picture,) = draw_order("snake", CodeSpace(((2, 3),), 4), VisitPlan.repeat(order, 1))
    assert picture.steps == ((4, 5, 6), (3, 2, 1))
    assert picture.path == "M2.5,1.5L1.5,1.5L0.5,1.5L0.5,0.5L1.5,0.5L2.5,0.5"
    assert picture.start == (2.5, 1.5) and picture.end == (2.5, 0.5)
    assert "row 2 column 3" in picture.text and "ends at row 1 column 3" in picture.text
    lightness = _pixels(picture.address)[..., :3].astype(int).sum(-1).reshape(-1)[order]
    assert (np.diff(lightness) > 0).all(), "from dark to light"


def test_orders_of_several_grids_depths_and_groups_are_drawn() -> None:
    several = draw_order("scales", CodeSpace(((1, 1), (2, 2)), 4), VisitPlan(torch.arange(5)[None], torch.tensor([1, 4])))
    assert [picture.steps for picture in several] == [((1,),), ((2, 2), (2, 2))]
    assert all(not picture.path for picture in several) and "together" in several[1].text
    deep = draw_order("deep", CodeSpace(((2, 2, 3),), 4), VisitPlan.repeat(torch.arange(12), 1))
    assert [picture.steps for picture in deep] == [((1, 4), (7, 10)), ((2, 5), (8, 11)), ((3, 6), (9, 12))]
    (line,) = draw_order("line", CodeSpace(((7,),), 4), VisitPlan.repeat(torch.arange(7), 1))
    assert (line.rows, line.columns) == (1, 7)
    (large,) = draw_order("large", CodeSpace(((40, 40),), 4), VisitPlan.repeat(torch.arange(1600), 1))
    assert not large.path and not large.steps


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


def test_a_ranking_shows_differences_with_their_intervals() -> None:
    (table,) = ranking_tables([RANKING], make_table(with_budgets(RESULTS), [RANKING]).all)
    best, other = table.lines
    assert (best.verdict, best.difference, best.interval) == ("best", "", "")
    assert (other.difference, other.interval, other.p) == ("+0.500", "−0.100 … +1.10", "< 0.001")
    picture = other.picture
    assert picture.low is not None and picture.high is not None
    assert picture.low < picture.none == best.picture.at < picture.at < picture.high


def test_rankings_of_namesakes_are_told_apart() -> None:
    held = [{"tokenizer": f"vq (seed 0) #{letter * 8}"} for letter in "ab"]
    two = [replace(RANKING, held=one, split_by=("tokenizer",)) for one in held]
    lines = make_table(with_budgets(RESULTS), [RANKING]).all
    assert [table.apart for table in ranking_tables(two, lines)] == [
        "tokenizer vq (seed 0) #aaaaaaaa",
        "tokenizer vq (seed 0) #bbbbbbbb",
    ]
    assert [table.apart for table in ranking_tables(two[:1], lines)] == ["tokenizer vq (seed 0)"]


def test_the_same_training_under_two_seeds_counts_once_in_a_mean() -> None:
    rows = (_row("raster", 0, 3.0), _row("raster", 1, 3.0), _row("raster", 2, 3.6))
    results = replace(RESULTS, rows=rows)
    (panel,) = curve_panels(learning_curves(results), make_table(with_budgets(results), []).lines)
    assert panel.chart.series[-1].y[-1] == pytest.approx(3.3 + 1 / 1990)


TINY = """
[prior.gpt]
config = { layers = 1, heads = 1, width = 8 }
train = { steps = 2, batch_size = 4 }

[tokenizer.colours]
use = "kmeans"
config = { codebook_size = 4 }

[matrix]
dataset = ["blobs"]
tokenizer = ["colours"]
prior = ["gpt"]
ordering = ["raster"]

[evaluate]
metrics = ["nll"]
samples = 2
"""


def test_the_command_writes_where_it_is_told_before_anything_has_run(
    write_manifest: Any, tamingplat_here: Any, tmp_path: Path
) -> None:
    manifest, store = write_manifest(TINY), tmp_path / "store"
    for out, place in (("page.html", "page.html"), ("folder", "folder/small.html")):
        result = tamingplat_here("report", manifest, "--store", store, "--out", tmp_path / out)
        assert result.returncode == 0, result.stderr
        assert "not run yet" in (tmp_path / place).read_text()
    assert not store.exists(), "a report writes nothing into the store"
    result = tamingplat_here("report", manifest, "--store", store, "--out", tmp_path / "page.html" / "below.html")
    assert result.returncode == 2 and "cannot be written" in result.stderr
    assert sorted(path.name for path in tmp_path.iterdir()) == ["folder", "page.html", "small.toml"]


NAMESAKE = (
    TINY.replace('ordering = ["raster"]', 'ordering = ["mine", "raster"]')
    + """
[ordering.mine]
use = "{}"
"""
)


def test_namesakes_of_several_manifests_are_all_there(write_manifest: Any, tamingplat_here: Any, tmp_path: Path) -> None:
    one, other = (write_manifest(NAMESAKE.replace("{}", use), use) for use in ("z-curve", "spiral-in"))
    result = tamingplat_here("report", one, other, "--store", tmp_path / "store", "--out", tmp_path / "page.html")
    assert result.returncode == 0, result.stderr
    text = (tmp_path / "page.html").read_text()
    drawn = re.findall(r"<figcaption><b>(.*?)</b>", text)
    assert drawn == ["mine (z-curve)", "raster", "mine (spiral-in)"]
    listed = re.findall(
        r'<article id="(.*?)" class="settings" tabindex="-1"><h4>(\w+) <b>(.*?)</b> <span class="quiet">(.*?)</span>', text
    )
    named = [(name, component) for _, kind, name, component in listed if kind == "ordering"]
    assert sorted(named) == [
        ("mine (spiral-in)", "ordering:spiral-in"),
        ("mine (z-curve)", "ordering:z-curve"),
        ("raster", "ordering:raster"),
    ]
    assert [kind for _, kind, *_ in listed].count("prior") == 1, "what manifests share is there once"


def test_a_row_of_several_manifests_rests_on_the_stages_of_all() -> None:
    row = _row("raster", 0, 3.0, sources={"nll": "of the first", "fd-st-vgg (N=32)": "of the second"})
    stages: Any = {
        "of the first": SimpleNamespace(inputs=()),
        "of the second": SimpleNamespace(inputs=(SimpleNamespace(key="features"),)),
        "features": SimpleNamespace(inputs=()),
        "of nobody": SimpleNamespace(inputs=()),
    }
    assert set(stage_keys(row, stages)) == {"of the first", "of the second", "features"}
