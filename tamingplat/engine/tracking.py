"""Following stages from outside: Accelerate's trackers are told the curve of a training, pictures, and what the manifest says.

Nothing here changes a result. What a tracker is told stands in the store all the same.

Shape letters: n images, C/H/W image.
"""

from __future__ import annotations

import json
import os
import re
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType, TracebackType
from typing import Any, Self

import numpy as np
import numpy.typing as npt
from accelerate.tracking import GeneralTracker, MLflowTracker, TensorBoardTracker, TrackioTracker, WandBTracker

from tamingplat.engine.errors import EngineWarning
from tamingplat.engine.files import sync
from tamingplat.engine.record import CurvePoint
from tamingplat.engine.tracked_files import image_grid, log_picture, log_text
from tamingplat.interfaces import TamingplatError

_RUNS_FILE = "trackers.json"
_LONGEST_NAME = 100


@dataclass(frozen=True)
class RunDescription:
    """What a tracker calls the run of one stage.

    Attributes:
        project: Name of the manifest.
        key: The stage's content key: a run with the same one is the same run.
        label: What a person would call the stage.
        directory: Where trackers that write files write them.
        known: What trackers themselves called the run when it began, by tracker; empty for a run that begins.
        step: Steps that the run has taken.
        settings: The resolved manifest as one flat table.
    """

    project: str
    key: str
    label: str
    directory: Path
    known: Mapping[str, str]
    step: int
    settings: Mapping[str, str | int | float | bool]

    @property
    def name(self) -> str:
        """The label as the name of a folder, and the beginning of the key, which makes it unique."""
        words = re.sub(r"[^A-Za-z0-9.=_]+", "-", self.label).strip("-")
        return f"{words[:_LONGEST_NAME]}-{self.key[:10]}"


Opener = Callable[[RunDescription], GeneralTracker]


def _tensorboard(run: RunDescription) -> GeneralTracker:
    # What a killed run wrote after its last checkpoint is logged again: the newer file says which steps it replaces.
    replaced = {"purge_step": run.step + 1} if run.step else {}
    return TensorBoardTracker(run.name, run.directory / run.project, **replaced)


def _wandb(run: RunDescription) -> GeneralTracker:
    return WandBTracker(run.project, id=run.key[:32], name=run.name, resume="allow", dir=str(run.directory))


def _mlflow(run: RunDescription) -> GeneralTracker:
    if "MLFLOW_TRACKING_URI" not in os.environ:
        from mlflow import set_tracking_uri

        set_tracking_uri(f"sqlite:///{run.directory / 'mlflow.db'}")
    artifacts = (run.directory / "mlflow" / run.project).as_uri()
    return MLflowTracker(run.project, logging_dir=artifacts, run_name=run.name, run_id=run.known.get("mlflow"))


def _trackio(run: RunDescription) -> GeneralTracker:
    # It takes settings when it begins: those that Accelerate tells it afterwards stay outside of the run.
    return TrackioTracker(run.project, name=run.name, resume="allow", config=dict(run.settings))


OPENERS: Mapping[str, Opener] = MappingProxyType(
    {"tensorboard": _tensorboard, "wandb": _wandb, "mlflow": _mlflow, "trackio": _trackio}
)
"""Accelerate's trackers that a manifest can name."""


@dataclass(frozen=True)
class Tracking:
    """Which trackers follow the stages of a manifest.

    Attributes:
        project: Name of the manifest.
        directory: Where trackers that write files write them.
        config: The resolved manifest, as JSON knows it.
        trackers: What opens each of them, by name; none follow where there are none.
    """

    project: str = ""
    directory: Path = Path()
    config: Mapping[str, Any] = field(default_factory=dict)
    trackers: Mapping[str, Opener] = field(default_factory=dict)

    def follow(self, key: str, label: str, work: Path) -> TrackedRun:
        """The run of one stage, which begins when it is told how far the stage is.

        Args:
            key: The stage's content key.
            label: What a person would call it.
            work: What survives a kill of the stage.
        """
        return TrackedRun(self, key, label, work)


