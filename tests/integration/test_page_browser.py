"""The page that ``tamingplat report`` writes, opened from disk in headless Chromium."""

from __future__ import annotations

import base64
import json
import re
import shutil
import struct
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from tamingplat.report.page import render_page
from tamingplat.report.published import CAUTION

ORDERINGS = Path(__file__).parents[2] / "experiments" / "orderings.toml"
CHROMIUM, DRIVER = shutil.which("chromium"), shutil.which("chromedriver")
INSTALL = "install Debian's packages chromium and chromium-driver, and selenium (pip install 'tamingplat[test]')"

try:
    from selenium import webdriver
    from selenium.webdriver.common.by import By
    from selenium.webdriver.common.keys import Keys
    from selenium.webdriver.support.ui import WebDriverWait
except ImportError:
    pytest.skip(f"no selenium: {INSTALL}", allow_module_level=True)


pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(CHROMIUM is None or DRIVER is None, reason=f"no chromium or no chromedriver: {INSTALL}"),
]

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

OPTIONS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-dev-shm-usage",
    "--hide-scrollbars",
)


@pytest.fixture(scope="module")
def page(
    blobs: Path, tmp_path_factory: pytest.TempPathFactory, tamingplat_here: Callable[..., subprocess.CompletedProcess[str]]
) -> Path:
    """The page of a manifest that has run, with one more line that has not: another seed."""
    folder = tmp_path_factory.mktemp("page")
    manifest = folder / "page.toml"
    manifest.write_text(MANIFEST.format(blobs=blobs))
    ran = tamingplat_here("run", manifest, "--store", folder / "store")
    assert ran.returncode == 0, ran.stderr + ran.stdout
    manifest.write_text(manifest.read_text().replace('"spiral-out"]', '"spiral-out", "z-curve"]'))
    written = tamingplat_here("report", manifest, "--store", folder / "store", "--out", folder / "written")
    assert written.returncode == 0, written.stderr + written.stdout
    path = folder / "written" / "page.html"
    assert str(path) in written.stdout
    return path


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[webdriver.Chrome]:
    """One browser with an empty profile."""
    options = webdriver.ChromeOptions()
    options.binary_location = str(CHROMIUM)
    for option in (*OPTIONS, f"--user-data-dir={tmp_path_factory.mktemp('profile')}"):
        options.add_argument(option)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    started = webdriver.Chrome(options=options, service=webdriver.ChromeService(str(DRIVER)))
    yield started
    started.quit()


@pytest.fixture
def opened(browser: webdriver.Chrome, page: Path) -> Iterator[webdriver.Chrome]:
    """The page of a manifest that has run."""
    with _opened(browser, page):
        yield browser


@pytest.fixture(scope="module")
def made_up(made_up_page: ModuleType, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A page of made-up results of two tokenizers."""
    path = tmp_path_factory.mktemp("made-up") / "page.html"
    path.write_text(render_page(made_up_page.comparison_page()))
    return path


@pytest.fixture
def compared(browser: webdriver.Chrome, made_up: Path) -> Iterator[webdriver.Chrome]:
    """The page of made-up results."""
    with _opened(browser, made_up):
        yield browser


@contextmanager
def _opened(browser: webdriver.Chrome, page: Path) -> Iterator[None]:
    """A page at a desktop's width; whatever a test does, nothing is written on the console and nothing is asked for."""
    _size(browser, 1280, 900)
    browser.get("about:blank")
    _requests(browser)
    browser.get_log("browser")
    browser.get(page.as_uri())
    yield
    assert browser.get_log("browser") == []
    assert {url.partition("#")[0] for url in _requests(browser) if not url.startswith("data:image/png")} <= {
        page.as_uri(),
        "data:,",
    }


def _size(browser: webdriver.Chrome, width: int, height: int) -> None:
    metrics = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 500}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)


