"""The two-level tokenizer under both priors through the whole pipeline, on grids of 2×2 and 4×4 codes."""

from __future__ import annotations

import contextlib
import io
import json
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import torch

from tamingplat.cli import main

TEXT = """
[tokenizer.two]
use = "vqgan-two-level"
train = { steps = 3, batch_size = 8 }

[tokenizer.two.config]
codebook_size = 9
embedding_dim = 4
downsampling = 1
channels = 4
channel_multipliers = [1, 1, 2]
residual_blocks = 1
norm_groups = 2
perceptual = "none"
discriminator_start = 1
discriminator_channels = 4
discriminator_layers = 1

[prior.gpt]
config = { layers = 1, heads = 2, width = 8 }
train = { steps = 3, batch_size = 8 }

[prior.pixelsnail]
config = { layers = 1, residual_layers = 1, width = 4, key_width = 2 }
train = { steps = 3, batch_size = 8 }

[matrix]
dataset = ["blobs"]
tokenizer = ["two"]
prior = ["gpt", "pixelsnail"]
ordering = ["spiral-out"]

[evaluate]
metrics = ["nll"]
samples = 4
"""


@pytest.fixture
def threads() -> Iterator[None]:
    """What a run in this process changes, put back."""
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


def _printed(*arguments: object) -> str:
    """What a command prints, run in this process."""
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed), pytest.raises(SystemExit) as ended:
        main([str(argument) for argument in arguments])
    assert ended.value.code == 0, printed.getvalue()
    return printed.getvalue()


@pytest.mark.usefixtures("threads")
def test_both_priors_train_on_two_grids_and_sample(write_manifest: Callable[..., Path], tmp_path: Path) -> None:
    manifest, store = write_manifest(TEXT), tmp_path / "store"
    _printed("run", manifest, "--store", store)
    rows = json.loads(_printed("compare", manifest, "--store", store, "--format", "json"))
    cells = [row for row in rows if row["kind"] == "cell"]
    assert {row["prior"]: row["status"] for row in cells} == {"gpt": "done", "pixelsnail": "done"}
    # Near the logarithm of nine codes: three steps teach little.
    assert all(0.1 < row["metrics"]["nll"] < 4 for row in cells)
    (codes,) = (np.load(path) for path in store.glob("encode/*/*/train.npy"))
    assert codes.shape[-1] == 2 * 2 + 4 * 4 and codes.max() < 9
    sampled = [np.load(path) for path in store.glob("sample/*/*/images.npy")]
    assert [images.shape for images in sampled] == [(4, 3, 8, 8)] * 2
