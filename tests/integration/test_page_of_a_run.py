"""The page of a manifest that has run, in headless Chromium: its table, its details, its curves, every screen and paper."""

from __future__ import annotations

import base64
import re
import struct
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tamingplat.report.published import CAUTION

try:
    from selenium.webdriver import ActionChains
    from selenium.webdriver.common.by import By
    from selenium.webdriver.common.keys import Keys
except ImportError:
    pytest.skip("no selenium: pip install 'tamingplat[test]'", allow_module_level=True)

pytestmark = pytest.mark.slow

ORDERINGS = Path(__file__).parents[2] / "experiments" / "orderings.toml"

MANIFEST = """schema = 1
name = "page"
seeds = [0, 1]

[dataset.blobs]
use = "parquet"
config = {{ train = "{blobs}/train.parquet", validation = "{blobs}/validation.parquet", size = 4 }}

[tokenizer.colours]
use = "kmeans"
config = {{ codebook_size = 8, steps = 5 }}

[prior.gpt]
config = {{ layers = 1, heads = 1, width = 8 }}
train = {{ steps = 4, batch_size = 8, validate_every = 2 }}

[matrix]
dataset = ["blobs"]
tokenizer = ["colours"]
prior = ["gpt"]
ordering = ["raster", "spiral-out"]

[evaluate]
metrics = ["nll", "codebook"]
samples = 4
"""


@pytest.fixture(scope="module")
def ran(blobs: Path, tmp_path_factory: pytest.TempPathFactory, run_manifest: Callable[[Path], Path]) -> tuple[Path, Path]:
    """A manifest that has run, with one more line that has not, another ordering; and its store."""
    manifest = tmp_path_factory.mktemp("page") / "page.toml"
    manifest.write_text(MANIFEST.format(blobs=blobs))
    store = run_manifest(manifest)
    manifest.write_text(manifest.read_text().replace('"spiral-out"]', '"spiral-out", "z-curve"]'))
    return manifest, store


@pytest.fixture(scope="module")
def page(ran: tuple[Path, Path], tamingplat_here: Callable[..., subprocess.CompletedProcess[str]]) -> Path:
    """The page of that manifest."""
    manifest, store = ran
    written = tamingplat_here("report", manifest, "--store", store, "--out", manifest.parent / "written")
    assert written.returncode == 0, written.stderr + written.stdout
    path = manifest.parent / "written" / "page.html"
    assert str(path) in written.stdout
    return path


@pytest.fixture
def opened(browser: Any, page: Path) -> Iterator[Any]:
    """The page of a manifest that has run."""
    with browser.showing(page):
        yield browser


def test_codebooks_of_several_manifests_say_whose_they_are(
    ran: tuple[Path, Path], tamingplat_here: Callable[..., subprocess.CompletedProcess[str]]
) -> None:
    manifest, store = ran
    other = manifest.with_name("other.toml")
    other.write_text(manifest.read_text().replace('name = "page"', 'name = "other"'))
    written = tamingplat_here("report", manifest, other, "--store", store, "--out", manifest.with_name("both.html"))
    assert written.returncode == 0, written.stderr + written.stdout
    page = manifest.with_name("both.html").read_text()
    found = re.findall(r"<figcaption>Codebook use in the split validation, manifest (\w+)", page)
    assert found == ["page", "other"]


def test_headings_sort_with_mouse_and_keyboard_and_say_so(opened: Any) -> None:
    manifest_order = ["raster", "spiral-out", "z-curve"]
    assert opened.column("ordering") == manifest_order
    heading = opened.heading("nll")
    button = heading.find_element(By.TAG_NAME, "button")
    button.click()
    assert heading.get_attribute("aria-sort") == "ascending"
    values = [float(text.split()[0]) for text in opened.column("nll") if text]
    assert values == sorted(values) and len(values) == 2
    assert opened.column("ordering")[-1] == "z-curve", "what has no number comes last"
    button.send_keys(Keys.ENTER)
    assert heading.get_attribute("aria-sort") == "descending"
    assert [float(text.split()[0]) for text in opened.column("nll") if text] == values[::-1]
    assert opened.column("ordering")[-1] == "z-curve"
    assert "descending" in opened.find_element(By.ID, "shown").text
    button.send_keys(Keys.SPACE)
    assert heading.get_attribute("aria-sort") == "none" and opened.column("ordering") == manifest_order


def test_words_conditions_and_choices_filter(opened: Any) -> None:
    search = opened.find_element(By.ID, "search")
    for text, left in (
        ("spiral", ["spiral-out"]),
        ("gpt z-c", ["z-curve"]),
        ("ordering=raster", ["raster"]),
        ("nll<1000", ["raster", "spiral-out"]),
        ("nll>1000", []),
        ("nll<", ["raster", "spiral-out", "z-curve"]),
        ("nothing-of-the-kind", []),
    ):
        search.clear()
        search.send_keys(text)
        assert opened.column("ordering") == left, text
        assert opened.find_element(By.ID, "shown").text.startswith(f"{len(left)} of 3 ")
    search.clear()
    search.send_keys("colour<3")
    assert search.get_attribute("aria-invalid") == "true" and len(opened.column("ordering")) == 3
    search.clear()
    opened.find_element(By.CSS_SELECTOR, 'select[data-filter="ordering"] option:nth-child(3)').click()
    assert opened.column("ordering") == ["spiral-out"]
    hidden = opened.heading("dataset")
    assert not hidden.is_displayed()
    opened.find_element(By.ID, "every-column").click()
    assert hidden.is_displayed()
    opened.find_element(By.ID, "show-all").click()
    assert len(opened.column("ordering")) == 3 and not hidden.is_displayed()