def _requests(browser: webdriver.Chrome) -> list[str]:
    """Every address that was asked for since the last call."""
    messages = [json.loads(entry["message"])["message"] for entry in browser.get_log("performance")]
    return [one["params"]["request"]["url"] for one in messages if one["method"] == "Network.requestWillBeSent"]


def _column(browser: webdriver.Chrome, label: str, body: str = "tbody:not(.reference)") -> list[str]:
    """What stands in a column, of the lines that are shown: the compared ones, unless it is another body's."""
    script = """
        const headings = [...document.querySelectorAll('#results-table thead th')];
        const index = headings.findIndex((heading) => heading.dataset.label === arguments[0]);
        return [...document.querySelectorAll(`#results-table ${arguments[1]} tr`)]
            .filter((row) => !row.hidden).map((row) => row.cells[index].textContent.trim());"""
    found: list[str] = browser.execute_script(script, label, body)
    return found


def _heading(browser: webdriver.Chrome, label: str) -> Any:
    return browser.find_element(By.CSS_SELECTOR, f'#results-table thead th[data-label="{label}"]')


def _wait(browser: webdriver.Chrome, condition: Callable[[], object]) -> None:
    WebDriverWait(browser, 5, 0.02).until(lambda _: condition())


def test_headings_sort_with_mouse_and_keyboard_and_say_so(opened: webdriver.Chrome) -> None:
    manifest_order = ["raster", "spiral-out", "z-curve"]
    assert _column(opened, "ordering") == manifest_order
    heading = _heading(opened, "nll")
    button = heading.find_element(By.TAG_NAME, "button")
    button.click()
    assert heading.get_attribute("aria-sort") == "ascending"
    values = [float(text.split()[0]) for text in _column(opened, "nll") if text]
    assert values == sorted(values) and len(values) == 2
    assert _column(opened, "ordering")[-1] == "z-curve", "what has no number comes last"
    button.send_keys(Keys.ENTER)
    assert heading.get_attribute("aria-sort") == "descending"
    assert [float(text.split()[0]) for text in _column(opened, "nll") if text] == values[::-1]
    assert _column(opened, "ordering")[-1] == "z-curve"
    assert "descending" in opened.find_element(By.ID, "shown").text
    button.send_keys(Keys.SPACE)
    assert heading.get_attribute("aria-sort") == "none" and _column(opened, "ordering") == manifest_order


def test_words_conditions_and_choices_filter(opened: webdriver.Chrome) -> None:
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
        assert _column(opened, "ordering") == left, text
        assert opened.find_element(By.ID, "shown").text.startswith(f"{len(left)} of 3 ")
    search.clear()
    search.send_keys("colour<3")
    assert search.get_attribute("aria-invalid") == "true" and len(_column(opened, "ordering")) == 3
    search.clear()
    opened.find_element(By.CSS_SELECTOR, 'select[data-filter="ordering"] option:nth-child(3)').click()
    assert _column(opened, "ordering") == ["spiral-out"]
    hidden = _heading(opened, "dataset")
    assert not hidden.is_displayed()
    opened.find_element(By.ID, "every-column").click()
    assert hidden.is_displayed()
    opened.find_element(By.ID, "show-all").click()
    assert len(_column(opened, "ordering")) == 3 and not hidden.is_displayed()


