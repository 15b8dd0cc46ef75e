"""The HTML of the page: no text becomes markup, its policy allows nothing else, and nobody is left out."""

from __future__ import annotations

import base64
import hashlib
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

from tamingplat.interfaces import CodeSpace
from tamingplat.interfaces.models import VisitPlan
from tamingplat.report.budgets import with_budgets
from tamingplat.report.page import Page, render_page
from tamingplat.report.page.codebooks import CodebookUse, codebook_chart
from tamingplat.report.page.details import Settings
from tamingplat.report.page.figures import PublishedFigures, published_figures
from tamingplat.report.page.gallery import Gallery, LineSamples, NamedSheet, Reconstructions
from tamingplat.report.page.lines import make_table
from tamingplat.report.page.model import DrawnOrdering, ManifestFacts
from tamingplat.report.page.orders import draw_order
from tamingplat.report.page.pictures import make_sheet
from tamingplat.report.page.provenance import Environment, MadeStage, Provenance
from tamingplat.report.page.rates import rate_charts
from tamingplat.report.page.render import embedded
from tamingplat.report.published import CAUTION, PublishedTable
from tamingplat.report.rate_distortion import RatePoint
from tamingplat.report.references import load_published
from tamingplat.report.summary import Value


def _page(made_up_page: ModuleType, page_results: ModuleType) -> Page:
    results, ranking, hostile = page_results.RESULTS, page_results.RANKING, page_results.HOSTILE
    table = make_table(with_budgets(results), [ranking])
    images = np.zeros((4, 3, 8, 8), dtype=np.uint8)
    sheet = NamedSheet("sheet-1", hostile, f"4 samples of {hostile}", make_sheet(images))
    order = draw_order("raster", CodeSpace(((4, 4),), 8), VisitPlan.repeat(torch.arange(16), 1))
    made = MadeStage("abc", "abc" * 20, "train_prior", hostile, "2026-01-01", hostile, 1, hostile)
    provenance = Provenance((Environment(1, hostile, "3.11", hostile, ((hostile, "1"),)),), {"raster 0": made})
    part = Settings("settings-1", "prior", hostile, hostile, json.dumps({hostile: hostile}))
    parts = {("made-up", "prior", "gpt"): (part,)}
    stages: Any = {"raster 0": SimpleNamespace(inputs=())}
    distortions = {"PSNR": Value(14.0, None, 1)}
    points = [
        RatePoint(line.group, line.label, (hostile,), hostile, {}, Value(80.0 + at, 1.0, 2), True, distortions, {})
        for at, line in enumerate(table.lines[:2])
    ]
    theirs, ours = (((hostile, number),) for number in ("1", "2"))
    figures = PublishedFigures(hostile, hostile, "javascript:alert(1)", CAUTION, (hostile,), theirs, ours, hostile)
    chart = codebook_chart("codebooks-1", [CodebookUse(hostile, np.array([5, 3, 0]), 4)], "validation")
    assert chart is not None
    return replace(
        made_up_page.page_of(results, [ranking], stages, provenance, parts, {table.lines[0].anchor: [sheet]}),
        title=hostile,
        manifests=(ManifestFacts(hostile, hostile, ((hostile, hostile),), hostile),),
        rates=tuple(rate_charts(points, results.columns)),
        orderings=(DrawnOrdering(hostile, hostile, True, tuple(order)),),
        gallery=Gallery(
            (Reconstructions(hostile, (replace(sheet, anchor="sheet-2"),)),),
            (replace(sheet, anchor="sheet-3"),),
            (LineSamples(table.lines[0].anchor, hostile, (sheet, replace(sheet, anchor="sheet-4", sheet=None))),),
            (hostile,),
        ),
        codebooks=(chart,),
        figures=(figures,),
        remarks=(hostile,),
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
def html(made_up_page: ModuleType, page_results: ModuleType) -> str:
    return render_page(_page(made_up_page, page_results))


def test_nothing_that_a_user_named_becomes_markup(page_results: ModuleType, html: str) -> None:
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
        assert where + page_results.HOSTILE in whole


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


def test_whoever_does_not_see_it_is_told(page_results: ModuleType, html: str) -> None:
    found = _Elements(html)
    identifiers = [attributes["id"] for _, attributes in found.elements if "id" in attributes]
    assert sorted(identifiers) == sorted(set(identifiers)), "every name once"
    count = {tag: sum(one == tag for one, _ in found.elements) for tag in ("table", "caption", "img", "dialog")}
    assert count["table"] == count["caption"] > 5
    assert count["dialog"] == len(page_results.RESULTS.rows) - 2, "one for every line"
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
def test_embedded_json_means_the_same_and_cannot_end_its_element(page_results: ModuleType, value: object) -> None:
    text = str(embedded([value, page_results.HOSTILE]))
    assert json.loads(text) == [value, page_results.HOSTILE]
    assert not set("<>&\u2028\u2029") & set(text)


def test_published_figures_are_marked_as_of_other_data(page_results: ModuleType, html: str) -> None:
    table = load_published(Path(__file__).parents[2] / "experiments" / "references" / "taming-fig30.toml")
    assert isinstance(table, PublishedTable)
    figures = published_figures(table, [line.summary for line in make_table(with_budgets(page_results.RESULTS), []).lines])
    assert figures.caution == CAUTION and "Not the same data" in CAUTION
    assert f'<p class="caution"><b>{CAUTION}</b></p>' in html


def test_what_made_a_stage_is_told(html: str) -> None:
    assert html.count('<td class="command"><code>') >= 2 and "<code></code>" not in html
