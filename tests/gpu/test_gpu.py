"""What only a machine with an accelerator can show: ``make gpu-check``. Elsewhere these tests are skipped, and say so."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device here: make gpu-check needs one"),
]

SCRIPT = Path(__file__).parents[2] / "experiments" / "benchmarks" / "utilisation.py"

TEXT = """
[tokenizer.vqgan]
train = { steps = 20, batch_size = 16, log_every = 1 }

[tokenizer.vqgan.config]
codebook_size = 64
embedding_dim = 32
downsampling = 1
channels = 32
channel_multipliers = [1, 1]
residual_blocks = 1
perceptual = "none"
discriminator_start = 5
discriminator_channels = 16
discriminator_layers = 1

[prior.gpt]
config = { layers = 2, heads = 2, width = 64 }
train = { steps = 20, batch_size = 16, log_every = 1 }

[prior.pixelsnail]
config = { layers = 2, residual_layers = 1, width = 32 }
train = { steps = 20, batch_size = 16, log_every = 1 }

[executor.two-gpus]
use = "accelerate"
config = { processes = 2 }

[matrix]
dataset = ["blobs"]
tokenizer = ["vqgan"]
prior = ["gpt", "pixelsnail"]
ordering = ["raster", "spiral-out"]

[evaluate]
metrics = ["nll"]
samples = 8
"""

Run = Callable[..., subprocess.CompletedProcess[str]]


def _train_curves(store: Path) -> dict[str, list[float]]:
    """The total of every training step, by the label of the stage."""
    curves = {}
    for path in store.glob("train_*/*/*/stage.json"):
        record = json.loads(path.read_text())["record"]
        points = [point["terms"] for point in record["result"]["curve"] if point["split"] == "train"]
        curves[record["label"]] = [value for terms in points for name, value in terms.items() if name.endswith("total")]
    return curves


def _run(tamingplat: Run, manifest: Path, store: Path, *more: str) -> dict[str, list[float]]:
    result = tamingplat("run", manifest, "--store", store, *more)
    assert result.returncode == 0, result.stderr + result.stdout
    return _train_curves(store)


def test_bfloat16_follows_float32(write_manifest: Callable[..., Path], tmp_path: Path, tamingplat: Run) -> None:
    manifest = write_manifest(TEXT)
    single = _run(tamingplat, manifest, tmp_path / "float32")
    settings = [f"{block}.train.precision=bfloat16" for block in ("prior.gpt", "prior.pixelsnail", "tokenizer.vqgan")]
    half = _run(tamingplat, manifest, tmp_path / "bfloat16", *(part for one in settings for part in ("--set", one)))
    for label, losses in single.items():
        first = torch.tensor(losses[:10]), torch.tensor(half[label][:10])
        torch.testing.assert_close(first[1], first[0], rtol=0.05, atol=0.02, msg=lambda text, label=label: f"{label}: {text}")


@pytest.mark.skipif(torch.cuda.device_count() < 2, reason="needs two CUDA devices")
def test_two_devices_equal_one(write_manifest: Callable[..., Path], tmp_path: Path, tamingplat: Run) -> None:
    manifest = write_manifest(TEXT)
    one = _run(tamingplat, manifest, tmp_path / "one")
    two = _run(tamingplat, manifest, tmp_path / "two", "--set", "runtime.executor=two-gpus")
    for label, losses in one.items():
        torch.testing.assert_close(torch.tensor(two[label]), torch.tensor(losses), rtol=1e-3, atol=1e-4)


def test_utilisation_is_printed(tmp_path: Path) -> None:
    """Model FLOPs utilisation of a GPT training, against a large bfloat16 matrix product timed in the same process."""
    result = subprocess.run(
        [sys.executable, SCRIPT, tmp_path / "work"], capture_output=True, text=True, check=False, env=os.environ, timeout=600
    )
    assert result.returncode == 0, result.stderr
    print(result.stdout)
    assert 0 < json.loads(result.stdout.splitlines()[-1])["utilisation"] < 1
