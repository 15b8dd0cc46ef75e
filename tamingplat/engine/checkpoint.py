"""Resumable checkpoints of a training run.

``work/checkpoint-<step>/`` holds everything that is needed to continue: ``model.safetensors``, ``optimizer.safetensors``,
``average.safetensors`` where weights are averaged, and ``state.json``, which names every file's size and hash. The folder is
written beside under another name and renamed when it is whole; only then is the older one removed. Randomness and the place in
the data need no state: both are addressed by the seed and the step.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import Tensor

from tamingplat.engine.errors import EngineWarning
from tamingplat.engine.files import sha256, sync, write_tensors
from tamingplat.engine.weights import load_tensors
from tamingplat.interfaces import DataError

FORMAT = 1
STATE_FILE = "state.json"

_NAME = re.compile(r"checkpoint-(\d+)")
_PARTIAL = re.compile(r"\.checkpoint-\d+\.\d+\.partial")


@dataclass(frozen=True)
class Checkpoint:
    """A whole checkpoint on the disk.

    Attributes:
        folder: Where it lies.
        step: Optimizer steps taken when it was written.
        state: What is no tensor, as JSON.
    """

    folder: Path
    step: int
    state: Mapping[str, Any]

    def tensors(self, part: str) -> dict[str, Tensor]:
        """The tensors of one part, on the CPU; empty where it has none."""
        path = self.folder / f"{part}.safetensors"
        return load_tensors(path) if path.name in self.state["files"] else {}


class CheckpointFolder:
    """The checkpoints of one training run. Nothing but ``checkpoint-*`` folders in it is touched."""

    def __init__(self, work: Path) -> None:
        self.work = work

    def write(self, step: int, parts: Mapping[str, Mapping[str, Tensor]], state: Mapping[str, Any]) -> Path:
        """Write a checkpoint and remove the older ones, and what an interrupted write left."""
        partial = self.work / f".checkpoint-{step}.{os.getpid()}.partial"
        self._remove_partials()
        partial.mkdir(parents=True)
        files = {}
        for part, tensors in parts.items():
            if tensors:
                path = partial / f"{part}.safetensors"
                write_tensors(tensors, path)
                files[path.name] = {"size": path.stat().st_size, "sha256": sha256(path)}
        text = json.dumps({**state, "format": FORMAT, "step": step, "files": files}, allow_nan=False, indent=1)
        (partial / STATE_FILE).write_text(text)
        sync(partial / STATE_FILE)
        sync(partial)
        final = self._folder(step)
        if final.exists():
            shutil.rmtree(final)  # damaged, for the run would have continued from it
        partial.rename(final)
        sync(self.work)
        for older in self._steps():
            if older != step:
                shutil.rmtree(self._folder(older))
        return final

    def latest(self) -> Checkpoint | None:
        """The newest whole checkpoint. What is damaged is passed over with a warning that names it."""
        for step in sorted(self._steps(), reverse=True):
            try:
                return self.read(step, thorough=True)
            except DataError as error:
                warnings.warn(f"a damaged checkpoint is passed over: {error}", EngineWarning, stacklevel=2)
        return None

    def read(self, step: int, *, thorough: bool) -> Checkpoint:
        """One checkpoint; every file is compared with its hash where ``thorough``, with its size in any case.

        Raises:
            DataError: It is absent or damaged; the message names the file.
        """
        folder = self._folder(step)
        path = folder / STATE_FILE
        try:
            state = json.loads(path.read_text())
        except (OSError, UnicodeDecodeError, json.JSONDecodeError) as error:
            raise DataError(f"{path}: {error}") from error
        if not isinstance(state, dict) or [state.get("format"), state.get("step")] != [FORMAT, step] or "files" not in state:
            raise DataError(f"{path}: not the state of a checkpoint of format {FORMAT} at step {step}")
        for name, entry in state["files"].items():
            file = folder / name
            if not file.is_file() or file.stat().st_size != entry["size"]:
                raise DataError(f"{file}: absent or not of its {entry['size']} bytes")
            if thorough and sha256(file) != entry["sha256"]:
                raise DataError(f"{file}: the content is not what was written")
        return Checkpoint(folder, step, state)

    def _folder(self, step: int) -> Path:
        return self.work / f"checkpoint-{step}"

    def _steps(self) -> list[int]:
        if not self.work.is_dir():
            return []
        matches = ((_NAME.fullmatch(path.name), path) for path in self.work.iterdir())
        return [int(match[1]) for match, path in matches if match and path.is_dir()]

    def _remove_partials(self) -> None:
        if self.work.is_dir():
            for path in self.work.iterdir():
                if _PARTIAL.fullmatch(path.name) and path.is_dir():
                    shutil.rmtree(path)
