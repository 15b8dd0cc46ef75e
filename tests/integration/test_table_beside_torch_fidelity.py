"""torch-fidelity's own command line, on folders of the images that the table is about, gives the table's figures."""

from __future__ import annotations

import hashlib
import json
import math
import os
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pytest
import torch
import torch_fidelity.feature_extractor_inceptionv3 as original
from PIL import Image
from tamingplat_metrics import inception

from tamingplat.manifest import load_manifest
from tamingplat.registry import load_registry
from tamingplat.stages import accelerator_of, collect_results, make_plan, run_stage
from tamingplat.stages.plan import Plan
from tamingplat.stages.stage import Stage
from tamingplat.store import Store, open_array

MANIFEST = """schema = 1
name = "figures"

[dataset.pictures]
use = "imagefolder"
config = { root = "pictures", validation_fraction = 0.5, size = 20 }

[tokenizer.colours]
use = "kmeans"
config = { codebook_size = 4, steps = 2 }

[prior.gpt]
config = { layers = 1, heads = 1, width = 8 }
train = { steps = 1, batch_size = 4 }

[feature_extractor.inception]
config = { weights = "random.pth" }

[metric.fid]
config = { extractor = "inception", allow_few = true }

[metric.kid]
config = { extractor = "inception" }

[matrix]
dataset = ["pictures"]
tokenizer = ["colours"]
prior = ["gpt"]
ordering = ["raster"]

[evaluate]
metrics = ["fid", "kid"]
samples = 6
"""


def write_weights(path: Path) -> None:
    """Weights of the network in its published layout, random, and such that signals neither vanish nor explode."""

    class Untrained(original.FeatureExtractorInceptionV3):
        def load_state_dict(self, *_: object, **__: object) -> None:
            """Keep what the constructor made."""

    empty = path.with_name("empty.pth")
    torch.save({}, empty)
    with torch.random.fork_rng(devices=[]):
        network = Untrained("untrained", ["2048"], feature_extractor_weights_path=str(empty))
    generator = torch.Generator().manual_seed(0)
    state = network.state_dict()
    for name, tensor in state.items():
        if tensor.dim() == 4:
            noise = torch.randn(tensor.shape, generator=generator)
            state[name] = noise * math.sqrt(2 / tensor[0].numel())
    torch.save(state, path)


def write_pictures(folder: Path, count: int) -> None:
    folder.mkdir()
    generator = np.random.default_rng(0)
    for number in range(count):
        coarse = generator.integers(0, 256, (5, 5, 3), dtype=np.uint8)
        Image.fromarray(coarse).resize((20, 20), Image.Resampling.BICUBIC).save(folder / f"{number:03}.png")


def run_needed(plan: Plan, wanted: Iterable[Stage], store: Store) -> None:
    """Run stages and all that they need, and nothing else of the plan."""
    for stage in wanted:
        if store.find(stage.kind, stage.key) is None:
            run_needed(plan, stage.inputs, store)
            run_stage(plan, stage, store, accelerator_of(plan.manifest.runtime, stage))


def write_png(folder: Path, images: Iterable[np.ndarray]) -> Path:
    folder.mkdir()
    for number, image in enumerate(images):
        Image.fromarray(image.transpose(1, 2, 0)).save(folder / f"{number:04}.png")
    return folder


@pytest.mark.slow
def test_fid_and_kid_of_samples(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> None:
    write_pictures(tmp_path / "pictures", 18)
    write_weights(tmp_path / "random.pth")
    digest = hashlib.sha256((tmp_path / "random.pth").read_bytes()).hexdigest()
    monkeypatch.setattr(inception, "DIGEST", digest[:8])  # the random weights in the role of the published ones
    (tmp_path / "figures.toml").write_text(MANIFEST)
    store = Store(tmp_path / "store")
    store.create()
    manifest = load_manifest(tmp_path / "figures.toml", load_registry())
    plan = make_plan(manifest, load_registry(), store)
    (cell,) = plan.cells
    assert not cell.refusals, cell.reason
    run_needed(plan, cell.evaluations, store)
    assert capfd.readouterr() == ("", "")

    assert cell.samples is not None
    samples = store.find(cell.samples.kind, cell.samples.key)
    assert samples is not None
    reference = plan.builder.dataset(cell.cell.dataset)
    count = reference.info.splits["train"]
    folders = (
        write_png(tmp_path / "samples", open_array(samples.path("images.npy"))),
        write_png(tmp_path / "reference", [reference.read("train", index)["image"] for index in range(count)]),
    )
    command = [sys.executable, "-m", "torch_fidelity.fidelity", "--input1", folders[0], "--input2", folders[1]]
    subset = min(6, count)
    command += ["--fid", "--kid", "--kid-subset-size", str(subset), "--feature-extractor-weights-path", tmp_path / "random.pth"]
    command += ["--cpu", "--json", "--no-cache", "--save-cpu-ram", "--silent"]
    threads = {"OMP_NUM_THREADS": str(torch.get_num_threads())}
    result = subprocess.run(command, capture_output=True, text=True, check=False, env={**os.environ, **threads})
    assert result.returncode == 0, result.stderr
    theirs = json.loads(result.stdout)

    (row,) = (row for row in collect_results(plan, store).rows if row.kind == "cell")
    fid = f"fid (N=6, reference={count})"
    assert row.metrics[fid] == pytest.approx(theirs["frechet_inception_distance"], rel=1e-5)
    kid = f"kid (subset={subset}, N=6)"
    assert row.metrics[kid] == pytest.approx(theirs["kernel_inception_distance_mean"], rel=1e-5)
    assert row.metrics[fid] > 1 and abs(row.metrics[kid]) > 1e-3
    assert row.standard_errors[kid] > 0
