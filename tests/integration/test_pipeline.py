"""The whole way from a manifest to a table, on a small dataset, through the command line."""

from __future__ import annotations

import contextlib
import io
import json
import os
import re
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from tamingplat.cli import main

Run = Callable[..., subprocess.CompletedProcess[str]]
Write = Callable[..., Path]


SMALL = """
[tokenizer.colours]
use = "kmeans"
config = { codebook_size = 8 }

[tokenizer.vq]
use = "vqvae"
train = { steps = 12, batch_size = 8, validate_every = 6 }

[tokenizer.vq.config]
codebook_size = 16
embedding_dim = 8
downsampling = 1
channels = 8
channel_multipliers = [1, 1]
residual_blocks = 1
norm_groups = 4

[prior.gpt]
config = { layers = 1, heads = 2, width = 16 }
train = { steps = 10, batch_size = 8, validate_every = 5 }

[prior.pixelsnail]
config = { layers = 1, residual_layers = 1, width = 8 }
train = { steps = 10, batch_size = 8, validate_every = 5 }

[matrix]
dataset = ["blobs"]
tokenizer = ["vq"]
prior = ["gpt", "pixelsnail"]
ordering = ["raster", "spiral-out"]
include = [
    { tokenizer = "colours", prior = "gpt", ordering = "raster" },
    { tokenizer = "vq", prior = "gpt", ordering = "raster", conditioner = "class" },
]

[evaluate]
metrics = ["nll", "codebook"]
samples = 12
batch_size = 5
"""


def _print(*arguments: object) -> str:
    """What a command that only reads prints, run in this process."""
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed), pytest.raises(SystemExit) as ended:
        main([str(argument) for argument in arguments])
    assert ended.value.code == 0
    return printed.getvalue()


def _plan(manifest: Path, store: Path, *more: str) -> dict[str, Any]:
    return json.loads(_print("plan", manifest, "--store", store, "--json", *more))


def _rows(manifest: Path, store: Path, *more: str) -> list[dict[str, Any]]:
    return json.loads(_print("compare", manifest, "--store", store, "--format", "json", *more))


@pytest.fixture(scope="module")
def finished(blobs: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path, str]:
    """A manifest that has run, its store and what the run printed."""
    folder = tmp_path_factory.mktemp("finished")
    manifest, store = folder / "small.toml", folder / "store"
    data = f'{{ train = "{blobs / "train.parquet"}", validation = "{blobs / "validation.parquet"}", size = 8 }}'
    manifest.write_text(f'schema = 1\nname = "small"\n[dataset.blobs]\nuse = "parquet"\nconfig = {data}\n{SMALL}')
    result = subprocess.run(
        [sys.executable, "-m", "tamingplat", "run", manifest, "--store", store, "--grids", folder / "grid.png"],
        capture_output=True,
        text=True,
        check=False,
        timeout=400,
        env={**os.environ, "OMP_NUM_THREADS": "1", "COLUMNS": ""},
    )
    assert result.returncode == 0, result.stderr + result.stdout
    return manifest, store, result.stdout


@pytest.mark.slow
def test_a_run_prints_a_table_with_every_cell(finished: tuple[Path, Path, str]) -> None:
    manifest, store, printed = finished
    rows = _rows(manifest, store)
    cells = [row for row in rows if row["kind"] == "cell"]
    assert len(cells) == 6 and all(row["status"] == "done" for row in cells)
    for row in cells:
        assert 0 < row["metrics"]["nll"] < 10
        assert row["cost"]["prior_parameters"] > 0 and row["cost"]["prior_training_seconds"] > 0
        assert row["cost"]["samples_per_second"] > 0 and row["cost"]["prior_training_flops"] > 0
    assert {row["kind"] for row in rows} == {"cell", "reconstruction"}  # no metric of images: nothing to say of real ones
    for word in ("spiral-out", "pixelsnail", "nll", "class", "img/s"):
        assert word in printed
    grid = np.asarray(Image.open(manifest.parent / "grid.png").convert("RGB"))
    assert len(np.unique(grid.reshape(-1, 3), axis=0)) > 20
    (written,) = (store / "manifests").glob("small-*.resolved.json")
    resolved = json.loads(written.read_text())
    assert resolved["components"]["prior"]["gpt"]["config"]["width"] == 16


