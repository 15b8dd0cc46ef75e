"""Metrics of images through a whole run: columns, values per image, what is shared, and what is refused."""

from __future__ import annotations

import io
import json
import shutil
import socket
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tamingplat.cli import main
from tamingplat.manifest import load_manifest
from tamingplat.registry import load_registry
from tamingplat.stages import collect_results, make_plan
from tamingplat.stages.evaluate import EvaluateImages
from tamingplat.stages.features import ExtractFeatures, RealImages
from tamingplat.stages.plan import Plan
from tamingplat.store import Store

BODY = """
[tokenizer.vq]
use = "vqvae"
train = { steps = 2, batch_size = 8 }

[tokenizer.vq.config]
codebook_size = 16
embedding_dim = 8
downsampling = 2
channels = 8
channel_multipliers = [1, 1, 1]
residual_blocks = 1
norm_groups = 4

[tokenizer.colours]
use = "kmeans"
config = { codebook_size = 4, steps = 2 }

[prior.gpt]
config = { layers = 1, heads = 1, width = 8 }
train = { steps = 2, batch_size = 8 }

[metric.fd-st-vgg]
config = { allow_few = true }

[metric.lpips]
config = { perceptual = "st-alex" }

[matrix]
dataset = ["blobs"]
tokenizer = ["TOKENIZERS"]
prior = ["gpt"]
ordering = ["raster"]

[runtime]
threads = 1

[evaluate]
metrics = ["METRICS"]
samples = 12
"""
METRICS = ("nll", "fd-st-vgg", "kd-st-vgg", "precision-recall", "memorisation", "psnr", "ssim", "lpips")


def write(
    folder: Path, blobs: Path, *, metrics: tuple[str, ...] = METRICS, tokenizers: tuple[str, ...] = ("vq",), more: str = ""
) -> Path:
    path = folder / "images.toml"
    data = f'{{ train = "{blobs / "train.parquet"}", validation = "{blobs / "validation.parquet"}", size = 24 }}'
    body = BODY.replace("METRICS", '", "'.join(metrics)).replace("TOKENIZERS", '", "'.join(tokenizers))
    named = '[metric.precision-recall]\nconfig = { extractor = "st-vgg" }\n' if "precision-recall" in metrics else ""
    path.write_text(f'schema = 1\nname = "images"\n[dataset.blobs]\nuse = "parquet"\nconfig = {data}\n{named}{body}{more}')
    return path


def run(*arguments: object) -> tuple[int, str, str]:
    out, err = io.StringIO(), io.StringIO()
    with redirect_stdout(out), redirect_stderr(err), pytest.raises(SystemExit) as ended:
        main([str(argument) for argument in arguments])
    return int(str(ended.value.code)), out.getvalue(), err.getvalue()


def plan_of(path: Path, store: Path) -> Plan:
    registry = load_registry()
    return make_plan(load_manifest(path, registry), registry, Store(store))


@pytest.mark.slow
def test_every_metric_of_images_in_one_table(blobs: Path, tmp_path: Path) -> None:
    manifest, folder = write(tmp_path, blobs), tmp_path / "store"
    status, out, err = run("run", manifest, "--store", folder)
    assert status == 0, out + err
    results = collect_results(plan_of(manifest, folder), Store(folder))
    rows = {row.kind: row for row in results.rows}
    of_images = {
        "fd-st-vgg (N=12, reference=96)",
        "kd-st-vgg (subset=12, N=12)",
        "precision-st-vgg (N=12, reference=96)",
        "recall-st-vgg (N=12, reference=96)",
        "memorisation-st-vgg (N=12)",
        "near-copies-st-vgg (N=12)",
    }
    assert of_images <= set(rows["cell"].metrics)
    assert set(rows["real"].metrics) == of_images
    of_originals = {"rfd-st-vgg (N=12, reference=12)", "rkd-st-vgg (subset=12, N=12)"}
    assert set(rows["reconstruction"].metrics) == of_images | of_originals | {"PSNR", "SSIM", "st-alex distance"}

    ranks = {column.name: column.ranks for column in results.columns}
    assert not ranks["fd-st-vgg (N=12, reference=96)"] and ranks["kd-st-vgg (subset=12, N=12)"]
    for row in results.rows:
        assert row.standard_errors["kd-st-vgg (subset=12, N=12)"] > 0
        for name, values in row.per_image.items():
            assert len(values) == (12 if "(N=12)" in name else 32)  # of samples, or of the validation split
            assert np.mean(values) == pytest.approx(row.metrics[name])
    assert {"nll", "PSNR", "SSIM", "st-alex distance", "memorisation-st-vgg (N=12)"} <= set(rows["cell"].per_image)
    cell = rows["cell"]
    assert cell.cost["seconds_per_sample"] == pytest.approx(1 / cell.cost["samples_per_second"])
    assert cell.cost["sampled_tokens_per_second"] == pytest.approx(36 * cell.cost["samples_per_second"])
    assert cell.machine["sampling"]["dtype"] == "float32" and cell.machine["sampling"]["decode_included"]
    assert cell.machine["sampling"]["host"] == socket.gethostname()
    assert {kind: len(digest) for kind, digest in cell.weights.items()} == {"tokenizer": 64, "prior": 64}
    assert rows["reconstruction"].weights == {"tokenizer": cell.weights["tokenizer"]} and not rows["real"].weights
    # Twelve of the validation images among all of them.
    assert 0.3 < rows["real"].metrics["memorisation-st-vgg (N=12)"] < 0.7