def test_a_line_opens_its_samples_and_details(opened: webdriver.Chrome, page: Path) -> None:
    row = opened.find_element(By.CSS_SELECTOR, "#results-table tbody tr")
    anchor = row.get_attribute("data-anchor")
    dialog = opened.find_element(By.ID, str(anchor))
    row.find_element(By.CSS_SELECTOR, "td.number").click()
    _wait(opened, dialog.is_displayed)
    assert opened.current_url.endswith(f"#{anchor}")
    images = dialog.find_elements(By.TAG_NAME, "img")
    assert len(images) == 2, "one sheet for each seed"
    _wait(opened, lambda: all(opened.execute_script("return arguments[0].naturalWidth", image) > 16 for image in images))
    assert "samples of colours · gpt · raster, seed 0" in str(images[0].get_attribute("alt"))
    for summary in dialog.find_elements(By.TAG_NAME, "summary"):
        summary.click()
    text = dialog.text
    assert '"layers": 1' in text and "train_prior" in text and "seed 1" in text, text
    # How it was made is in it: code, versions and the command.
    assert "commit" in text and "torch" in text and "numpy" in text and "run" in text, text
    # Escape closes it, and the focus goes back to where it came from.
    opened.switch_to.active_element.send_keys(Keys.ESCAPE)
    _wait(opened, lambda: not dialog.is_displayed())
    _wait(opened, lambda: "#" not in opened.current_url)
    link = row.find_element(By.TAG_NAME, "a")
    assert opened.switch_to.active_element == link
    link.send_keys(Keys.ENTER)
    _wait(opened, dialog.is_displayed)
    opened.back()
    _wait(opened, lambda: not dialog.is_displayed())
    # The address alone opens it.
    opened.get("about:blank")
    opened.get(f"{page.as_uri()}#{anchor}")
    _wait(opened, opened.find_element(By.ID, str(anchor)).is_displayed)
    opened.find_element(By.CSS_SELECTOR, "dialog[open] .close").click()
    _wait(opened, lambda: "#" not in opened.current_url)


def _in_view(browser: webdriver.Chrome, element: Any) -> bool:
    script = "const box = arguments[0].getBoundingClientRect(); return box.top >= -1 && box.bottom <= window.innerHeight + 1"
    return bool(browser.execute_script(script, element))


def _place(browser: webdriver.Chrome) -> float:
    return float(browser.execute_script("return window.scrollY"))


@pytest.mark.parametrize("how", ["escape", "button", "back"])
def test_closing_details_leads_back_to_where_they_were_opened(compared: webdriver.Chrome, made_up: Path, how: str) -> None:
    compared.get(f"{made_up.as_uri()}#results")
    card = compared.find_elements(By.CSS_SELECTOR, "#samples .card h3 a")[-1]
    compared.execute_script("arguments[0].scrollIntoView({block: 'center', behavior: 'instant'})", card)
    before = _place(compared)
    assert before > 100
    card.click()
    _wait(compared, lambda: compared.find_elements(By.CSS_SELECTOR, "dialog[open]"))
    assert _place(compared) == before, "the page stands still under its details"
    if how == "escape":
        compared.switch_to.active_element.send_keys(Keys.ESCAPE)
    elif how == "button":
        compared.find_element(By.CSS_SELECTOR, "dialog[open] .close").click()
    else:
        compared.back()
    _wait(compared, lambda: compared.current_url.endswith("#results"))
    _wait(compared, lambda: compared.switch_to.active_element == card)
    assert _place(compared) == before and _in_view(compared, card)
    # Forward shows them again, and closing them leads back again.
    compared.forward()
    _wait(compared, lambda: compared.find_elements(By.CSS_SELECTOR, "dialog[open]"))
    compared.switch_to.active_element.send_keys(Keys.ESCAPE)
    _wait(compared, lambda: compared.current_url.endswith("#results"))
    _wait(compared, lambda: _place(compared) == before)


def test_a_link_out_of_details_leads_there(compared: webdriver.Chrome) -> None:
    compared.find_element(By.CSS_SELECTOR, "#results-table tbody a").click()
    _wait(compared, lambda: compared.find_elements(By.CSS_SELECTOR, "dialog[open]"))
    dialog = compared.find_element(By.CSS_SELECTOR, "dialog[open]")
    assert "c0ffee" in dialog.text and "tamingplat run made-up.toml" in dialog.text
    anchor = dialog.get_attribute("id")
    dialog.find_element(By.CSS_SELECTOR, 'td a[href="#environment-1"]').click()
    _wait(compared, lambda: not compared.find_elements(By.CSS_SELECTOR, "dialog[open]"))
    assert compared.current_url.endswith("#environment-1")
    environment = compared.find_element(By.ID, "environment-1")
    _wait(compared, lambda: compared.switch_to.active_element == environment)
    _wait(compared, lambda: _in_view(compared, environment))
    compared.back()
    _wait(compared, lambda: compared.find_elements(By.CSS_SELECTOR, f"#{anchor}[open]"))
    compared.switch_to.active_element.send_keys(Keys.ESCAPE)
    _wait(compared, lambda: "#" not in compared.current_url)
    _wait(compared, lambda: compared.switch_to.active_element.get_attribute("href").endswith(f"#{anchor}"))


