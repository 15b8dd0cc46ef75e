"""Windows that are cut from encoded images as they are read."""

from __future__ import annotations

from typing import Any

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from tamingplat.interfaces import CodeSpace, ConditionPart, Windows
from tamingplat.stages.windowed import TiledTokens

WINDOWS = Windows(CodeSpace(((5, 4),), 50), (ConditionPart("class", 9, None), ConditionPart("map", 50, (5, 4))), (2, 3))
CODES = np.random.default_rng(0).integers(0, 50, (4, 20)).astype(np.uint8)


class _Watched:
    """Remembers how many rows were read at once."""

    shape, dtype = CODES.shape, CODES.dtype

    def __init__(self) -> None:
        self.most = 0

    def __len__(self) -> int:
        return len(CODES)

    def __getitem__(self, rows: slice, /) -> Any:
        read = CODES[rows]
        self.most = max(self.most, len(read))
        return read


def test_the_windows_of_an_image_come_one_after_the_other() -> None:
    tiled, images = TiledTokens(CODES, WINDOWS.codes, WINDOWS), CODES.reshape(4, 5, 4)
    expected = [image[top : top + 2, left : left + 3].ravel() for image in images for top, left in WINDOWS.tiles()]
    assert len(tiled) == len(expected) == 4 * 6 and tiled.shape == (24, 6) and tiled.dtype == np.uint8
    np.testing.assert_array_equal(tiled[:], expected)
    condition = np.concatenate([np.full((4, 1), 7, np.uint8), CODES], axis=1)
    beside = TiledTokens(condition, WINDOWS.condition, WINDOWS)[:]
    assert (beside[:, 0] == 7).all()
    np.testing.assert_array_equal(beside[:, 1:], expected)


@given(st.integers(0, 24), st.integers(0, 30))
@settings(max_examples=60, deadline=None)
def test_only_the_images_of_the_asked_rows_are_read(start: int, count: int) -> None:
    watched = _Watched()
    whole = TiledTokens(CODES, WINDOWS.codes, WINDOWS)[:]
    np.testing.assert_array_equal(
        TiledTokens(watched, WINDOWS.codes, WINDOWS)[start : start + count], whole[start : start + count]
    )
    assert watched.most <= (count + 5) // 6 + 1


def test_without_a_condition_rows_are_empty() -> None:
    windows = Windows(CodeSpace(((5, 4),), 50), (), (2, 3))
    tiled = TiledTokens(np.empty((4, 0), np.uint8), windows.condition, windows)
    assert tiled[3:9].shape == (6, 0)