def features_of(plan: Plan, split: str) -> list[ExtractFeatures]:
    found = []
    for stage in plan.stages.values():
        if isinstance(stage, ExtractFeatures) and isinstance(stage.source, RealImages) and stage.source.split == split:
            found.append(stage)
    return found


def test_features_of_the_reference_are_extracted_once_and_known_by_content(blobs: Path, tmp_path: Path) -> None:
    for folder in ("one", "two", "data"):
        (tmp_path / folder).mkdir()
    metrics = ("fd-st-vgg", "kd-st-vgg", "memorisation")
    plan = plan_of(write(tmp_path / "one", blobs, metrics=metrics, tokenizers=("vq", "colours")), tmp_path / "store")
    (train,) = features_of(plan, "train")  # for two tokenizers and three metrics
    assert train.source.count == 96
    reads = {
        (stage.metric.label, stage.reference_features.key if stage.reference_features else "nothing")
        for stage in plan.stages.values()
        if isinstance(stage, EvaluateImages) and not stage.of_originals
    }
    assert reads == {("fd-st-vgg", train.key), ("kd-st-vgg", train.key), ("memorisation", "nothing")}

    for split in ("train", "validation"):  # the same images under another name
        shutil.copy(blobs / f"{split}.parquet", tmp_path / "data" / f"{split}.parquet")
    moved = plan_of(write(tmp_path / "two", tmp_path / "data", metrics=("kd-st-vgg",)), tmp_path / "store")
    assert [stage.key for stage in features_of(moved, "train")] == [train.key]

    shutil.copy(blobs / "validation.parquet", tmp_path / "data" / "train.parquet")  # other images under the same name
    changed = plan_of(write(tmp_path / "two", tmp_path / "data", metrics=("kd-st-vgg",)), tmp_path / "store")
    smaller = write(tmp_path / "two", blobs, metrics=("kd-st-vgg",))
    smaller.write_text(smaller.read_text().replace("size = 24", "size = 32"))  # other preprocessing
    keys = {stage.key for one in (changed, plan_of(smaller, tmp_path / "store")) for stage in features_of(one, "train")}
    assert len(keys | {train.key}) == 3


def problems(path: Path, store: Path) -> str:
    _, out, err = run("plan", path, "--store", store, "--json", "--no-estimates")
    cells: list[dict[str, Any]] = json.loads(out)["cells"] if out else []
    return err + "; ".join(cell.get("reason", "") for cell in cells)


def test_bad_input_is_named_at_plan_time(blobs: Path, tmp_path: Path) -> None:
    store = tmp_path / "store"
    few = write(tmp_path, blobs, metrics=("fd-clip", "kid", "inception-score", "precision-recall"))
    few.write_text(few.read_text().replace("samples = 12", "samples = 2"))
    found = problems(few, store)
    assert "metric:fd-clip: 2 samples are too few for the covariance of 512 features" in found
    assert "metric:kid: 2 samples are too few for a kernel distance" in found
    assert "metric:inception-score: 2 samples are too few for 10 parts" in found
    assert "metric:precision-recall: 2 samples are too few for a 3-th nearest neighbour" in found

    trained = write(tmp_path, blobs, metrics=("memorisation",), more='split = "train"\n')
    assert "metric:memorisation: compares samples with images that nothing was trained on" in problems(trained, store)
    empty = write(tmp_path, blobs, metrics=("kd-st-vgg",), more='reference = "test"\n')
    assert "has no images in split 'test'" in problems(empty, store)
    other = write(tmp_path, blobs, metrics=("kid",))
    other.write_text(other.read_text() + '\n[metric.kid]\nconfig = { extractor = "st-vgg" }\n')
    assert "metric kid: its extractor must be inception, not st-vgg" in problems(other, store)


def test_weights_that_are_not_here_stop_a_run_before_it_starts(
    blobs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("torch.hub.get_dir", lambda: str(tmp_path / "hub"))
    metrics = ("kid", "fd-clip", "fd-dinov2")
    path = write(tmp_path, blobs, metrics=metrics)
    for metric in metrics[1:]:
        path.write_text(path.read_text() + f"\n[metric.{metric}]\nconfig = {{ allow_few = true }}\n")
    status, _, err = run("run", path, "--store", tmp_path / "store")
    assert status == 2
    for file in ("weights-inception-2015-12-05-6726825d.pth", "clip-ViT-B-32.pt", "dinov2_vitl14_pretrain.pth"):
        assert file in err.replace("\n", "")
