"""A stage: one node of the plan, with a content key and the work that makes its artifact."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar

import torch
from accelerate import Accelerator

from tamingplat.engine import Progress, TrackedRun, Tracking
from tamingplat.interfaces import TrainingSettings
from tamingplat.stages.absent import is_provisional
from tamingplat.stages.build import Builder
from tamingplat.store import Artifact, Store, content_key

KEY_VERSION = 1
"""Raised when the meaning of a key changes for every stage."""


@dataclass(frozen=True)
class StageContext:
    """Where and with what a stage runs.

    Attributes:
        store: Where the inputs lie.
        builder: Makes components.
        accelerator: Devices and processes.
        directory: Where the results go; the same for all processes.
        work: What survives a kill: resumable checkpoints.
        report: Takes progress, on the main process.
        batch_size: Images at a time where nothing is trained.
        tracking: Which trackers follow the stage.
    """

    store: Store
    builder: Builder
    accelerator: Accelerator
    directory: Path
    work: Path
    report: Callable[[Progress], None]
    batch_size: int
    tracking: Tracking = field(default_factory=Tracking)

    @property
    def device(self) -> torch.device:
        device: torch.device = self.accelerator.device
        return device

    @property
    def is_main(self) -> bool:
        return bool(self.accelerator.is_main_process)

    def share(self, count: int) -> range:
        """This process's contiguous part of ``count`` items."""
        process: int = self.accelerator.process_index
        return self.shares(count)[process]

    def shares(self, count: int) -> list[range]:
        """Every process's contiguous part of ``count`` items."""
        processes: int = self.accelerator.num_processes
        return [range(count * process // processes, count * (process + 1) // processes) for process in range(processes)]

    def batches(self, count: int, size: int | None = None) -> list[range]:
        """This process's part of ``count`` items, ``size`` or else ``batch_size`` at a time."""
        mine, step = self.share(count), size or self.batch_size
        return [mine[start : start + step] for start in range(0, len(mine), step)]

    def follow(self, stage: Stage) -> TrackedRun:
        """The run of a stage as trackers follow it, on the main process."""
        tracking = self.tracking if self.is_main else Tracking()
        return tracking.follow(stage.key, stage.label, self.work)

    def artifact(self, stage: Stage) -> Artifact:
        """The finished result of an input."""
        found = self.store.find(stage.kind, stage.key)
        assert found is not None, f"{stage.label} runs after its inputs"
        return found


class Stage(ABC):
    """One node of the plan. Two stages with one key make the same artifact."""

    kind: ClassVar[str]
    version: ClassVar[int] = 1
    """Raised when a fix of this stage changes its results."""

    trains: ClassVar[bool] = False
    """Whether it gains from several processes."""

    imported: ClassVar[bool] = False
    """Whether its artifact comes from elsewhere and is never made by a run."""

    @property
    def model_record(self) -> dict[str, Any] | None:
        """What the artifact's record says of the model in it, for a stage that leaves one behind; JSON values."""
        return None

    @property
    @abstractmethod
    def label(self) -> str:
        """What a person would call it."""

    @property
    def inputs(self) -> tuple[Stage, ...]:
        """What has to be done before it."""
        return ()

    @property
    def training(self) -> TrainingSettings | None:
        """How it trains, for a stage that does."""
        return None

    @abstractmethod
    def identity(self) -> dict[str, Any]:
        """All that decides the result, beside the inputs; JSON values."""

    @abstractmethod
    def run(self, context: StageContext) -> dict[str, Any]:
        """Write the files of the artifact into ``context.directory`` and return its record. Called on every process."""

    @cached_property
    def key(self) -> str:
        """The content key."""
        return content_key(
            {
                "stage": self.kind,
                "key_version": KEY_VERSION,
                "stage_version": self.version,
                "identity": self.identity(),
                "inputs": [stage.key for stage in self.inputs],
            }
        )

    @cached_property
    def provisional(self) -> bool:
        """Whether the key speaks of files that are not here, and will be another one when they are."""
        return is_provisional(self.identity()) or any(stage.provisional for stage in self.inputs)

    def __repr__(self) -> str:
        return f"<{self.kind} {self.label}>"
