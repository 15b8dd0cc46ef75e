"""The page's pictures: sheets of images within a budget, the gallery, and orders drawn as they are visited."""

from __future__ import annotations

import base64
import io
from dataclasses import replace
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from tamingplat.interfaces import CodeSpace
from tamingplat.interfaces.models import VisitPlan
from tamingplat.report.budgets import with_budgets
from tamingplat.report.page.gallery import Gallery, make_gallery
from tamingplat.report.page.lines import make_table
from tamingplat.report.page.orders import draw_order
from tamingplat.report.page.pictures import BUDGET, LARGEST_SIDE, MOST_IMAGES, layout, make_sheet


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


def _gallery(page_results: ModuleType, lines: int, seeds: int, side: int, folder: Path) -> Gallery:
    rows = tuple(
        replace(row, artifacts={**row.artifacts, "samples": f"samples-{seeds * index + seed}"})
        for index in range(lines)
        for seed in range(seeds)
        for row in [page_results.row(f"order-{index}", seed, 3.0)]
    )
    table = make_table(with_budgets(replace(page_results.RESULTS, rows=rows)), [])
    store: Any = _Stored(folder, side)
    return make_gallery([], store, table.lines)


def test_every_line_has_a_picture_before_any_has_a_second(page_results: ModuleType, tmp_path: Path) -> None:
    gallery = _gallery(page_results, lines=24, seeds=12, side=64, folder=tmp_path)
    shown = [[one.sheet is not None for one in line.sheets] for line in gallery.samples]
    assert len(shown) == 24 and all(seeds[0] for seeds in shown)
    numbers = [sum(seeds) for seeds in shown]
    assert max(numbers) - min(numbers) <= 1 < max(numbers) < 12, "no line has many where another has few"
    every = [one.sheet for line in gallery.samples for one in line.sheets if one.sheet is not None]
    assert BUDGET * 0.95 < sum(len(sheet.address) for sheet in every) <= BUDGET
    assert gallery.notes == (f"{24 * 12 - len(every)} of {24 * 12} sheets are left out, to keep the page small",)


def test_large_samples_are_shown_larger_where_there_is_room(page_results: ModuleType, tmp_path: Path) -> None:
    gallery = _gallery(page_results, lines=3, seeds=1, side=256, folder=tmp_path)
    sheets = [line.sheets[0].sheet for line in gallery.samples]
    assert [(sheet.width, sheet.count) for sheet in sheets if sheet is not None] == [(4 * 257 - 1, 8)] * 3
    assert gallery.notes == ()
    gallery = _gallery(page_results, lines=7, seeds=1, side=256, folder=tmp_path)
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
