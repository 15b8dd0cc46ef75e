"""Manifests without priors: tokenizers are trained or imported, reconstruct a split, and are the rows of the table."""

from __future__ import annotations

import csv
import io
import json
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tamingplat.manifest import load_manifest
from tamingplat.registry import load_registry
from tamingplat.report import number
from tamingplat.stages import StoredArtifacts, make_plan
from tamingplat.store import Store

Run = Callable[..., subprocess.CompletedProcess[str]]


PARITY = Path(__file__).parents[1] / "fixtures" / "parity"

TOKENIZERS = """
[tokenizer.colours]
use = "kmeans"
config = { codebook_size = 8, steps = 5 }

[tokenizer.vq]
use = "vqvae"
train = { steps = 2, batch_size = 8 }

[tokenizer.vq.config]
codebook_size = 16
embedding_dim = 8
downsampling = 1
channels = 8
channel_multipliers = [1, 1]
residual_blocks = 1
norm_groups = 4
"""

ALONE = f"""{TOKENIZERS}
[matrix]
dataset = ["blobs"]
tokenizer = ["colours", "vq"]
exclude = [{{ tokenizer = "colours", tokenizer_seed = 1 }}]

[metric.fd-st-vgg]
config = {{ allow_few = true }}

[evaluate]
metrics = ["fd-st-vgg", "reconstruction", "codebook"]
"""

PUBLISHED = """schema = 1
title = "Reconstructions"
source = "A paper"
url = "https://example.org"
metric = "PSNR"
of = "reconstruction"
axis = "tokenizer"
row = [{ label = "theirs", values = { kmeans = 30, vqvae = 20 } }]
"""


def write(folder: Path, blobs: Path, text: str, name: str, head: str = "") -> Path:
    data = f'{{ train = "{blobs / "train.parquet"}", validation = "{blobs / "validation.parquet"}", size = 8 }}'
    path = folder / f"{name}.toml"
    path.write_text(f'schema = 1\nname = "{name}"\n{head}\n[dataset.blobs]\nuse = "parquet"\nconfig = {data}\n{text}')
    return path


@pytest.fixture(scope="module")
def finished(blobs: Path, tmp_path_factory: pytest.TempPathFactory, tamingplat_here: Run) -> tuple[Path, Path, str]:
    """A manifest that has run, its store and what the run printed."""
    folder = tmp_path_factory.mktemp("alone")
    (folder / "published.toml").write_text(PUBLISHED)
    manifest = write(folder, blobs, ALONE, "alone", 'tokenizer_seeds = [0, 1]\ncompare_with = "published.toml"')
    result = tamingplat_here("run", manifest, "--store", folder / "store", "--grids", folder / "grid.png")
    assert result.returncode == 0, result.stderr + result.stdout
    return manifest, folder / "store", result.stdout


def _plan(tamingplat_here: Run, *arguments: object) -> dict[str, Any]:
    return json.loads(tamingplat_here("plan", "--json", "--no-estimates", *arguments).stdout)


def _rows(tamingplat_here: Run, *arguments: object, status: int = 0) -> list[dict[str, Any]]:
    result = tamingplat_here("compare", "--format", "json", *arguments)
    assert result.returncode == status, result.stderr
    return json.loads(result.stdout)


@pytest.mark.slow
def test_tokenizers_are_the_rows_and_nothing_is_trained_or_sampled_for_priors(
    finished: tuple[Path, Path, str], tamingplat_here: Run
) -> None:
    manifest, store, _ = finished
    *tokenizers, real = _rows(tamingplat_here, manifest, "--store", store)
    assert [(row["tokenizer"], row["tokenizer_seed"], row["kind"]) for row in tokenizers] == [
        ("colours", 0, "reconstruction"),
        ("vq", 0, "reconstruction"),
        ("vq", 1, "reconstruction"),
    ]
    for row in tokenizers:
        assert {row[kind] for kind in ("prior", "ordering", "conditioner", "sampler")} == {""} and row["seed"] is None
        distances = {"fd-st-vgg (N=32, reference=96)", "rfd-st-vgg (N=32, reference=32)"}
        assert distances | {"PSNR", "codebook use"} <= set(row["metrics"]) and row["status"] == "done"
        assert row["cost"]["tokenizer_training_seconds"] > 0 and row["machine"]["training"]["device"].startswith("cpu")
        # All of the validation split, not the number of samples that cells have by default.
        assert row["evaluation"]["samples"] == 32
    assert tokenizers[1]["metrics"]["PSNR"] != tokenizers[2]["metrics"]["PSNR"]
    assert real["kind"] == "real" and set(real["metrics"]) == {"fd-st-vgg (N=32, reference=96)"}

    plan = _plan(tamingplat_here, manifest, "--store", store)
    assert all(stage["cached"] for stage in plan["stages"])
    kinds = [stage["kind"] for stage in plan["stages"]]
    assert {kind: kinds.count(kind) for kind in kinds} == {
        "train_tokenizer": 3,
        "reconstruct": 3,
        "encode": 3,
        "features": 5,
        "evaluate": 13,
    }
    for stage in plan["stages"]:
        if stage["kind"] == "encode":  # what metrics of tokenizers need, and no training images
            files = {path.name for path in (store / "encode" / stage["key"][:2] / stage["key"]).glob("*.npy")}
            assert files == {"validation.npy"}
        if stage["kind"] == "reconstruct":
            assert len(np.load(store / "reconstruct" / stage["key"][:2] / stage["key"] / "images.npy")) == 32
    assert plan["cells"][1] == {
        **dict.fromkeys(("prior", "ordering", "conditioner", "sampler", "reason"), ""),
        "dataset": "blobs",
        "tokenizer": "vq",
        "tokenizer_seed": 0,
        "seed": None,
        "status": "possible",
    }