@pytest.mark.slow
def test_stages_are_shared_and_a_second_run_computes_nothing(finished: tuple[Path, Path, str], tamingplat_here: Run) -> None:
    manifest, store, _ = finished
    plan = _plan(manifest, store)
    kinds = [stage["kind"] for stage in plan["stages"]]
    assert kinds.count("train_tokenizer") == 2 and kinds.count("encode") == 2 and kinds.count("train_prior") == 6
    assert kinds.count("encode_conditions") == 1 and kinds.count("sample") == 6
    assert all(stage["cached"] for stage in plan["stages"])
    keys = [stage["key"] for stage in plan["stages"]]
    for place, stage in enumerate(plan["stages"]):
        assert set(stage["inputs"]) <= set(keys[:place])
    before = sorted((path, path.stat().st_mtime_ns) for path in store.rglob("stage.json"))
    again = tamingplat_here("run", manifest, "--store", store)
    assert again.returncode == 0, again.stderr
    assert "train" not in re.sub(r"train (nll|s)", "", again.stdout.split("small")[0])
    assert sorted((path, path.stat().st_mtime_ns) for path in store.rglob("stage.json")) == before


@pytest.mark.slow
def test_changing_one_prior_retrains_that_prior_alone(finished: tuple[Path, Path, str]) -> None:
    manifest, store, _ = finished
    plan = _plan(manifest, store, "--set", "prior.pixelsnail.config.width=12")
    todo = [stage for stage in plan["stages"] if not stage["cached"]]
    assert {stage["kind"] for stage in todo} == {"train_prior", "sample", "evaluate"}
    assert all("pixelsnail" in stage["label"] for stage in todo)
    assert sum(stage["kind"] == "train_prior" for stage in todo) == 2


@pytest.mark.slow
def test_samples_depend_on_neither_batch_nor_count(finished: tuple[Path, Path, str], tamingplat_here: Run) -> None:
    manifest, store, _ = finished
    more = ("--set", "evaluate.samples=15", "--set", "evaluate.batch_size=4")
    result = tamingplat_here("run", manifest, "--store", store, *more)
    assert result.returncode == 0, result.stderr
    few = {stage["label"]: stage["key"] for stage in _plan(manifest, store)["stages"] if stage["kind"] == "sample"}
    many = {stage["label"]: stage["key"] for stage in _plan(manifest, store, *more)["stages"] if stage["kind"] == "sample"}
    assert len(few) == len(many) == 6
    for (_, short), (_, long) in zip(sorted(few.items()), sorted(many.items()), strict=True):
        first = np.load(store / "sample" / short[:2] / short / "codes.npy")
        second = np.load(store / "sample" / long[:2] / long / "codes.npy")
        assert np.array_equal(first, second[:12])


@pytest.mark.slow
def test_the_commands_of_a_plan_do_what_a_run_does(
    finished: tuple[Path, Path, str], tamingplat_here: Run, tmp_path: Path
) -> None:
    manifest, store, _ = finished
    only = ("--set", 'matrix.prior=["gpt"]', "--set", 'matrix.ordering=["raster"]', "--set", "matrix.include=[]")
    only = (*only, "--set", 'evaluate.metrics=["nll"]')
    commands = tamingplat_here("plan", manifest, "--store", tmp_path / "queue", "--commands", *only).stdout.splitlines()
    assert len(commands) == 6
    (training,) = (stage for stage in _plan(manifest, tmp_path / "queue", *only)["stages"] if stage["kind"] == "train_prior")
    for command in commands:
        # The training goes through a shell, as from a queue; what that would start for the others is done in this process.
        interpreter, option, module, *arguments = shlex.split(command)
        if training["key"] in arguments:
            result = subprocess.run(command, shell=True, capture_output=True, text=True, check=False)
        else:
            assert (Path(interpreter).samefile(sys.executable), option, module) == (True, "-m", "tamingplat")
            result = tamingplat_here(*arguments)
        assert result.returncode == 0, result.stdout + result.stderr
    ours = [row["metrics"] for row in _rows(manifest, tmp_path / "queue", *only)]
    theirs = [row["metrics"] for row in _rows(manifest, store, *only)]
    assert ours == theirs


