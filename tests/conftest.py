"""Data and commands that several tests share."""

from __future__ import annotations

import importlib.util
import io
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from PIL import Image

ROOT = Path(__file__).parents[1]

# A shell that starts the tests in the background makes them, and all that they start, ignore the interrupts they are about.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

# Example distributions have tests of their own, which need them installed; what installs them runs these.
collect_ignore = ["fixtures"]


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
def fixture_module() -> Callable[[str], ModuleType]:
    """Loads a file of ``tests/fixtures`` by its name, under which pickles find it afterwards."""

    def load(name: str) -> ModuleType:
        spec = importlib.util.spec_from_file_location(name, ROOT / "tests" / "fixtures" / f"{name}.py")
        assert spec is not None and spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        sys.modules[name] = module
        spec.loader.exec_module(module)
        return module

    return load


@pytest.fixture(scope="session")
def made_up_page(fixture_module: Callable[[str], ModuleType]) -> ModuleType:
    """What makes pages of made-up results: ``tests/fixtures/made_up_page.py``."""
    return fixture_module("made_up_page")


@pytest.fixture(scope="session")
def blobs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with ``train.parquet`` (96 images) and ``validation.parquet`` (32), 8×8 pixels, two classes."""
    folder = tmp_path_factory.mktemp("blobs")
    _write_parquet(folder / "train.parquet", 96, 8, 0)
    _write_parquet(folder / "validation.parquet", 32, 8, 1)
    return folder


def _png(pixels: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, format="png")
    return buffer.getvalue()


@pytest.fixture(scope="session")
def shapes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with ``train.parquet`` (24 images) and ``validation.parquet`` (8): discs on a ground, with every condition.

    Images are 20×24 pixels, red where the ``segmentation`` is class 1 and blue where it is 2; ``depth`` has 16 bits and is
    least on the disc; the ``keypoints`` are its top, left and right.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    folder = tmp_path_factory.mktemp("shapes")
    palette = np.array([[240, 240, 240], [200, 30, 30], [30, 60, 200]], dtype=np.uint8)
    rows, columns = np.mgrid[:20, :24]
    for split, count, seed in (("train", 24, 0), ("validation", 8, 1)):
        generator, examples = np.random.default_rng(seed), []
        for index in range(count):
            y, x = (int(place) for place in generator.integers(7, 13, 2))
            inside = (rows - y) ** 2 + (columns - x) ** 2 <= 16
            classes = np.where(inside, 1 + index % 2, 0).astype(np.uint8)
            examples.append(
                {
                    "image": {"bytes": _png(palette[classes]), "path": None},
                    "label": index % 2,
                    "segmentation": _png(classes),
                    "depth": _png(np.where(inside, 1000 + index, 60_000 - columns).astype(np.uint16)),
                    "keypoints": [float(number) for number in (x, y - 4, 2, x - 4, y, 2, x + 4, y, 2)],
                }
            )
        pq.write_table(pa.Table.from_pylist(examples), folder / f"{split}.parquet")
    return folder


@pytest.fixture(scope="session")
def write_manifest_into(blobs: Path) -> Callable[..., Path]:
    """Writes a manifest whose dataset ``blobs`` is the small one into a folder, for what outlives a test.

    ``text`` follows the head, and ``settings`` those of the dataset.
    """

    def write(folder: Path, text: str, name: str = "small", settings: str = "size = 8") -> Path:
        path = folder / f"{name}.toml"
        path.write_text(
            f"""schema = 1
name = "{name}"

[dataset.blobs]
use = "parquet"
config = {{ train = "{blobs / "train.parquet"}", validation = "{blobs / "validation.parquet"}", {settings} }}
{text}
"""
        )
        return path

    return write


@pytest.fixture
def write_manifest(write_manifest_into: Callable[..., Path], tmp_path: Path) -> Callable[..., Path]:
    """Writes a manifest whose dataset ``blobs`` is the small one; ``text`` follows the head."""

    def write(text: str, name: str = "small") -> Path:
        return write_manifest_into(tmp_path, text, name)

    return write


@pytest.fixture(scope="session")
def tamingplat_here() -> Callable[..., subprocess.CompletedProcess[str]]:
    """Runs the command line in this process: for what a command does, where starting a process is not the point.

    An exception that the command does not turn into a message passes through, where a process would print a traceback.
    """
    import torch

    from tamingplat.cli import main

    def run(*arguments: object) -> subprocess.CompletedProcess[str]:
        printed, errors = io.StringIO(), io.StringIO()
        threads = torch.get_num_threads()
        with pytest.MonkeyPatch.context() as patch, redirect_stdout(printed), redirect_stderr(errors):
            patch.setenv("COLUMNS", "")
            # What a result records as the command that made it.
            patch.setattr(sys, "orig_argv", [sys.executable, "-m", "tamingplat", *map(str, arguments)])
            torch.set_num_threads(1)
            try:
                with pytest.raises(SystemExit) as ended:
                    main([str(argument) for argument in arguments])
            finally:
                torch.set_num_threads(threads)
        return subprocess.CompletedProcess(arguments, int(ended.value.code or 0), printed.getvalue(), errors.getvalue())

    return run


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