@pytest.mark.slow
def test_every_format_shows_them(finished: tuple[Path, Path, str], tamingplat_here: Run) -> None:
    manifest, store, printed = finished
    tokenizers = _rows(tamingplat_here, manifest, "--store", store)[:3]
    markdown = tamingplat_here("compare", manifest, "--store", store, "--format", "markdown").stdout
    heading, _, *lines = [line.strip("| ").split(" | ") for line in markdown.splitlines() if line.startswith("|")]
    assert heading[:3] == ["tokenizer", "tokenizer seed", "fd-st-vgg (N=32, reference=96) ↓"]
    assert heading[-3:] == ["params", "train", "FLOPs"]
    assert [line[0] for line in lines[:4]] == ["colours", "vq", "vq", "(real)"]
    assert "ours: blobs, tokenizer seed 0" in [line[0] for line in lines[4:]], "beside the published table"
    latex = tamingplat_here("compare", manifest, "--store", store, "--format", "latex", "--wide").stdout
    assert latex.startswith("\\begin{tabular}{ll") and "prior" not in latex
    table = csv.DictReader(io.StringIO(tamingplat_here("compare", manifest, "--store", store, "--format", "csv").stdout))
    lines_of_csv = list(table)
    assert [line["prior"] for line in lines_of_csv] == [""] * 4
    assert [float(line["PSNR"]) for line in lines_of_csv[:3]] == [row["metrics"]["PSNR"] for row in tokenizers]
    # The published table is about reconstructions: ours are its lines.
    below = printed.split("Reconstructions")[1]
    ours = [line.split() for line in below.splitlines() if line.strip().startswith("ours: ")]
    psnr = [number(row["metrics"]["PSNR"]) for row in tokenizers]
    assert "theirs" in below
    assert ours == [
        ["ours:", "blobs,", "tokenizer", "seed", "0", *psnr[:2]],
        ["ours:", "blobs,", "tokenizer", "seed", "1", psnr[2]],
    ]
    assert (manifest.parent / "grid.png").stat().st_size > 10_000
    curves = tamingplat_here("curves", manifest, "--store", store).stdout
    assert "train vq (tokenizer seed 1) on blobs,validation,2,16" in curves


@pytest.mark.slow
def test_samples_limit_how_many_are_reconstructed(finished: tuple[Path, Path, str], tamingplat_here: Run) -> None:
    manifest, store, _ = finished
    fewer = _plan(tamingplat_here, manifest, "--store", store, "--set", "evaluate.samples=8")
    todo = {stage["kind"] for stage in fewer["stages"] if not stage["cached"]}
    assert todo == {"reconstruct", "features", "evaluate"}
    row = _rows(tamingplat_here, manifest, "--store", store, "--set", "evaluate.samples=8")[0]
    assert (row["status"], row["evaluation"]["samples"]) == ("missing", 8) and "codebook use" in row["metrics"]
    more = tamingplat_here("plan", manifest, "--store", store, "--no-estimates", "--set", "evaluate.samples=99")
    assert "3 cells of tokenizers alone; 27 stages cached, 0 to do" in more.stdout
    assert "blobs: validation has 32 images, and all of them are reconstructed" in more.stdout


@pytest.mark.slow
def test_a_manifest_with_priors_takes_the_same_tokenizers(
    finished: tuple[Path, Path, str], blobs: Path, tmp_path: Path, tamingplat_here: Run
) -> None:
    manifest, store, _ = finished
    text = f"""{TOKENIZERS}
[prior.gpt]
config = {{ layers = 1, heads = 1, width = 8 }}
train = {{ steps = 1, batch_size = 8 }}
[matrix]
dataset = ["blobs"]
tokenizer = ["vq"]
prior = ["gpt"]
ordering = ["raster"]
[evaluate]
metrics = ["codebook", "fd-st-vgg"]
samples = 32
[metric.fd-st-vgg]
config = {{ allow_few = true }}
"""
    priors = write(tmp_path, blobs, text, "priors")
    stages = _plan(tamingplat_here, priors, "--store", store)["stages"]
    cached = [stage["kind"] for stage in stages if stage["cached"]]
    # Its reconstructions beside the reference and beside their originals, and the real images.
    assert sorted(cached) == [*["evaluate"] * 3, *["features"] * 3, "reconstruct", "train_tokenizer"]
    # In one table, the reconstructions of both manifests are one row, and stand beside the cells, behind them.
    rows = _rows(tamingplat_here, manifest, priors, "--store", store)
    assert [row["kind"] for row in rows] == ["cell", "reconstruction", "reconstruction", "reconstruction", "real"]
    assert rows[2]["manifest"] == "alone" and (rows[2]["tokenizer"], rows[2]["tokenizer_seed"]) == ("vq", 0)
    together = tamingplat_here("compare", manifest, priors, "--store", store, "--format", "markdown").stdout
    assert together.count("| (reconstruction) |") == 3


