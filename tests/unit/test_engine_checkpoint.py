"""Checkpoints: writing, damage, what is refused and what is warned about."""

from __future__ import annotations

import json
import os
import warnings
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import torch

from tamingplat.engine import CheckpointMismatchError, EngineWarning, TrainingRecord, make_accelerator, train
from tamingplat.engine.checkpoint import CheckpointFolder
from tamingplat.interfaces import TrainingSettings

Run = Callable[..., TrainingRecord]


@pytest.fixture
def run(toys: ModuleType) -> Run:
    """Trains a small model for some steps of twelve; ``stop_at`` interrupts."""

    def start(
        work: Path, kind: str = "adversarial", *, seed: int = 0, stop_at: int | None = None, **values: Any
    ) -> TrainingRecord:
        settings = TrainingSettings(**{"steps": 12, "batch_size": 8, "log_every": 2, "checkpoint_every": 4, **values})
        reached = []
        return train(
            toys.build(kind),
            toys.Points(),
            settings,
            accelerator=make_accelerator(settings, "cpu"),
            seed=seed,
            work=work,
            report=lambda progress: reached.append(progress.step),
            stop=lambda: stop_at is not None and bool(reached) and reached[-1] >= stop_at,
        )

    return start


def _interrupted(run: Run, work: Path, at: int, **values: Any) -> None:
    with pytest.raises(KeyboardInterrupt):
        run(work, stop_at=at, **values)


def _points(record: TrainingRecord) -> list[tuple[str, int, dict[str, float]]]:
    return [(point.split, point.step, dict(point.terms)) for point in record.curve]


def _tensors(work: Path, step: int) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in (work / f"checkpoint-{step}").glob("*.safetensors")}