@pytest.mark.parametrize("label", ["nll", "fd-st-vgg (N=32)"])
def test_lines_of_two_tokenizers_are_never_sorted_among_each_other(compared: webdriver.Chrome, label: str) -> None:
    _heading(compared, label).find_element(By.TAG_NAME, "button").click()
    lines = [
        f"{a} {b} {c}" for a, b, c in zip(*(_column(compared, one) for one in ("tokenizer", "prior", "ordering")), strict=True)
    ]
    assert lines == [
        "a gpt raster",
        "a gpt raster-mirrored",
        "a snail raster",
        "b snail raster",
        f"b {VARIANT} z-curve",
        "b gpt-pixels raster",
    ]
    assert "they differ in tokenizer" in compared.find_element(By.ID, "shown").text
    assert len(compared.find_elements(By.CSS_SELECTOR, "#results-table .first-of-pool")) == 1
    _heading(compared, "rate").find_element(By.TAG_NAME, "button").click()
    rates = [float(text) for text in _column(compared, "rate")]
    assert rates == sorted(rates), "rates compare tokenizers"


VARIANT = "gpt[steps=2]"
REFERENCES = ["(real)", "a · (reconstruction)", "b · (reconstruction)"]


@pytest.mark.parametrize(
    ("text", "left", "references"),
    [
        ("prior=gpt", ["a · gpt · raster", "a · gpt · raster-mirrored"], REFERENCES),
        ("ordering=raster tokenizer=a", ["a · gpt · raster", "a · snail · raster"], REFERENCES[:2]),
        ("ordering=raster-mirrored|z-curve", ["a · gpt · raster-mirrored", f"b · {VARIANT} · z-curve"], REFERENCES),
        ("prior!=gpt tokenizer!=b", ["a · snail · raster"], REFERENCES[:2]),
        (f"prior={VARIANT}", [f"b · {VARIANT} · z-curve"], REFERENCES),
        (VARIANT, [f"b · {VARIANT} · z-curve"], REFERENCES),
        ("nll=3", [f"b · {VARIANT} · z-curve"], REFERENCES),
        ("nll=3.05", ["a · gpt · raster"], REFERENCES),
        ("fd-st-vgg>=32", ["a · snail · raster"], REFERENCES),
        ("fd-st-vgg-(N=32)>=32", ["a · snail · raster"], REFERENCES),
        ("mirrored", ["a · gpt · raster-mirrored"], REFERENCES),
        ("settings-tried=2", ["a · gpt · raster"], REFERENCES),
    ],
)
def test_conditions_mean_what_they_say(compared: webdriver.Chrome, text: str, left: list[str], references: list[str]) -> None:
    search = compared.find_element(By.ID, "search")
    search.send_keys(text)
    assert search.get_attribute("aria-invalid") == "false"
    assert _column(compared, "line") == left
    assert _column(compared, "line", "tbody.reference") == references


@pytest.mark.parametrize("text", ["nll<", "nll!", "prior=", "n<2", "nll<low", "prior<2"])
def test_what_is_half_typed_or_wrong_hides_nothing(compared: webdriver.Chrome, text: str) -> None:
    search = compared.find_element(By.ID, "search")
    search.send_keys(text)
    assert len(_column(compared, "line")) == 6
    wrong = text in ("n<2", "nll<low", "prior<2")
    assert search.get_attribute("aria-invalid") == str(wrong).lower()


