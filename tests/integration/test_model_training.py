"""Every shipped model through the whole pipeline: killed and resumed, and over two processes."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import load_file

Run = Callable[..., subprocess.CompletedProcess[str]]

WORKER = Path(__file__).parent / "workers" / "run_plan.py"

# No augmentation and no dropout; the adversarial part begins at step 5.
TEXT = """
[tokenizer.vqvae.config]
codebook_size = 16
embedding_dim = 8
downsampling = 1
channels = 8
channel_multipliers = [1, 1]
residual_blocks = 1
norm_groups = 4

[tokenizer.vqvae]
train = { steps = 20, batch_size = 8, learning_rate = 1e-4, log_every = 1, checkpoint_every = 4 }

[tokenizer.vqgan.config]
codebook_size = 16
embedding_dim = 8
downsampling = 1
channels = 8
channel_multipliers = [1, 1]
residual_blocks = 1
norm_groups = 4
perceptual = "none"
discriminator_start = 5
discriminator_channels = 8
discriminator_layers = 1

[tokenizer.vqgan]
train = { steps = 20, batch_size = 8, learning_rate = 1e-4, log_every = 1, checkpoint_every = 4, EMA }

[prior.gpt]
config = { layers = 2, heads = 2, width = 16 }
train = { steps = 20, batch_size = 8, learning_rate = 1e-4, log_every = 1, checkpoint_every = 4, EMA }

[prior.pixelsnail]
config = { layers = 1, residual_layers = 1, width = 8 }
train = { steps = 20, batch_size = 8, learning_rate = 1e-4, log_every = 1, checkpoint_every = 4 }

[matrix]
dataset = ["blobs"]
tokenizer = ["vqvae", "vqgan"]
prior = ["gpt", "pixelsnail"]
ordering = ["spiral-out"]
exclude = [{ tokenizer = "vqvae", prior = "pixelsnail" }]

[evaluate]
metrics = []
samples = 4
"""


def _manifest(write: Callable[..., Path], *, ema: bool) -> Path:
    return write(TEXT.replace(", EMA", ", ema_decay = 0.9" if ema else ""))


def _trained(store: Path) -> dict[str, tuple[Path, dict[str, Any]]]:
    """Folder and record of every trained model, by label."""
    found = {}
    for path in sorted(store.glob("train_*/*/*/stage.json")):
        record = json.loads(path.read_text())["record"]
        found[record["label"]] = (path.parent, record["result"])
    return found


def _terms(record: dict[str, Any]) -> dict[int, dict[str, float]]:
    return {point["step"]: point["terms"] for point in record["curve"] if point["split"] == "train"}


def _unfinished(store: Path) -> list[Path]:
    """The checkpoints of stages whose artifact is not there yet."""
    checkpoints = store.glob("work/*/checkpoint-*")
    return [path for path in checkpoints if not list(store.glob(f"train_*/*/{path.parent.name}/stage.json"))]


def _kill_at_a_checkpoint(command: list[str], store: Path, kind: str, chance: random.Random) -> None:
    """Start a run and kill it with SIGKILL at a random moment after a checkpoint of a stage that is not finished."""
    process = subprocess.Popen(
        command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env={**os.environ, "OMP_NUM_THREADS": "1"}
    )
    deadline = time.monotonic() + 120
    while process.poll() is None and time.monotonic() < deadline:
        # An artifact in the making has a longer name, and may be complete a moment before it is renamed.
        tokenizer_is_done = any("." not in path.parent.name for path in store.glob("train_tokenizer/*/*/stage.json"))
        if _unfinished(store) and tokenizer_is_done == (kind == "train_prior"):
            break
        time.sleep(0.002)
    time.sleep(chance.uniform(0, 0.1))
    process.send_signal(signal.SIGKILL)
    process.communicate()


@pytest.mark.slow
def test_a_killed_training_ends_with_the_same_bytes(
    write_manifest: Callable[..., Path], tmp_path: Path, tamingplat: Run, tamingplat_here: Run
) -> None:
    manifest = _manifest(write_manifest, ema=True)
    only = ["--set", 'matrix.tokenizer=["vqgan"]', "--set", 'matrix.prior=["gpt"]', "--set", "matrix.exclude=[]"]
    longer = [*only, "--set", "tokenizer.vqgan.train.steps=50", "--set", "prior.gpt.train.steps=200"]
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    result = tamingplat_here("run", manifest, "--store", whole, *longer)
    assert result.returncode == 0, result.stderr + result.stdout
    chance = random.Random(0)
    command = [sys.executable, "-m", "tamingplat", "run", str(manifest), "--store", str(killed), *longer]
    for kind in ("train_tokenizer", "train_prior"):
        _kill_at_a_checkpoint(command, killed, kind, chance)
        assert _unfinished(killed), f"{kind} was not killed between two checkpoints: the test shows nothing"
    result = tamingplat("run", manifest, "--store", killed, *longer)
    assert result.returncode == 0, result.stderr + result.stdout
    ours, theirs = _trained(killed), _trained(whole)
    assert ours.keys() == theirs.keys() and len(ours) == 2
    for label, (folder, record) in ours.items():
        reference_folder, reference = theirs[label]
        assert record["resumptions"] == 1, label
        assert (folder / "weights.safetensors").read_bytes() == (reference_folder / "weights.safetensors").read_bytes(), label
        assert _terms(record) == _terms(reference), label


def _run_in_two_processes(manifest: Path, store: Path) -> None:
    launcher = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node", "2"]
    result = subprocess.run(
        [*launcher, str(WORKER), str(manifest), str(store)],
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
        env={**os.environ, "OMP_NUM_THREADS": "1", "ACCELERATE_USE_CPU": "1"},
    )
    assert result.returncode == 0, result.stderr


@pytest.mark.slow
def test_two_processes_equal_one(write_manifest: Callable[..., Path], tmp_path: Path, tamingplat_here: Run) -> None:
    manifest = _manifest(write_manifest, ema=False)
    one, two = tmp_path / "one", tmp_path / "two"
    result = tamingplat_here("run", manifest, "--store", one, "--set", "runtime.threads=1")
    assert result.returncode == 0, result.stderr + result.stdout
    _run_in_two_processes(manifest, two)
    single, double = _trained(one), _trained(two)
    assert single.keys() == double.keys() and len(single) == 5
    for label, (folder, record) in single.items():
        other_folder, other = double[label]
        assert (record["processes"], other["processes"]) == (1, 2)
        terms, other_terms = _terms(record), _terms(other)
        assert terms.keys() == other_terms.keys() == set(range(1, 21))
        for step, values in terms.items():
            for name, value in values.items():
                assert other_terms[step][name] == pytest.approx(value, rel=1e-4, abs=2e-5), f"{label}: step {step}: {name}"
        weights, others = load_file(folder / "weights.safetensors"), load_file(other_folder / "weights.safetensors")
        for name, array in weights.items():
            np.testing.assert_allclose(others[name], array, rtol=2e-2, atol=2e-3, err_msg=f"{label}: {name}")
    # Models whose weights differ by rounding: the noise is the same, and nearly every code.
    samples = sorted(path.relative_to(one) for path in one.glob("sample/*/*/codes.npy"))
    assert len(samples) == 3
    for path in samples:
        ours, theirs = np.load(one / path), np.load(two / path)
        assert (ours == theirs).mean() > 0.9, path
