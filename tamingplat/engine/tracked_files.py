"""Pictures and texts for Accelerate's trackers, each of which takes them in a way of its own.

Shape letters: n images, C/H/W image, R rows and K columns of a grid.
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import numpy as np
import numpy.typing as npt
from accelerate.tracking import GeneralTracker, MLflowTracker, TensorBoardTracker, TrackioTracker
from PIL import Image


@runtime_checkable
class _TakesPictures(Protocol):
    """Those of Accelerate's trackers that do themselves."""

    def log_images(self, values: dict[str, Any], step: int | None = None, **kwargs: Any) -> None: ...


def image_grid(images: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
    """Images uint8 (n, C, H, W) as one picture, uint8 (R·(H+1)+1, K·(W+1)+1, 3), on white, about as wide as high."""
    count, channels, height, width = images.shape
    columns = int(np.ceil(np.sqrt(count)))
    rows = -(-count // columns)
    picture = np.full((rows * (height + 1) + 1, columns * (width + 1) + 1, 3), 255, np.uint8)
    for number, image in enumerate(images):
        top, left = number // columns * (height + 1) + 1, number % columns * (width + 1) + 1
        shown = image[:3] if channels >= 3 else image[:1]  # one channel is repeated
        picture[top : top + height, left : left + width] = np.moveaxis(shown, 0, -1)
    return picture


def log_picture(tracker: GeneralTracker, name: str, picture: npt.NDArray[np.uint8], step: int) -> None:
    """Show a picture, uint8 (H, W, 3), to a tracker; to one that takes none, nothing happens."""
    if isinstance(tracker, TensorBoardTracker):
        tracker.log_images({name: picture[None]}, step=step, dataformats="NHWC")
    elif isinstance(tracker, MLflowTracker):
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder) / f"step-{step:07d}.png"
            Image.fromarray(picture).save(file)
            tracker.log_artifact(str(file), artifact_path=name)
    elif isinstance(tracker, TrackioTracker):
        from trackio import Image as Shown

        tracker.log({name: Shown(picture)}, step=step)
    elif isinstance(tracker, _TakesPictures):
        tracker.log_images({name: [picture]}, step=step)


def log_text(tracker: GeneralTracker, name: str, text: str) -> None:
    """Keep a text, a JSON document, with a tracker that takes long ones."""
    if isinstance(tracker, TensorBoardTracker):
        indented = "".join(f"    {line}\n" for line in text.splitlines())  # Markdown's way of leaving text as it is
        tracker.log({name: indented}, step=0)
    elif isinstance(tracker, MLflowTracker):
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder) / f"{name}.json"
            file.write_text(text, encoding="utf-8")
            tracker.log_artifact(str(file))
