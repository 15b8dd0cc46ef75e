"""Trackers: what they are told of a training, that it can be read back, and that a tracker that fails harms nothing."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import pytest
from accelerate import PartialState
from accelerate.tracking import GeneralTracker
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from tamingplat.engine import CurvePoint, EngineWarning, TrackedRun, Tracking, make_tracking
from tamingplat.engine.tracked_files import image_grid
from tamingplat.engine.tracking import RunDescription, flattened
from tamingplat.interfaces import TamingplatError
from tamingplat.manifest import trackers

CONFIG = {"name": "small", "seeds": [0, 1], "components": {"prior": {"gpt[lr=1]": {"layers": 2, "window": None}}}}
Run = Callable[..., TrackedRun]


class Recorder(GeneralTracker):
    """Keeps what it is told, and fails from one of its calls on."""

    name = "recorder"
    requires_logging_directory = False

    def __init__(self, description: RunDescription, fails_at: int) -> None:
        super().__init__()
        self.description = description
        self.fails_at = fails_at
        self.told: list[tuple[str, Any, int | None]] = []

    @property
    def tracker(self) -> list[tuple[str, Any, int | None]]:
        return self.told

    def _tell(self, what: str, value: Any, step: int | None) -> None:
        if len(self.told) >= self.fails_at:
            raise ConnectionError("no route to the server")
        self.told.append((what, value, step))

    def start(self) -> None:
        self._tell("start", None, None)

    def store_init_configuration(self, values: dict[str, Any]) -> None:
        self._tell("config", values, None)

    def log(self, values: dict[str, Any], step: int | None = None, **_: Any) -> None:
        self._tell("log", values, step)

    def log_images(self, values: dict[str, Any], step: int | None = None, **_: Any) -> None:
        self._tell("images", values, step)

    def finish(self) -> None:
        self._tell("finish", None, None)


@pytest.fixture
def recorded(tmp_path: Path) -> tuple[Callable[..., TrackedRun], list[Recorder]]:
    """Makes a run that a recorder follows; and the recorders."""
    made: list[Recorder] = []

    def follow(fails_at: int = 1000) -> TrackedRun:
        def opener(description: RunDescription) -> Recorder:
            made.append(Recorder(description, fails_at))
            return made[-1]

        return Tracking("small", tmp_path, CONFIG, {"recorder": opener}).follow(
            "ab" * 32, "train gpt, seed 0", tmp_path / "work"
        )

    return follow, made


def events(folder: Path) -> EventAccumulator:
    found = EventAccumulator(str(folder), size_guidance={"scalars": 0, "images": 0, "tensors": 0})
    return found.Reload()


def test_a_training_tells_every_point_of_its_curve(toys: ModuleType, tmp_path: Path, recorded: Any):
    follow, made = recorded
    with follow() as tracked:
        model, data = toys.build("regressor"), toys.Points(8)
        record = toys.train_here(model, data, tmp_path / "work", steps=10, log_every=4, validate_every=5, track=tracked)
    told = [(values, step) for what, values, step in made[0].told if what == "log"]
    expected = []
    for point in record.curve:
        values = {f"{point.split}/{name}": value for name, value in point.terms.items()}
        cost = {"cost/images": float(point.images), "cost/seconds": point.seconds} if point.split == "train" else {}
        expected.append((values | cost, point.step))
    assert told == expected
    assert [what for what, _, _ in made[0].told][:2] == ["start", "config"] and made[0].told[-1][0] == "finish"
    assert made[0].told[1][1]["components.prior.gpt_lr_1_.layers"] == 2


def test_following_changes_no_number(toys: ModuleType, tmp_path: Path, recorded: Any):
    follow, _ = recorded
    ends = []
    for number, track in enumerate((None, follow())):
        model = toys.build("regressor")
        toys.train_here(model, toys.Points(8), tmp_path / str(number), steps=6, log_every=2, track=track)
        ends.append([value.clone() for value in model.state_dict().values()])
    assert all((one == other).all() for one, other in zip(*ends, strict=True))


def test_tensorboard_can_be_read_back_and_a_resumed_run_goes_on_in_the_same_place(tmp_path: Path):
    PartialState(cpu=True)
    images = np.arange(5 * 3 * 4 * 6, dtype=np.uint8).reshape(5, 3, 4, 6)

    def run(first: int, last: int, offset: float) -> None:
        tracking = make_tracking(["tensorboard"], "small", tmp_path / "logs", CONFIG)
        with tracking.follow("ab" * 32, "train gpt on x, seed 0", tmp_path / "work") as tracked:
            tracked.begin(first)
            for step in range(first + 1, last + 1):
                tracked.point(CurvePoint("train", step, 8 * step, step / 2, None, {"total": offset + step}))
            tracked.images("samples", images, last)

    run(0, 6, 0.0)
    run(4, 8, 100.0)  # the checkpoint was that of step 4: what was logged of steps 5 and 6 is replaced
    (folder,) = (tmp_path / "logs" / "small").iterdir()
    assert folder.name == "train-gpt-on-x-seed-0-ababababab"
    found = events(folder)
    seen = {event.step: event.value for event in found.Scalars("train/total")}
    assert seen == {1: 1.0, 2: 2.0, 3: 3.0, 4: 4.0, 5: 105.0, 6: 106.0, 7: 107.0, 8: 108.0}
    assert len(found.Scalars("train/total")) == 8
    assert [event.value for event in found.Scalars("cost/images")][-1] == 64
    picture = found.Images("samples")[-1]
    assert (picture.height, picture.width) == image_grid(images).shape[:2]
    text = found.Tensors("manifest/text_summary")[0].tensor_proto.string_val[0].decode()
    assert json.loads(text) == CONFIG
    assert len(list(folder.glob("*/hparams.yml"))) == 1


def test_a_tracker_that_cannot_begin_is_an_error_before_anything_is_trained(recorded: Any):
    follow, _ = recorded
    with pytest.raises(TamingplatError, match=r"tracker recorder cannot begin \(ConnectionError: no route.*leave it out"):
        follow(0).begin(0)


def test_a_tracker_that_fails_later_is_warned_of_and_told_nothing_more(recorded: Any):
    follow, made = recorded
    tracked = follow(3)
    tracked.begin(0)
    tracked.numbers({"a": 1.0}, 1)
    with pytest.warns(EngineWarning, match="train gpt, seed 0: the tracker recorder failed and is told nothing more"):
        tracked.numbers({"a": 2.0}, 2)
    tracked.numbers({"a": 3.0}, 3)
    tracked.finish()
    assert [what for what, _, _ in made[0].told] == ["start", "config", "log"]


def test_the_manifest_is_told_to_a_run_that_starts_and_to_none_that_goes_on(recorded: Any):
    follow, made = recorded
    for step in (0, 7):
        with follow() as tracked:
            tracked.begin(step)
    assert ["config" in [what for what, _, _ in one.told] for one in made] == [True, False]
    assert [one.description.step for one in made] == [0, 7]


def test_settings_are_flat_and_named_with_what_every_tracker_allows():
    assert flattened(CONFIG) == {
        "name": "small",
        "seeds": "[0, 1]",
        "components.prior.gpt_lr_1_.layers": 2,
        "components.prior.gpt_lr_1_.window": "null",
    }


@pytest.mark.parametrize("channels", [1, 2, 3, 4])
def test_a_grid_holds_every_image_once(channels: int):
    images = np.random.default_rng(0).integers(0, 256, (7, channels, 4, 6), np.uint8)
    grid = image_grid(images)
    assert grid.shape == (3 * 5 + 1, 3 * 7 + 1, 3) and grid.dtype == np.uint8
    for number, image in enumerate(images):
        top, left = number // 3 * 5 + 1, number % 3 * 7 + 1
        shown = image[:3] if channels >= 3 else np.repeat(image[:1], 3, 0)
        assert (grid[top : top + 4, left : left + 6] == np.moveaxis(shown, 0, -1)).all()
    assert (grid[:, 0] == 255).all() and (grid[0] == 255).all()


def test_a_folder_named_like_a_tracker_is_no_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    name = "tracker_that_nobody_has"
    (tmp_path / name).mkdir()
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(trackers, "INSTALL", {**trackers.INSTALL, name: f"pip install {name}"})
    manifest: Any = SimpleNamespace(path="small.toml", runtime=SimpleNamespace(trackers=("tensorboard", name)))
    (problem,) = trackers.tracker_problems(manifest)
    assert name in problem.what and f"pip install {name}" in problem.remedy


def _follow_with(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A run of two steps and a picture, stopped and gone on with, under a tracker that is really installed."""
    PartialState(cpu=True)
    monkeypatch.chdir(tmp_path)
    images = np.zeros((4, 3, 5, 5), np.uint8)
    tracking = make_tracking([name], "small", tmp_path / "logs", {**CONFIG, "long": "x" * 20_000})
    for first in (0, 2):
        with tracking.follow("ab" * 32, "train gpt on x, seed 0", tmp_path / "work") as tracked:
            tracked.begin(first)
            for step in (first + 1, first + 2):
                tracked.point(CurvePoint("train", step, 8 * step, step / 2, None, {"total": 10.0 - step}))
            tracked.images("samples", images, first + 2)


