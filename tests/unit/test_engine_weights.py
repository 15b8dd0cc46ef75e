"""Weights in files."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
import torch
from torch import nn

from tamingplat.engine import load_weights, save_weights
from tamingplat.engine.weights import load_tensors, save_tensors
from tamingplat.interfaces import DataError


class Tied(nn.Module):
    """Tied weights, a buffer, a transposed layout, and a buffer that is a part of another one."""

    def __init__(self) -> None:
        super().__init__()
        self.embedding = nn.Embedding(5, 3)
        self.head = nn.Linear(3, 5, bias=False)
        self.head.weight = self.embedding.weight
        self.convolution = nn.Conv2d(2, 4, 3).to(memory_format=torch.channels_last)
        whole = torch.arange(6)
        self.register_buffer("whole", whole)
        self.register_buffer("part", whole[2:4])
        self.register_buffer("scratch", torch.zeros(2), persistent=False)


def _randomised(module: nn.Module, seed: int) -> nn.Module:
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=generator))
    return module


def test_round_trip_with_shared_tensors(tmp_path: Path):
    path = tmp_path / "weights.safetensors"
    one, other = _randomised(Tied(), 1), _randomised(Tied(), 2)
    save_weights(one, path)
    assert set(load_tensors(path)) == {"embedding.weight", "convolution.weight", "convolution.bias", "whole", "part"}
    load_weights(other, path)
    for name, value in one.state_dict().items():
        torch.testing.assert_close(other.state_dict()[name], value, rtol=0, atol=0)
    assert other.head.weight is other.embedding.weight
    assert [entry.name for entry in tmp_path.iterdir()] == [path.name]


def test_other_users_may_read_what_the_umask_allows(tmp_path: Path):
    path, plain = tmp_path / "weights.safetensors", tmp_path / "plain"
    plain.touch()
    save_weights(nn.Linear(2, 2), path)
    assert path.stat().st_mode == plain.stat().st_mode


def test_every_misfit_is_named(tmp_path: Path):
    path = tmp_path / "weights.safetensors"
    save_tensors({"weight": torch.zeros(3, 2), "gain": torch.zeros(1), "bias": torch.zeros(3, dtype=torch.int64)}, path)
    module = nn.Linear(4, 3)
    module.register_buffer("scale", torch.ones(3))
    before = module.weight.detach().clone()
    with pytest.raises(DataError) as caught:
        load_weights(module, path)
    message = str(caught.value)
    assert str(path) in message and "Linear" in message
    assert "missing: scale" in message and "unexpected: gain" in message
    assert "weight is float32 (3, 2) and not float32 (3, 4)" in message
    assert "bias is int64 (3,) and not float32 (3,)" in message
    assert torch.equal(module.weight, before)


def test_long_lists_are_cut(tmp_path: Path):
    path = tmp_path / "weights.safetensors"
    save_tensors({"unrelated": torch.zeros(1)}, path)
    with pytest.raises(DataError, match=r"missing: 0\.weight, .* and 14 more; unexpected: unrelated"):
        load_weights(nn.Sequential(*(nn.Linear(1, 1) for _ in range(12))), path)


def test_absent_and_damaged_files_are_named(tmp_path: Path):
    path = tmp_path / "weights.safetensors"
    with pytest.raises(DataError, match=r"weights\.safetensors: there is no such file"):
        load_weights(nn.Linear(1, 1), path)
    save_weights(nn.Linear(8, 8), path)
    os.truncate(path, path.stat().st_size - 4)
    with pytest.raises(DataError, match=r"weights\.safetensors: not a whole safetensors file"):
        load_weights(nn.Linear(8, 8), path)


def test_a_failed_write_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    path = tmp_path / "weights.safetensors"
    save_tensors({"a": torch.ones(1)}, path)

    def fail(*_: object) -> None:
        raise OSError("no space left")

    monkeypatch.setattr("tamingplat.engine.files.save_file", fail)
    with pytest.raises(OSError, match="no space"):
        save_tensors({"a": torch.zeros(1)}, path)
    assert load_tensors(path)["a"].item() == 1
    assert [entry.name for entry in tmp_path.iterdir()] == [path.name]
