"""What is known of a weight file before it is needed."""

from __future__ import annotations

import hashlib
import os
import pickle
from pathlib import Path

import pytest
import torch
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from safetensors.torch import save_file

from tamingplat.interfaces import DataError
from tamingplat.interfaces.models import file_digest, read_tensors, unreadable

STATE = {"weight": torch.arange(4096.0), "bias": torch.zeros(2)}


def write(path: Path, kind: str) -> Path:
    match kind:
        case "safetensors":
            save_file(STATE, path := path.with_suffix(".safetensors"))
        case "archive":
            torch.save(STATE, path := path.with_suffix(".pth"))
        case "legacy":
            torch.save(STATE, path := path.with_suffix(".pth"), _use_new_zipfile_serialization=False)
    return path


@pytest.mark.parametrize("kind", ["safetensors", "archive", "legacy"])
def test_whole_files_are_read_and_cut_ones_are_told(kind: str, tmp_path: Path) -> None:
    path = write(tmp_path / "whole", kind)
    assert unreadable(path) is None
    found = read_tensors(path)
    assert found.keys() == STATE.keys() and all(torch.equal(found[name], tensor) for name, tensor in STATE.items())
    for size in (0, 2, 1000, path.stat().st_size - 100):
        cut = tmp_path / f"cut-{size}{path.suffix}"
        cut.write_bytes(path.read_bytes()[:size])
        assert f"{cut}: not a readable weight file" in (unreadable(cut) or "")
        with pytest.raises(DataError, match="not a readable weight file"):
            read_tensors(cut)


@given(content=st.binary(max_size=60) | st.text(max_size=60).map(str.encode), suffix=st.sampled_from([".pth", ".safetensors"]))
@example(b"the weights of a loss", ".pth")
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_whatever_is_no_weight_file_is_one_sentence(tmp_path: Path, content: bytes, suffix: str) -> None:
    path = tmp_path / f"{hashlib.sha256(content).hexdigest()}{suffix}"
    path.write_bytes(content)
    reason = unreadable(path)
    assert reason is not None and reason.startswith(f"{path}: ") and "\n" not in reason
    with pytest.raises(DataError):
        read_tensors(path)


class Malicious:
    def __reduce__(self) -> tuple[object, tuple[Path]]:
        return Path.touch, (Path("executed"),)


def test_what_is_no_state_dict_is_told_and_nothing_is_executed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    torch.save([torch.zeros(1)], "list.pth")
    Path("evil.pth").write_bytes(pickle.dumps({"weight": Malicious()}, protocol=2))
    for name, what in (("list.pth", "holds no state dict"), ("evil.pth", "not a readable"), ("no.pth", "not a readable")):
        assert what in (unreadable(Path(name)) or "")
        with pytest.raises(DataError, match=what):
            read_tensors(Path(name))
    assert not Path("executed").exists()


def test_a_file_is_hashed_again_when_it_has_changed_and_not_before(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[str] = []
    digest = hashlib.file_digest

    def counted(file, name: str):
        read.append(file.name)
        return digest(file, name)

    monkeypatch.setattr(hashlib, "file_digest", counted)
    path = tmp_path / "weights.pth"
    for content in (b"one", b"two"):
        path.write_bytes(content)
        os.utime(path, ns=(0, len(read)))  # written within one tick of the clock, too
        assert [file_digest(path) for _ in range(3)] == [hashlib.sha256(content).hexdigest()] * 3
    assert len(read) == 2
    with pytest.raises(DataError, match="not a readable weight file"):
        file_digest(tmp_path / "nothing")