@pytest.mark.slow
def test_mlflow_can_be_read_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    mlflow = pytest.importorskip("mlflow", reason="needs MLflow: pip install mlflow")
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    _follow_with("mlflow", tmp_path, monkeypatch)
    client = mlflow.MlflowClient(f"sqlite:///{tmp_path / 'logs' / 'mlflow.db'}")
    (experiment,) = [one for one in client.search_experiments() if one.name == "small"]
    (run,) = client.search_runs([experiment.experiment_id])  # one run, which went on
    points = client.get_metric_history(run.info.run_id, "train/total")
    assert [(point.step, point.value) for point in points] == [(1, 9.0), (2, 8.0), (3, 7.0), (4, 6.0)]
    assert run.data.params["name"] == "small" and "long" not in run.data.params
    files = sorted(file.name for file in (tmp_path / "logs" / "mlflow").rglob("*") if file.is_file())
    assert files == ["manifest.json", "step-0000002.png", "step-0000004.png"]
    assert sorted(tmp_path.iterdir()) == [tmp_path / "logs", tmp_path / "work"]


@pytest.mark.slow
def test_trackio_can_be_read_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRACKIO_DIR", str(tmp_path / "trackio"))  # read when it is imported
    trackio = pytest.importorskip("trackio", reason="needs Trackio: pip install trackio")
    _follow_with("trackio", tmp_path, monkeypatch)
    (run,) = trackio.Api().runs("small")
    assert run.name == "train-gpt-on-x-seed-0-ababababab" and run.config["name"] == "small"
    assert len(list((tmp_path / "trackio").rglob("*.png"))) == 2


@pytest.mark.slow
def test_weights_and_biases_keeps_a_run_without_a_network(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("wandb", reason="needs Weights & Biases: pip install wandb")
    monkeypatch.setenv("WANDB_MODE", "offline")
    _follow_with("wandb", tmp_path, monkeypatch)
    runs = sorted((tmp_path / "logs" / "wandb").glob("offline-run-*"))
    assert runs and all(list(run.glob("*.wandb")) for run in runs)
    assert list((tmp_path / "logs" / "wandb").rglob("*.png"))