INTERRUPTED = """
[tokenizer.colours]
use = "kmeans"
config = { codebook_size = 8, steps = 5 }

[prior.gpt]
config = { layers = 1, heads = 1, width = 8 }
train = { steps = 400, batch_size = 4, checkpoint_every = 5 }

[matrix]
dataset = ["blobs"]
tokenizer = ["colours"]
prior = ["gpt"]
ordering = ["raster"]

[evaluate]
metrics = ["nll"]
samples = 4
"""


@pytest.mark.slow
def test_an_interrupted_run_goes_on(write_manifest: Write, tmp_path: Path, tamingplat_here: Run) -> None:
    manifest, store = write_manifest(INTERRUPTED), tmp_path / "store"
    process = subprocess.Popen(
        [sys.executable, "-m", "tamingplat", "run", manifest, "--store", store],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1", "COLUMNS": ""},
    )
    try:
        deadline = time.monotonic() + 120
        # The tokenizer is fitted and has no checkpoints, so that the first one is the prior's.
        while not list(store.glob("work/*/checkpoint-*")) and process.poll() is None and time.monotonic() < deadline:
            time.sleep(0.01)
        process.send_signal(signal.SIGINT)
        printed, errors = process.communicate(timeout=60)
    finally:
        process.kill()
    assert process.returncode == 130, errors
    assert "Traceback" not in errors and "goes on from the last checkpoint" in printed
    saved = list(store.glob("work/*/checkpoint-*"))
    assert len(saved) == 1 and 5 <= int(saved[0].name.removeprefix("checkpoint-")) < 400
    assert not list(store.glob("train_prior/*/*/stage.json"))
    before = {path: path.stat().st_mtime_ns for path in store.rglob("stage.json")}
    assert {path.relative_to(store).parts[0] for path in before} >= {"train_tokenizer", "encode"}

    again = tamingplat_here("run", manifest, "--store", store)
    assert again.returncode == 0, again.stderr + again.stdout
    assert {path: path.stat().st_mtime_ns for path in before} == before
    trained = list(store.glob("train_prior/*/*/stage.json"))
    assert len(trained) == 1 and trained[0].parent.name == saved[0].parent.name
    result = json.loads(trained[0].read_text())["record"]["result"]
    assert result["resumptions"] == 1 and result["steps"] == 400
    steps = [point["step"] for point in result["curve"] if point["split"] == "train"]
    assert steps == list(range(10, 401, 10))  # no gap and no repetition where it was interrupted
    assert not saved[0].parent.exists()


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ('[prior.gpt]\nuse = "gtp"', ["prior.gpt.use", "did you mean", "gpt"]),
        ("[prior.gpt]\nconfig = { widht = 3 }", ["prior.gpt.config.widht", "did you mean width"]),
        ('[tokenizer.vq]\nuse = "vqvae"\nconfig = { downsampling = 4 }', ["tokenizer.vq", "8", "16"]),
        ("[runtime]\ndevice = 'cuda:7'", ["cuda:7", "cpu"]),
        ("[evaluate]\nreference = 'tset'", ["tset", "train"]),
    ],
)
def test_what_is_wrong_is_told_before_anything_runs(
    write_manifest: Write, tamingplat_here: Run, tmp_path: Path, change: str, expected: list[str]
) -> None:
    base = '[matrix]\ndataset = ["blobs"]\ntokenizer = ["vq"]\nprior = ["gpt"]\nordering = ["raster"]\n'
    blocks = "" if "tokenizer.vq" in change else '[tokenizer.vq]\nuse = "vqvae"\nconfig = { downsampling = 1 }\n'
    manifest = write_manifest(f"{change}\n{blocks}{base}")
    result = tamingplat_here("run", manifest, "--store", tmp_path / "store")
    assert result.returncode == 2, result.stdout + result.stderr
    assert "Traceback" not in result.stderr
    for word in expected:
        assert word in result.stderr
    assert not list((tmp_path / "store").glob("train_*"))
