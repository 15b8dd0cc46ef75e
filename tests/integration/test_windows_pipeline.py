"""Priors of windows, from a manifest to a table."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tamingplat.cli import main


@pytest.fixture
def manifest(tmp_path: Path, shapes: Path) -> Path:
    path = tmp_path / "windows.toml"
    files = f'train = "{shapes / "train.parquet"}", validation = "{shapes / "validation.parquet"}"'
    path.write_text(f"""schema = 1
name = "windows"
[dataset.shapes]
use = "parquet"
config = {{ {files}, size = 8, coordinates = true }}
[tokenizer.colours]
use = "kmeans"
config = {{ codebook_size = 4 }}
[prior.gpt]
config = {{ layers = 1, heads = 2, width = 16 }}
window = [3, 4]
train = {{ steps = 2, batch_size = 4 }}
[conditioner.xy]
use = "coordinates"
config = {{ downsampling = 0, frame = "original", dropout = 0.1 }}
[sampler.guided]
use = "sliding-window"
config = {{ guidance = 1.5, stride = 2 }}
[matrix]
dataset = ["shapes"]
tokenizer = ["colours"]
prior = ["gpt"]
ordering = ["raster"]
conditioner = ["none", "xy"]
sampler = ["wavefront", "sliding-window", "guided"]
exclude = [{{ conditioner = "none", sampler = "guided" }}]
[evaluate]
metrics = ["nll"]
samples = 3
""")
    return path


def call(capsys: pytest.CaptureFixture[str], *arguments: object) -> tuple[int, str, str]:
    with pytest.raises(SystemExit) as left:
        main([str(argument) for argument in arguments])
    printed = capsys.readouterr()
    return int(left.value.code or 0), printed.out, printed.err


def cells(capsys: pytest.CaptureFixture[str], manifest: Path, *more: str) -> list[dict[str, Any]]:
    settings = [part for setting in more for part in ("--set", setting)]
    status, out, err = call(capsys, "plan", manifest, "--store", manifest.parent / "store", "--json", *settings)
    assert status == 0, err
    found: list[dict[str, Any]] = json.loads(out)["cells"]
    return found


def test_windows_are_trained_measured_and_sampled(manifest: Path, capsys: pytest.CaptureFixture[str]) -> None:
    store = manifest.parent / "store"
    status, _, err = call(capsys, "run", manifest, "--store", store)
    assert status == 0, err
    status, out, err = call(capsys, "compare", manifest, "--store", store, "--format", "json")
    assert status == 0, err
    rows = [row for row in json.loads(out) if row.get("sampler")]
    assert len(rows) == 5 and all(row["status"] == "done" for row in rows)
    for row in rows:
        nll = row["metrics"]["nll-3x4"]
        # An image has 64 codes; nine windows cover it, the last ones overlapping others.
        assert row["metrics"]["nll-3x4/image"] == pytest.approx(64 * nll) and 0.5 < nll < 2.5
        assert "nll" not in row["metrics"]
    drawn = {}
    for path in store.rglob("codes.npy"):
        record = json.loads((path.parent / "stage.json").read_text())
        drawn[path.parent.name] = (np.load(path), record)
    assert len(drawn) == 5 and all(codes.shape == (3, 64) for codes, _ in drawn.values())
    # The two samplers draw the same without a condition and with one; guided samples are their own.
    assert len({codes.tobytes() for codes, _ in drawn.values()}) == 3


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ('matrix.sampler=["ancestral"]', "grids of 8×8 codes, and this prior models 3×4; use sampler:sliding-window"),
        ('matrix.ordering=["spiral-out"]', "ordering:spiral-out visits other codes first; use ordering:raster"),
        ("prior.gpt.window=[3, 9]", "window 3×9: the image has 8×8 codes, which is smaller than the window"),
        ("conditioner.xy.config.downsampling=1", "a grid of 4×4, which is no multiple of the 8×8 codes"),
        ("conditioner.xy.config.dropout=0", "train it with a conditioner whose dropout is above 0"),
        ("sampler.guided.config.stride=3", "set stride to 2 or less"),
    ],
)
def test_what_is_impossible_is_refused_with_the_reason(
    manifest: Path, capsys: pytest.CaptureFixture[str], change: str, told: str
) -> None:
    found = cells(capsys, manifest, change, "matrix.exclude=[]")
    assert any(cell["status"] == "refused" and told in cell["reason"] for cell in found), found


def test_a_window_is_in_the_key_only_where_it_is_one(manifest: Path, capsys: pytest.CaptureFixture[str]) -> None:
    def key(*more: str) -> str:
        only = ('matrix.conditioner=["none"]', "matrix.exclude=[]", *more)
        settings = [part for setting in only for part in ("--set", setting)]
        status, out, err = call(capsys, "plan", manifest, "--store", manifest.parent / "store", "--json", *settings)
        assert status == 0, err
        (trained,) = [stage["key"] for stage in json.loads(out)["stages"] if stage["kind"] == "train_prior"]
        return str(trained)

    whole = 'matrix.sampler=["ancestral"]'
    assert key('matrix.sampler=["wavefront"]') != key('matrix.sampler=["wavefront"]', "prior.gpt.window=[4, 4]")
    text = manifest.read_text()
    as_large = key(whole, "prior.gpt.window=[8, 8]")
    manifest.write_text(text.replace("window = [3, 4]\n", ""))
    assert key(whole) == as_large
