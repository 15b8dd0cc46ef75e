"""Codebooks in two real processes: moved as one process with the whole batch would, and alike bit for bit."""

from __future__ import annotations

import runpy
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

WORKER = Path(__file__).parent / "workers" / "codebook_process.py"


@pytest.mark.slow
def test_two_processes_move_codebooks_as_one_does(tmp_path):
    outputs = [tmp_path / f"{rank}.safetensors" for rank in range(2)]
    running = [
        subprocess.Popen(
            [sys.executable, str(WORKER), str(rank), "2", str(tmp_path / "rendezvous"), str(out)],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        for rank, out in enumerate(outputs)
    ]
    worker = runpy.run_path(str(WORKER))
    one = {f"{name}.{key}": tensor for name in worker["MOVING"] for key, tensor in worker["train"](0, 1, name).items()}
    for process in running:
        text, _ = process.communicate(timeout=120)
        assert process.returncode == 0, text
    first, second = (load_file(out) for out in outputs)
    assert set(first) == set(second) == set(one)
    for name, tensor in one.items():
        assert torch.equal(first[name], second[name]), name
        torch.testing.assert_close(first[name], tensor, rtol=1e-4, atol=1e-5, msg=lambda text, name=name: f"{name}: {text}")
    # Something was dead, and something was used, so that there was something to agree on.
    assert (one["averages.unused_steps"] > 0).any() and one["averages.codebook_usage"] > 0.25
