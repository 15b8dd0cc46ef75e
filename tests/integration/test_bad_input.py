"""What is wrong with data, results, paths and combinations is told by name, as early as it can be, without a traceback."""

from __future__ import annotations

import io
import json
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

Run = Callable[..., subprocess.CompletedProcess[str]]
Write = Callable[..., Path]

BLOCKS = """
[tokenizer.colours]
use = "kmeans"
config = { codebook_size = 8, steps = 5 }

[prior.gpt]
config = { layers = 1, heads = 1, width = 8 }
train = { steps = 2, batch_size = 8 }
"""
MATRIX = '[matrix]\ndataset = ["blobs"]\ntokenizer = ["colours"]\nprior = ["gpt"]\nordering = ["raster"]\n'
EVALUATE = '[evaluate]\nmetrics = ["nll"]\nsamples = 4\n'
PLAIN = BLOCKS + MATRIX + EVALUATE


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Tables of images are cached in the test's own folder."""
    monkeypatch.setenv("TAMINGPLAT_CACHE", str(tmp_path / "cache"))


def _png(seed: int) -> bytes:
    pixels = np.random.default_rng(seed).integers(0, 256, (8, 8, 3), dtype=np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, format="png")
    return buffer.getvalue()


def _images(count: int, corrupt: int, seed: int) -> list[bytes]:
    """PNG files, of which one is cut off in the middle of its pixels."""
    images = [_png(1000 * seed + index) for index in range(count)]
    images[corrupt] = images[corrupt][: len(images[corrupt]) // 2]
    return images


def _write_parquet(folder: Path) -> tuple[str, list[str]]:
    from datasets import Dataset, Features
    from datasets import Image as ImageFeature

    for split, corrupt, seed in (("train", 5, 1), ("validation", 2, 2)):
        rows = [{"image": {"bytes": image, "path": None}} for image in _images(8, corrupt, seed)]
        Dataset.from_list(rows, features=Features({"image": ImageFeature()})).to_parquet(str(folder / f"{split}.parquet"))
    settings = f'train = "{folder / "train.parquet"}", validation = "{folder / "validation.parquet"}", label_column = ""'
    return settings, [f"{folder / 'train.parquet'}: row 5,", f"{folder / 'validation.parquet'}: row 2,"]


def _write_folders(folder: Path) -> tuple[str, list[str]]:
    for split, corrupt, seed in (("train", 5, 1), ("validation", 2, 2)):
        (folder / split).mkdir()
        for index, image in enumerate(_images(8, corrupt, seed)):
            (folder / split / f"{index}.png").write_bytes(image)
    settings = f'train = "{folder / "train"}", validation = "{folder / "validation"}"'
    return settings, [str(folder / "train" / "5.png"), str(folder / "validation" / "2.png")]


@pytest.mark.parametrize(("component", "write"), [("parquet", _write_parquet), ("imagefolder", _write_folders)])
def test_every_corrupt_image_is_named_before_training(
    component: str, write: Callable[[Path], tuple[str, list[str]]], tmp_path: Path, tamingplat_here: Run
) -> None:
    folder, store, manifest = tmp_path / "images", tmp_path / "store", tmp_path / "corrupt.toml"
    folder.mkdir()
    settings, places = write(folder)
    dataset = f'[dataset.blobs]\nuse = "{component}"\nconfig = {{ {settings}, size = 8 }}\n'
    manifest.write_text(f'schema = 1\nname = "corrupt"\n{dataset}{PLAIN}')
    result = tamingplat_here("run", manifest, "--store", store)
    assert result.returncode == 2, result.stderr + result.stdout
    assert "Traceback" not in result.stderr + result.stdout
    for place in places:
        assert place in result.stderr
    # The others are whole, and nothing is said of them.
    assert len([line for line in result.stderr.splitlines() if str(folder) in line]) == len(places)
    assert not list(store.glob("train_*")) and not list(store.glob("encode*"))


@pytest.mark.slow
def test_a_corrupt_artifact_fails_the_cells_that_read_it(write_manifest: Write, tmp_path: Path, tamingplat_here: Run) -> None:
    fewer = '[tokenizer.fewer]\nuse = "kmeans"\nconfig = { codebook_size = 4, steps = 5 }\n'
    both = MATRIX.replace('["colours"]', '["colours", "fewer"]')
    manifest, store = write_manifest(BLOCKS + fewer + both + EVALUATE), tmp_path / "store"
    first = tamingplat_here("run", manifest, "--store", store)
    assert first.returncode == 0, first.stderr + first.stdout
    records = [
        path for path in store.glob("encode/*/*/stage.json") if "fewer" in json.loads(path.read_text())["record"]["label"]
    ]
    assert len(records) == 1
    damaged = records[0].with_name("train.npy")
    damaged.write_bytes(damaged.read_bytes()[:-100])

    longer = ("--set", "prior.gpt.train.steps=3")
    result = tamingplat_here("run", manifest, "--store", store, *longer)
    assert result.returncode == 1, result.stderr + result.stdout
    assert "Traceback" not in result.stderr + result.stdout
    assert str(damaged) in result.stdout
    compared = tamingplat_here("compare", manifest, "--store", store, "--format", "json", *longer)
    assert compared.returncode == 1, compared.stderr
    rows = {row["tokenizer"]: row for row in json.loads(compared.stdout) if row["kind"] == "cell"}
    assert rows["fewer"]["status"] == "failed" and str(damaged) in rows["fewer"]["reason"]
    assert rows["colours"]["status"] == "done" and rows["colours"]["metrics"]["nll"] > 0


def test_a_folder_with_something_else_in_it_is_no_store(write_manifest: Write, tmp_path: Path, tamingplat_here: Run) -> None:
    manifest, photographs = write_manifest(PLAIN), tmp_path / "photographs"
    (photographs / "summer").mkdir(parents=True)
    (photographs / "summer" / "sea.txt").write_text("blue")
    before = sorted(photographs.rglob("*"))
    result = tamingplat_here("run", manifest, "--store", photographs)
    assert result.returncode == 2, result.stderr + result.stdout
    assert str(photographs) in result.stderr and "Traceback" not in result.stderr
    assert sorted(photographs.rglob("*")) == before
    assert (photographs / "summer" / "sea.txt").read_text() == "blue"


@pytest.mark.parametrize(
    ("table", "expected"),
    [
        ('schema = 1\ntitle = "half a', ["published.toml", "cannot be read"]),
        ('schema = 1\ntitle = "t"\nsource = "s"\nmetric = "nll"\naxis = "colour"\n', ["published.toml", "axis", "row"]),
    ],
)
def test_a_malformed_table_of_published_figures_is_told_before_training(
    write_manifest: Write, tmp_path: Path, tamingplat_here: Run, table: str, expected: list[str]
) -> None:
    (tmp_path / "published.toml").write_text(table)
    manifest, store = write_manifest(PLAIN), tmp_path / "store"
    manifest.write_text(manifest.read_text().replace("schema = 1\n", 'schema = 1\ncompare_with = "published.toml"\n', 1))
    result = tamingplat_here("run", manifest, "--store", store)
    assert result.returncode == 2, result.stderr + result.stdout
    assert "Traceback" not in result.stderr
    for word in expected:
        assert word in result.stderr
    assert not list(store.glob("train_*"))


def test_a_folder_in_the_place_of_the_grids_is_told_before_training(
    write_manifest: Write, tmp_path: Path, tamingplat: Run
) -> None:
    manifest, store, folder = write_manifest(PLAIN), tmp_path / "store", tmp_path / "grids.png"
    folder.mkdir()
    result = tamingplat("run", manifest, "--store", store, "--grids", folder)
    assert result.returncode == 2, result.stderr + result.stdout
    assert str(folder) in result.stderr and "Traceback" not in result.stderr
    assert not list(store.glob("train_*")) and not list(folder.iterdir())


@pytest.fixture
def refused(write_manifest: Write, blobs: Path) -> Path:
    """A manifest with a possible cell and one that wants classes of a dataset which has none."""
    splits = f'train = "{blobs / "train.parquet"}", validation = "{blobs / "validation.parquet"}"'
    dataset = f'[dataset.unlabelled]\nuse = "parquet"\nconfig = {{ {splits}, size = 8, label_column = "" }}\n'
    conditioners = '[conditioner.shapes]\nuse = "class"\n'
    matrix = MATRIX.replace('["blobs"]', '["unlabelled"]') + 'conditioner = ["none", "shapes"]\n'
    return write_manifest(BLOCKS + dataset + conditioners + matrix + EVALUATE)


def test_a_refused_cell_names_its_block_before_training(refused: Path, tmp_path: Path, tamingplat_here: Run) -> None:
    result = tamingplat_here("run", refused, "--store", tmp_path / "store")
    assert result.returncode == 2, result.stderr + result.stdout
    assert "Traceback" not in result.stderr
    for word in (f"{refused}:", "conditioner.shapes", "the dataset gives no classes", "--skip-refused"):
        assert word in result.stderr
    assert not list((tmp_path / "store").glob("train_*"))


@pytest.mark.slow
def test_the_cells_beside_a_refused_one_run_when_that_is_wished(refused: Path, tmp_path: Path, tamingplat_here: Run) -> None:
    store = tmp_path / "store"
    result = tamingplat_here("run", refused, "--store", store, "--skip-refused")
    assert result.returncode == 0, result.stderr + result.stdout
    assert "refused" in result.stdout and "the dataset gives no classes" in result.stdout
    rows = _cells(tamingplat_here("compare", refused, "--store", store, "--format", "json"))
    assert rows["none"]["status"] == "done" and rows["none"]["metrics"]["nll"] > 0
    assert rows["shapes"]["status"] == "refused" and not rows["shapes"]["metrics"]
    assert "the dataset gives no classes" in rows["shapes"]["reason"]


def _cells(compared: subprocess.CompletedProcess[str]) -> dict[str, dict[str, Any]]:
    assert compared.returncode == 0, compared.stderr
    return {row["conditioner"]: row for row in json.loads(compared.stdout) if row["kind"] == "cell"}