class TrackedRun:
    """One stage, followed by trackers. A context: leaving it ends the run, which goes on when the stage is continued.

    A tracker that cannot begin stops the stage before it works. One that fails later is warned of and told nothing more.
    """

    def __init__(self, tracking: Tracking, key: str, label: str, work: Path) -> None:
        self._tracking = tracking
        self._key = key
        self._label = label
        self._file = work / _RUNS_FILE
        self._trackers: dict[str, GeneralTracker] = {}

    def begin(self, step: int) -> None:
        """Start, or go on after ``step`` steps. The manifest is told to a run that starts.

        Raises:
            TamingplatError: A tracker cannot begin; the message names it and says why.
        """
        if not self._tracking.trackers:
            return
        known = json.loads(self._file.read_text(encoding="utf-8")) if self._file.is_file() else {}
        directory = self._tracking.directory
        directory.mkdir(parents=True, exist_ok=True)
        settings = flattened(self._tracking.config)
        run = RunDescription(self._tracking.project, self._key, self._label, directory, known, step, settings)
        for name, opener in self._tracking.trackers.items():
            try:
                tracker = opener(run)
                tracker.start()
                self._trackers[name] = tracker
                if not step:
                    tracker.store_init_configuration(settings)
            except Exception as error:
                self.finish()
                raise TamingplatError(
                    f"the tracker {name} cannot begin ({type(error).__name__}: {error}); mend that, or leave it out of "
                    "runtime.trackers"
                ) from error
        if not step:
            # Some trackers know settings as short strings alone.
            text = json.dumps(self._tracking.config, indent=2, ensure_ascii=False)
            self._tell(lambda tracker: log_text(tracker, "manifest", text))
        self._remember()

    def point(self, point: CurvePoint) -> None:
        """A point of the curve: its terms under the split's name, and what it took to get there."""
        numbers = {f"{point.split}/{name}": value for name, value in point.terms.items()}
        if point.split == "train":
            numbers |= {"cost/images": float(point.images), "cost/seconds": point.seconds}
        self.numbers(numbers, point.step)

    def numbers(self, values: Mapping[str, float], step: int) -> None:
        """Numbers by name."""
        self._tell(lambda tracker: tracker.log(dict(values), step=step))

    def images(self, name: str, images: npt.NDArray[np.uint8], step: int) -> None:
        """A grid of images, uint8 (n, C, H, W)."""
        if not self._trackers or not len(images):
            return
        grid = image_grid(images)
        self._tell(lambda tracker: log_picture(tracker, name, grid, step))

    def finish(self) -> None:
        """End the run."""
        self._tell(lambda tracker: tracker.finish())
        self._trackers.clear()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None) -> None:
        self.finish()

    def _tell(self, action: Callable[[GeneralTracker], object]) -> None:
        for name, tracker in list(self._trackers.items()):
            try:
                action(tracker)
            except Exception as error:  # noqa: BLE001 - whatever it is, hours of training do not end for it
                del self._trackers[name]
                warnings.warn(
                    f"{self._label}: the tracker {name} failed and is told nothing more: {type(error).__name__}: {error}",
                    EngineWarning,
                    stacklevel=3,
                )

    def _remember(self) -> None:
        """Keep what MLflow called the run, which it alone chooses itself."""
        if "mlflow" not in self._trackers:
            return
        self._file.parent.mkdir(parents=True, exist_ok=True)
        beside = self._file.with_suffix(".tmp")
        beside.write_text(json.dumps({"mlflow": self._trackers["mlflow"].tracker.info.run_id}), encoding="utf-8")
        sync(beside)
        beside.replace(self._file)


def flattened(config: Mapping[str, Any], prefix: str = "") -> dict[str, str | int | float | bool]:
    """Settings as one flat table, the names of tables joined by full stops; lists and what is not set as JSON."""
    flat: dict[str, str | int | float | bool] = {}
    for name, value in config.items():
        # Some trackers allow names no other characters than these.
        key = prefix + re.sub(r"[^A-Za-z0-9_.\-]", "_", str(name))
        if isinstance(value, Mapping):
            flat |= flattened(value, f"{key}.")
        else:
            flat[key] = value if isinstance(value, str | int | float) else json.dumps(value)
    return flat


def make_tracking(names: Sequence[str], project: str, directory: Path, config: Mapping[str, Any]) -> Tracking:
    """The tracking of a manifest by the names of its trackers; see ``Tracking``."""
    return Tracking(project, directory, config, {name: OPENERS[name] for name in names})
