"""Data and commands that several tests share."""

from __future__ import annotations

import io
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

ROOT = Path(__file__).parents[1]


def _write_parquet(path: Path, count: int, size: int, seed: int) -> None:
    """Images of two classes, blobs of few colours, so that something can be learned in seconds."""
    from datasets import ClassLabel, Dataset, Features
    from datasets import Image as ImageFeature

    generator = np.random.default_rng(seed)
    palette = np.array([[250, 250, 250], [200, 30, 30], [30, 160, 60], [40, 60, 200], [240, 200, 40]], dtype=np.uint8)
    rows, columns = np.mgrid[:size, :size]
    examples = []
    for index in range(count):
        label = index % 2
        centre = generator.integers(1, size - 1, 2)
        radius = generator.integers(1, size // 2)
        inside = np.maximum(abs(rows - centre[0]), abs(columns - centre[1])) < radius
        if label:
            inside = (rows - centre[0]) ** 2 + (columns - centre[1]) ** 2 < radius**2
        pixels = np.where(inside[..., None], palette[generator.integers(1, 5)], palette[0]).astype(np.uint8)
        buffer = io.BytesIO()
        Image.fromarray(pixels).save(buffer, format="png")
        examples.append({"image": {"bytes": buffer.getvalue(), "path": None}, "label": label})
    features = Features({"image": ImageFeature(), "label": ClassLabel(names=["square", "disc"])})
    Dataset.from_list(examples, features=features).to_parquet(str(path))


@pytest.fixture(scope="session")
def blobs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with ``train.parquet`` (96 images) and ``validation.parquet`` (32), 8×8 pixels, two classes."""
    folder = tmp_path_factory.mktemp("blobs")
    _write_parquet(folder / "train.parquet", 96, 8, 0)
    _write_parquet(folder / "validation.parquet", 32, 8, 1)
    return folder


@pytest.fixture
def write_manifest(blobs: Path, tmp_path: Path) -> Callable[..., Path]:
    """Writes a manifest whose dataset ``blobs`` is the small one; ``text`` follows the head."""

    def write(text: str, name: str = "small") -> Path:
        path = tmp_path / f"{name}.toml"
        path.write_text(
            f"""schema = 1
name = "{name}"

[dataset.blobs]
use = "parquet"
config = {{ train = "{blobs / "train.parquet"}", validation = "{blobs / "validation.parquet"}", size = 8 }}
{text}
"""
        )
        return path

    return write


@pytest.fixture
def tamingplat() -> Callable[..., subprocess.CompletedProcess[str]]:
    """Runs the command line in a process of its own."""

    def run(
        *arguments: object, timeout: float = 240, cwd: Path | None = None, **environment: str
    ) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "tamingplat", *map(str, arguments)],
            capture_output=True,
            text=True,
            timeout=timeout,
            check=False,
            cwd=cwd,
            env={**os.environ, "OMP_NUM_THREADS": "1", "COLUMNS": "", **environment},
        )

    return run