def test_on_a_phone_the_heading_of_lines_stays_with_their_names(compared: webdriver.Chrome) -> None:
    _size(compared, 390, 844)
    names = compared.find_elements(By.CSS_SELECTOR, "#results-table tbody:not(.reference) th")
    assert len({name.text for name in names}) == 6, "each line is told from the others"
    heading = _heading(compared, "line")
    for moved in (0, 150, 100_000):
        compared.execute_script("document.querySelector('#results .scroll').scrollLeft = arguments[0]", moved)
        inside = "const box = arguments[0].getBoundingClientRect(); return [box.left, box.right]"
        frame = compared.execute_script(inside, compared.find_element(By.CSS_SELECTOR, "#results .scroll"))
        places = [compared.execute_script(inside, one) for one in (heading, *names)]
        assert all(place == pytest.approx(places[0], abs=1) for place in places), "one column"
        assert places[0][0] == pytest.approx(frame[0], abs=1) and places[0][1] < 250
    script = """
        const box = arguments[0].getBoundingClientRect();
        return document.elementFromPoint(box.left + 9, box.top + 9).closest("th") === arguments[0];"""
    assert compared.execute_script(script, names[0]), "nothing covers it"
    assert compared.execute_script("return document.documentElement.scrollWidth") == 390


def test_the_page_of_the_orderings_asks_for_nothing(
    browser: webdriver.Chrome, tmp_path: Path, tamingplat_here: Callable[..., subprocess.CompletedProcess[str]]
) -> None:
    """Of the manifest itself, before it has run: with its orderings as pictures and the published figures beside ours."""
    path = tmp_path / "orderings.html"
    written = tamingplat_here("report", ORDERINGS, "--store", tmp_path / "store", "--out", path)
    assert written.returncode == 0, written.stderr + written.stdout
    with _opened(browser, path):
        assert _column(browser, "line") == ["raster", "spiral-out", "spiral-in", "z-curve", "subsample", "alternate"]
        assert len(browser.find_elements(By.CSS_SELECTOR, "#orderings figure")) == 6
        published = browser.find_element(By.ID, "published").text
        assert CAUTION in published and "4.767" in published


def test_curves_say_their_values_to_mouse_and_keyboard(opened: webdriver.Chrome) -> None:
    plot = opened.find_element(By.CSS_SELECTOR, "#curves .plot")
    opened.execute_script("arguments[0].scrollIntoView({block: 'center', behavior: 'instant'})", plot)
    tip, said = plot.find_element(By.CSS_SELECTOR, ".tip"), opened.find_element(By.CSS_SELECTOR, "#curves .said")
    webdriver.ActionChains(opened).move_to_element(plot).perform()
    _wait(opened, tip.is_displayed)
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
def test_it_fits_a_phone_and_a_desk_by_day_and_by_night(
    opened: webdriver.Chrome, width: int, scheme: str, tmp_path: Path
) -> None:
    features = [{"name": "prefers-color-scheme", "value": scheme}]
    opened.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": features})
    _size(opened, width, 844)
    assert opened.execute_script("return document.documentElement.scrollWidth") == width, "nothing sticks out"
    colour = opened.execute_script("return getComputedStyle(document.body).backgroundColor")
    assert (sum(map(int, re.findall(r"\d+", colour)[:3])) > 3 * 128) == (scheme == "light")
    taken = opened.execute_cdp_cmd("Page.captureScreenshot", {"captureBeyondViewport": True})
    picture = base64.b64decode(taken["data"])
    (tmp_path / f"page-{scheme}-{width}.png").write_bytes(picture)
    assert struct.unpack(">I", picture[16:20]) == (width,)


def test_it_prints(opened: webdriver.Chrome) -> None:
    opened.find_element(By.CSS_SELECTOR, "#results-table tbody a").click()
    _wait(opened, lambda: opened.find_elements(By.CSS_SELECTOR, "dialog[open]"))
    printed = base64.b64decode(opened.print_page())
    assert printed.startswith(b"%PDF") and len(printed) > 20_000
    opened.find_element(By.CSS_SELECTOR, "dialog[open] .close").click()
