"""The page of two tokenizers' made-up results, in headless Chromium: what is compared, and ways in and out of details."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from tamingplat.report.page import render_page

try:
    from selenium.webdriver.common.by import By
    from selenium.webdriver.common.keys import Keys
except ImportError:
    pytest.skip("no selenium: pip install 'tamingplat[test]'", allow_module_level=True)

pytestmark = pytest.mark.slow

VARIANT = "gpt[steps=2]"
REFERENCES = ["(real)", "a · (reconstruction)", "b · (reconstruction)"]


@pytest.fixture(scope="module")
def made_up(made_up_page: ModuleType, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A page of made-up results of two tokenizers."""
    path = tmp_path_factory.mktemp("made-up") / "page.html"
    path.write_text(render_page(made_up_page.comparison_page()))
    return path


@pytest.fixture
def compared(browser: Any, made_up: Path) -> Iterator[Any]:
    """The page of made-up results."""
    with browser.showing(made_up):
        yield browser


@pytest.mark.parametrize("label", ["nll", "fd-st-vgg (N=32)"])
def test_lines_of_two_tokenizers_are_never_sorted_among_each_other(compared: Any, label: str) -> None:
    compared.heading(label).find_element(By.TAG_NAME, "button").click()
    lines = [
        f"{a} {b} {c}" for a, b, c in zip(*(compared.column(one) for one in ("tokenizer", "prior", "ordering")), strict=True)
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
    compared.heading("rate").find_element(By.TAG_NAME, "button").click()
    rates = [float(text) for text in compared.column("rate")]
    assert rates == sorted(rates), "rates compare tokenizers"


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
def test_conditions_mean_what_they_say(compared: Any, text: str, left: list[str], references: list[str]) -> None:
    search = compared.find_element(By.ID, "search")
    search.send_keys(text)
    assert search.get_attribute("aria-invalid") == "false"
    assert compared.column("line") == left
    assert compared.column("line", "tbody.reference") == references


@pytest.mark.parametrize("text", ["nll<", "nll!", "prior=", "n<2", "nll<low", "prior<2"])
def test_what_is_half_typed_or_wrong_hides_nothing(compared: Any, text: str) -> None:
    search = compared.find_element(By.ID, "search")
    search.send_keys(text)
    assert len(compared.column("line")) == 6
    wrong = text in ("n<2", "nll<low", "prior<2")
    assert search.get_attribute("aria-invalid") == str(wrong).lower()


@pytest.mark.parametrize("how", ["escape", "button", "back"])
def test_closing_details_leads_back_to_where_they_were_opened(compared: Any, made_up: Path, how: str) -> None:
    compared.get(f"{made_up.as_uri()}#results")
    card = compared.find_elements(By.CSS_SELECTOR, "#samples .card h3 a")[-1]
    compared.execute_script("arguments[0].scrollIntoView({block: 'center', behavior: 'instant'})", card)
    compared.settle()
    before = compared.place()
    assert before > 100
    card.click()
    compared.wait(lambda: compared.find_elements(By.CSS_SELECTOR, "dialog[open]"))
    assert compared.place() == before, "the page stands still under its details"
    if how == "escape":
        compared.switch_to.active_element.send_keys(Keys.ESCAPE)
    elif how == "button":
        compared.find_element(By.CSS_SELECTOR, "dialog[open] .close").click()
    else:
        compared.back()
    compared.wait(lambda: compared.current_url.endswith("#results"))
    compared.wait(lambda: compared.switch_to.active_element == card)
    assert compared.place() == before and compared.in_view(card)
    # Forward shows them again, and closing them leads back again.
    compared.forward()
    compared.wait(lambda: compared.find_elements(By.CSS_SELECTOR, "dialog[open]"))
    compared.switch_to.active_element.send_keys(Keys.ESCAPE)
    compared.wait(lambda: compared.current_url.endswith("#results"))
    compared.wait(lambda: compared.place() == before)


def test_a_link_out_of_details_leads_there(compared: Any) -> None:
    compared.find_element(By.CSS_SELECTOR, "#results-table tbody a").click()
    compared.wait(lambda: compared.find_elements(By.CSS_SELECTOR, "dialog[open]"))
    dialog = compared.find_element(By.CSS_SELECTOR, "dialog[open]")
    assert "c0ffee" in dialog.text and "tamingplat run made-up.toml" in dialog.text
    anchor = dialog.get_attribute("id")
    dialog.find_element(By.CSS_SELECTOR, 'td a[href="#environment-1"]').click()
    compared.wait(lambda: not compared.find_elements(By.CSS_SELECTOR, "dialog[open]"))
    assert compared.current_url.endswith("#environment-1")
    environment = compared.find_element(By.ID, "environment-1")
    compared.wait(lambda: compared.switch_to.active_element == environment)
    compared.wait(lambda: compared.in_view(environment))
    compared.back()
    compared.wait(lambda: compared.find_elements(By.CSS_SELECTOR, f"#{anchor}[open]"))
    compared.switch_to.active_element.send_keys(Keys.ESCAPE)
    compared.wait(lambda: "#" not in compared.current_url)
    compared.wait(lambda: compared.switch_to.active_element.get_attribute("href").endswith(f"#{anchor}"))


def test_on_a_phone_the_heading_of_lines_stays_with_their_names(compared: Any) -> None:
    compared.resize(390, 844)
    names = compared.find_elements(By.CSS_SELECTOR, "#results-table tbody:not(.reference) th")
    assert len({name.text for name in names}) == 6, "each line is told from the others"
    heading = compared.heading("line")
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