def test_one_whole_checkpoint_is_kept(run: Run, tmp_path: Path):
    run(tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["checkpoint-12", "curve.jsonl"]
    state = json.loads((tmp_path / "checkpoint-12" / "state.json").read_text())
    assert state["step"] == 12 and state["seed"] == 0 and state["threads"] == torch.get_num_threads()
    assert set(state["files"]) == {"model.safetensors", "optimizer.safetensors"}


@pytest.mark.parametrize(("at", "stopped"), [(4, 5), (6, 6)])
def test_a_stopped_run_continues_where_it_was(run: Run, tmp_path: Path, at: int, stopped: int):
    values = {"kind": "noisy-adversarial", "ema_decay": 0.7, "validate_every": 6, "log_every": 2}
    whole = run(tmp_path / "whole", **values)
    _interrupted(run, tmp_path / "parts", at, **values)
    assert [path.name for path in (tmp_path / "parts").glob("checkpoint-*")] == [f"checkpoint-{stopped}"]
    parts = run(tmp_path / "parts", **values)
    assert _points(parts) == _points(whole)
    assert _tensors(tmp_path / "parts", 12) == _tensors(tmp_path / "whole", 12)
    assert (parts.resumptions, whole.resumptions) == (1, 0)
    assert parts.flops == whole.flops
    seconds = [point.seconds for point in parts.curve]
    assert seconds == sorted(seconds)


def test_a_validation_that_a_stop_prevented_is_made_up_for(run: Run, toys: ModuleType, tmp_path: Path):
    whole = run(tmp_path / "whole", validate_every=5)
    settings = TrainingSettings(steps=12, batch_size=8, log_every=2, checkpoint_every=4, validate_every=5)

    class Stopping(toys.Points):
        stopped = False

        def load_validation(self, indices: Any) -> Any:
            Stopping.stopped = True
            return super().load_validation(indices)

    def start(data: Any, stop: Callable[[], bool]) -> TrainingRecord:
        accelerator = make_accelerator(settings, "cpu")
        work = tmp_path / "parts"
        model = toys.build("adversarial")
        return train(model, data, settings, accelerator=accelerator, seed=0, work=work, report=lambda _: None, stop=stop)

    with pytest.raises(KeyboardInterrupt):
        start(Stopping(), lambda: Stopping.stopped)
    assert [path.name for path in (tmp_path / "parts").glob("checkpoint-*")] == ["checkpoint-5"]
    assert _points(start(toys.Points(), lambda: False)) == _points(whole)


def test_a_finished_run_is_not_trained_again(run: Run, toys: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    whole = run(tmp_path, ema_decay=0.5)

    def load(*_: Any) -> Any:
        raise AssertionError("examples were loaded")

    monkeypatch.setattr(toys.Points, "load", load)
    again = run(tmp_path, ema_decay=0.5)
    assert _points(again) == _points(whole) and again.seconds == pytest.approx(whole.seconds, abs=0.05)


@pytest.mark.parametrize("damage", ["cut", "changed", "absent", "state cut", "state absent", "other format"])
def test_a_damaged_checkpoint_is_passed_over(run: Run, tmp_path: Path, damage: str):
    whole = run(tmp_path / "whole")
    work = tmp_path / "parts"
    _interrupted(run, work, 6)
    older = work / "checkpoint-7"
    newer = work / "checkpoint-9"
    newer.mkdir()
    state = json.loads((older / "state.json").read_text())
    for path in older.iterdir():
        (newer / path.name).write_bytes(path.read_bytes())
    (newer / "state.json").write_text(json.dumps({**state, "step": 9}))
    weights = newer / "model.safetensors"
    if damage == "cut":
        os.truncate(weights, weights.stat().st_size // 2)
    elif damage == "changed":
        content = bytearray(weights.read_bytes())
        content[-1] ^= 1
        weights.write_bytes(content)
    elif damage == "absent":
        weights.unlink()
    elif damage == "state cut":
        os.truncate(newer / "state.json", 20)
    elif damage == "state absent":
        (newer / "state.json").unlink()
    else:
        (newer / "state.json").write_text(json.dumps({**state, "step": 9, "format": 99}))
    with pytest.warns(EngineWarning, match="damaged checkpoint is passed over: .*checkpoint-9"):
        record = run(work)
    assert _points(record) == _points(whole) and record.resumptions == 1
    assert [path.name for path in work.glob("checkpoint-*")] == ["checkpoint-12"]


def test_with_every_checkpoint_damaged_training_starts_anew(run: Run, tmp_path: Path):
    whole = run(tmp_path / "whole")
    work = tmp_path / "parts"
    _interrupted(run, work, 6)
    os.truncate(work / "checkpoint-7" / "optimizer.safetensors", 9)
    with pytest.warns(EngineWarning, match=r"optimizer\.safetensors"):
        record = run(work)
    assert _points(record) == _points(whole) and record.resumptions == 0


def test_leftovers_of_an_interrupted_write_are_removed_and_nothing_else(run: Run, tmp_path: Path):
    (tmp_path / ".checkpoint-3.77.partial").mkdir(parents=True)
    (tmp_path / ".checkpoint-3.77.partial" / "model.safetensors").write_bytes(b"half")
    (tmp_path / "checkpoint-notes").mkdir()
    (tmp_path / "notes.txt").write_text("mine")
    run(tmp_path)
    names = sorted(path.name for path in tmp_path.iterdir())
    assert names == ["checkpoint-12", "checkpoint-notes", "curve.jsonl", "notes.txt"]


def test_the_older_checkpoint_outlives_a_failed_write(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    _interrupted(run, tmp_path, 4)

    def fail(*_: Any) -> None:
        raise OSError("no space left on device")

    with monkeypatch.context() as patch:
        patch.setattr("tamingplat.engine.files.save_file", fail)
        with pytest.raises(OSError, match="no space"):
            run(tmp_path)
    found = CheckpointFolder(tmp_path).latest()
    assert found is not None and found.step == 5
    run(tmp_path)


@pytest.mark.parametrize(
    ("values", "complaint"),
    [
        ({"seed": 1}, "its seed is 0 and not 1"),
        ({"kind": "regressor"}, "it holds optimizer states that nothing here has: autoencoder/decoder.bias/exp_avg"),
        ({"ema_decay": 0.5}, "its averaged weights are not those"),
        ({"precision": "float16"}, "another precision"),
        ({"steps": 3}, "it is at step 7 of a training of 3 steps"),
    ],
)
def test_a_checkpoint_of_another_training_is_refused(run: Run, tmp_path: Path, values: dict[str, Any], complaint: str):
    _interrupted(run, tmp_path, 6)
    with pytest.raises(CheckpointMismatchError, match=r"checkpoint-7 belongs to another training.*remove the folder") as caught:
        run(tmp_path, **values)
    assert complaint in str(caught.value)
    assert (tmp_path / "checkpoint-7").is_dir()


def test_a_model_of_another_shape_is_refused(run: Run, toys: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    _interrupted(run, tmp_path, 6, kind="regressor")
    wider = toys.Regressor()
    wider.out = torch.nn.Linear(24, 2)
    monkeypatch.setitem(toys.MODELS, "wider", lambda: wider)
    with pytest.raises(CheckpointMismatchError, match=r"misshapen: out\.weight is float32 \(1, 24\) and not float32 \(2, 24\)"):
        run(tmp_path, kind="wider")


def test_other_circumstances_are_warned_about(run: Run, tmp_path: Path):
    _interrupted(run, tmp_path, 6)
    path = tmp_path / "checkpoint-7" / "state.json"
    state = json.loads(path.read_text())
    path.write_text(json.dumps({**state, "threads": 31, "processes": 4}))
    with pytest.warns(EngineWarning, match=r"threads 31 is now \d+, processes 4 is now 1"):
        run(tmp_path)


def test_the_same_circumstances_are_not(run: Run, tmp_path: Path):
    _interrupted(run, tmp_path, 6)
    with warnings.catch_warnings():
        warnings.simplefilter("error", EngineWarning)
        run(tmp_path)


def test_the_curve_is_cut_back_to_the_checkpoint(run: Run, tmp_path: Path):
    whole = run(tmp_path / "whole")
    work = tmp_path / "parts"
    _interrupted(run, work, 6)
    with (work / "curve.jsonl").open("a") as file:
        file.write(json.dumps({"split": "train", "step": 8, "images": 64, "seconds": 9.0, "flops": 1, "terms": {}}) + "\n")
        file.write('{"split": "tra')
    record = run(work)
    assert _points(record) == _points(whole)
    assert len((work / "curve.jsonl").read_text().splitlines()) == len(whole.curve)


def test_a_lost_curve_is_warned_about(run: Run, tmp_path: Path):
    _interrupted(run, tmp_path, 6)
    (tmp_path / "curve.jsonl").unlink()
    with pytest.warns(EngineWarning, match=r"curve\.jsonl: only 0 of the checkpoint's 3 points"):
        record = run(tmp_path)
    assert [point.step for point in record.curve] == [8, 10, 12, 12]


def test_scaled_training_continues_alike(run: Run, tmp_path: Path):
    values = {"kind": "regressor", "precision": "float16"}
    whole = run(tmp_path / "whole", **values)
    _interrupted(run, tmp_path / "parts", 6, **values)
    assert json.loads((tmp_path / "parts" / "checkpoint-7" / "state.json").read_text())["scaler"]["scale"] < 65536
    assert _points(run(tmp_path / "parts", **values)) == _points(whole)
    assert _tensors(tmp_path / "parts", 12) == _tensors(tmp_path / "whole", 12)