def test_a_line_opens_its_samples_and_details(opened: Any, page: Path) -> None:
    row = opened.find_element(By.CSS_SELECTOR, "#results-table tbody tr")
    anchor = row.get_attribute("data-anchor")
    dialog = opened.find_element(By.ID, str(anchor))
    row.find_element(By.CSS_SELECTOR, "td.number").click()
    opened.wait(dialog.is_displayed)
    assert opened.current_url.endswith(f"#{anchor}")
    images = dialog.find_elements(By.TAG_NAME, "img")
    assert len(images) == 2, "one sheet for each seed"
    opened.wait(lambda: all(opened.execute_script("return arguments[0].naturalWidth", image) > 16 for image in images))
    assert "samples of colours · gpt · raster, seed 0" in str(images[0].get_attribute("alt"))
    for summary in dialog.find_elements(By.TAG_NAME, "summary"):
        summary.click()
    text = dialog.text
    assert '"layers": 1' in text and "train_prior" in text and "seed 1" in text, text
    # How it was made is in it: code, versions and the command.
    assert "commit" in text and "torch" in text and "numpy" in text and "run" in text, text
    # Escape closes it, and the focus goes back to where it came from.
    opened.switch_to.active_element.send_keys(Keys.ESCAPE)
    opened.wait(lambda: not dialog.is_displayed())
    opened.wait(lambda: "#" not in opened.current_url)
    link = row.find_element(By.TAG_NAME, "a")
    assert opened.switch_to.active_element == link
    link.send_keys(Keys.ENTER)
    opened.wait(dialog.is_displayed)
    opened.back()
    opened.wait(lambda: not dialog.is_displayed())
    # The address alone opens it.
    opened.get("about:blank")
    opened.get(f"{page.as_uri()}#{anchor}")
    opened.wait(opened.find_element(By.ID, str(anchor)).is_displayed)
    opened.find_element(By.CSS_SELECTOR, "dialog[open] .close").click()
    opened.wait(lambda: "#" not in opened.current_url)


def test_curves_say_their_values_to_mouse_and_keyboard(opened: Any) -> None:
    plot = opened.find_element(By.CSS_SELECTOR, "#curves .plot")
    opened.execute_script("arguments[0].scrollIntoView({block: 'center', behavior: 'instant'})", plot)
    tip, said = plot.find_element(By.CSS_SELECTOR, ".tip"), opened.find_element(By.CSS_SELECTOR, "#curves .said")
    ActionChains(opened).move_to_element(plot).perform()
    opened.wait(tip.is_displayed)
    assert re.search(r"nats/token at step \d+, \d+ images, .* s", tip.text), tip.text
    plot.send_keys(Keys.HOME)
    first = said.get_attribute("textContent")
    assert first is not None and "step 2," in first
    plot.send_keys(Keys.ARROW_RIGHT)
    second = said.get_attribute("textContent")
    assert second is not None and "step 4," in second
    assert first.split(":")[0] == second.split(":")[0], "the same curve"
    plot.send_keys(Keys.ARROW_DOWN)
    assert str(said.get_attribute("textContent")).split(":")[0] != second.split(":")[0]
    plot.send_keys(Keys.ESCAPE)
    assert not tip.is_displayed()
    shown = plot.find_elements(By.CSS_SELECTOR, "svg[data-against]")
    assert [svg.is_displayed() for svg in shown] == [True, False, False, False]
    opened.find_element(By.CSS_SELECTOR, '#curves input[value="seconds"]').click()
    assert [svg.is_displayed() for svg in shown] == [False, False, True, False]


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [390, 1280])
def test_it_fits_a_phone_and_a_desk_by_day_and_by_night(opened: Any, width: int, scheme: str, tmp_path: Path) -> None:
    features = [{"name": "prefers-color-scheme", "value": scheme}]
    opened.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": features})
    opened.resize(width, 844)
    assert opened.execute_script("return document.documentElement.scrollWidth") == width, "nothing sticks out"
    colour = opened.execute_script("return getComputedStyle(document.body).backgroundColor")
    assert (sum(map(int, re.findall(r"\d+", colour)[:3])) > 3 * 128) == (scheme == "light")
    taken = opened.execute_cdp_cmd("Page.captureScreenshot", {"captureBeyondViewport": True})
    picture = base64.b64decode(taken["data"])
    (tmp_path / f"page-{scheme}-{width}.png").write_bytes(picture)
    assert struct.unpack(">I", picture[16:20]) == (width,)


def test_it_prints(opened: Any) -> None:
    opened.find_element(By.CSS_SELECTOR, "#results-table tbody a").click()
    opened.wait(lambda: opened.find_elements(By.CSS_SELECTOR, "dialog[open]"))
    printed = base64.b64decode(opened.print_page())
    assert printed.startswith(b"%PDF") and len(printed) > 20_000
    opened.find_element(By.CSS_SELECTOR, "dialog[open] .close").click()


def test_the_page_of_the_orderings_asks_for_nothing(
    browser: Any, tmp_path: Path, tamingplat_here: Callable[..., subprocess.CompletedProcess[str]]
) -> None:
    """Of the manifest itself, before it has run: with its orderings as pictures and the published figures beside ours."""
    path = tmp_path / "orderings.html"
    written = tamingplat_here("report", ORDERINGS, "--store", tmp_path / "store", "--out", path)
    assert written.returncode == 0, written.stderr + written.stdout
    with browser.showing(path):
        assert browser.column("line") == ["raster", "spiral-out", "spiral-in", "z-curve", "subsample", "alternate"]
        assert len(browser.find_elements(By.CSS_SELECTOR, "#orderings figure")) == 6
        published = browser.find_element(By.ID, "published").text
        assert CAUTION in published and "4.767" in published
