"""A few dozen small pictures, so that a new plugin's manifest runs where no dataset is at hand."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from random import Random
from types import MappingProxyType

from PIL import Image, ImageDraw

SIDE = 16
"""Height and width in pixels."""

PER_CLASS = 24
"""Pictures of each shape."""

_COLOURS = ("#c8281e", "#1e963c", "#2850c8", "#f0c828", "#7828a0", "#141414")
_GROUND = "#f5f5f0"

Box = tuple[int, int, int, int]


def _disc(draw: ImageDraw.ImageDraw, box: Box, colour: str) -> None:
    draw.ellipse(box, fill=colour)


def _square(draw: ImageDraw.ImageDraw, box: Box, colour: str) -> None:
    draw.rectangle(box, fill=colour)


def _cross(draw: ImageDraw.ImageDraw, box: Box, colour: str) -> None:
    left, top, right, bottom = box
    draw.line((left, top, right, bottom), fill=colour, width=2)
    draw.line((left, bottom, right, top), fill=colour, width=2)


_SHAPES: Mapping[str, Callable[[ImageDraw.ImageDraw, Box, str], None]] = MappingProxyType(
    {"cross": _cross, "disc": _disc, "square": _square}
)


def draw_pictures(folder: Path) -> int:
    """Draw the pictures, always the same, as ``folder/SHAPE/NN.png``: the shapes are the classes.

    Returns:
        How many there are.
    """
    random = Random(0)
    for shape, drawn in _SHAPES.items():
        (folder / shape).mkdir(parents=True)
        for number in range(PER_CLASS):
            image = Image.new("RGB", (SIDE, SIDE), _GROUND)
            side = random.randint(5, 11)
            left, top = random.randint(1, SIDE - side - 2), random.randint(1, SIDE - side - 2)
            drawn(ImageDraw.Draw(image), (left, top, left + side, top + side), random.choice(_COLOURS))
            image.save(folder / shape / f"{number:02}.png")
    return len(_SHAPES) * PER_CLASS