@pytest.mark.slow
def test_a_tokenizer_that_fails_is_a_failed_row_beside_the_others(blobs: Path, tmp_path: Path, tamingplat_here: Run) -> None:
    text = ALONE.replace("steps = 2,", "steps = 2, learning_rate = 1e30,")
    text = text[: text.index("exclude")] + '[evaluate]\nmetrics = ["codebook"]\n'
    manifest, store = write(tmp_path, blobs, text, "failing"), tmp_path / "store"
    assert tamingplat_here("run", manifest, "--store", store).returncode == 1
    rows = _rows(tamingplat_here, manifest, "--store", store, status=1)
    assert [(row["tokenizer"], row["status"]) for row in rows] == [("colours", "done"), ("vq", "failed")]
    assert rows[1]["reason"].startswith("train vq on blobs: ") and not rows[1]["metrics"]


@pytest.mark.slow
def test_an_impossible_tokenizer_is_refused_and_the_others_run(blobs: Path, tmp_path: Path, tamingplat_here: Run) -> None:
    text = ALONE.replace("downsampling = 1", "downsampling = 4").replace("channel_multipliers = [1, 1]", "")
    text = text[: text.index("exclude")] + '[evaluate]\nmetrics = ["codebook"]\n'
    manifest, store = write(tmp_path, blobs, text, "refused"), tmp_path / "store"
    result = tamingplat_here("run", manifest, "--store", store)
    assert result.returncode == 2 and "tokenizer.vq" in result.stderr and not store.exists()
    assert tamingplat_here("run", manifest, "--store", store, "--skip-refused").returncode == 0
    rows = _rows(tamingplat_here, manifest, "--store", store)
    assert [(row["tokenizer"], row["kind"], row["status"]) for row in rows] == [
        ("colours", "reconstruction", "done"),
        ("vq", "reconstruction", "refused"),
    ]
    assert "16" in rows[1]["reason"]


@pytest.mark.parametrize("command", ["validate", "plan", "run"])
def test_a_metric_of_priors_is_an_error_of_the_manifest(
    command: str, blobs: Path, tmp_path: Path, tamingplat_here: Run
) -> None:
    text = ALONE.replace('"codebook"]', '"nll"]')
    manifest, store = write(tmp_path, blobs, text, "wrong", "tokenizer_seeds = [0, 1]"), tmp_path / "store"
    result = tamingplat_here(command, manifest, "--store", store)
    assert result.returncode == 2 and not store.exists()
    assert "evaluate.metrics[2]: metric:nll measures a prior, and the matrix names none; leave it out" in result.stderr


@pytest.mark.slow
def test_imported_tokenizers_need_no_training_images(blobs: Path, tmp_path: Path, tamingplat_here: Run) -> None:
    store = tmp_path / "store"
    checkpoint = (PARITY / "vqgan.ckpt", "--config", PARITY / "vqgan.yaml", "--as", "reference")
    assert tamingplat_here("import", "taming", *checkpoint, "--store", store).returncode == 0
    text = '[tokenizer.theirs]\nartifact = "reference"\n[matrix]\ndataset = ["blobs"]\ntokenizer = ["theirs"]\n'
    manifest = write(tmp_path, blobs, text, "imported")
    registry = load_registry()
    opened = Store(store)
    loaded = load_manifest(manifest, registry, ["dataset.blobs.config.size=16"], artifacts=StoredArtifacts(opened))
    plan = make_plan(loaded, registry, opened)
    assert [check.identity()["splits"] for check in plan.checks] == [["validation"]]
    assert not plan.refused and {stage.kind for stage in plan.stages.values()} == {
        *("import_tokenizer", "encode", "reconstruct", "evaluate")
    }
    result = tamingplat_here("run", manifest, "--store", store, "--set", "dataset.blobs.config.size=16")
    assert result.returncode == 0, result.stderr + result.stdout
    (row,) = _rows(tamingplat_here, manifest, "--store", store, "--set", "dataset.blobs.config.size=16")
    assert row["status"] == "done" and {"PSNR", "codebook use"} <= set(row["metrics"])
