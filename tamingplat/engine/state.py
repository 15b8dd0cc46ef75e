"""Everything of a training run that changes as it goes on: what a checkpoint holds and a resumed run continues with."""

from __future__ import annotations

import platform
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from accelerate import Accelerator
from torch import Tensor

from tamingplat.engine.checkpoint import Checkpoint, CheckpointFolder
from tamingplat.engine.clock import Clock, Contention, PeakMemory
from tamingplat.engine.curve import Curve
from tamingplat.engine.devices import device_name
from tamingplat.engine.ema import WeightAverage
from tamingplat.engine.errors import CheckpointMismatchError, EngineWarning, TrainingDivergedError
from tamingplat.engine.flops import FlopMeter
from tamingplat.engine.phases import make_phases
from tamingplat.engine.processes import from_main_process, latest_checkpoint, mean_of_processes, share_buffers, sum_of_processes
from tamingplat.engine.record import TrainingRecord
from tamingplat.engine.terms import TermLog
from tamingplat.engine.weights import fill_module, module_tensors
from tamingplat.interfaces import DataError, TrainingSettings
from tamingplat.interfaces.models import Trainable

CURVE_FILE = "curve.jsonl"


class TrainingState:
    """The state of one training run, with its checkpoints.

    Attributes:
        step: Optimizer steps taken.
        validated: The step of the last validation; −1 before the first.
        resumptions: How many times the run was continued.
        phases: Optimizers, by phase.
        scaler: Scales the loss in float16; does nothing in other precisions.
        average: Averaged weights, if any.
        terms: Loss terms that are not logged yet.
        curve: Loss terms that are.
        flops, clock, memory, contention: The costs.
    """

    def __init__(
        self,
        model: Trainable,
        settings: TrainingSettings,
        accelerator: Accelerator,
        *,
        seed: int,
        work: Path,
        config: Mapping[str, Any],
    ) -> None:
        device = accelerator.device
        self.model = model
        self.settings = settings
        self.accelerator = accelerator
        self.seed = seed
        self.config = config
        self.folder = CheckpointFolder(work)
        self.step = 0
        self.validated = -1
        self.resumptions = 0
        self.phases = make_phases(model, settings, device)
        self.scaler = torch.amp.GradScaler(device.type, enabled=settings.precision == "float16")
        self.average = None if settings.ema_decay is None else WeightAverage(model, settings.ema_decay)
        self.terms = TermLog(lambda values: mean_of_processes(values, accelerator))
        self.flops = FlopMeter(accelerator.num_processes)
        self.clock = Clock(device)
        self.memory = PeakMemory(device)
        self.contention = Contention()
        self._saved: int | None = None
        checkpoint = latest_checkpoint(self.folder, accelerator)
        if checkpoint is not None:
            self._continue_from(checkpoint)
        self.curve = Curve(
            work / CURVE_FILE if accelerator.is_main_process else None,
            count=0 if checkpoint is None else checkpoint.state["curve_points"],
        )

    def surroundings(self) -> dict[str, Any]:
        """What has to be the same for a resumed run to repeat another one bit for bit."""
        return {
            "threads": torch.get_num_threads(),
            "processes": self.accelerator.num_processes,
            "device": device_name(self.accelerator.device),
            "torch": torch.__version__,
        }

    def save(self) -> None:
        """Write a checkpoint, unless there is one of this step.

        Raises:
            TrainingDivergedError: A total or a weight is not finite; nothing is written.
        """
        if self._saved == self.step:
            return
        self.terms.fetch()
        self._refuse_non_finite_weights()
        share_buffers(self.model, self.accelerator)
        self.contention.sample()
        if self.accelerator.is_main_process:
            self.curve.sync()
            self.folder.write(self.step, self._tensors(), self._values())
        self.accelerator.wait_for_everyone()
        self._saved = self.step

    def _tensors(self) -> dict[str, dict[str, Tensor]]:
        optimizers = [phase.state_tensors() for phase in self.phases.values()]
        return {
            "model": module_tensors(self.model),
            "optimizer": {name: value for tensors in optimizers for name, value in tensors.items()},
            "average": {} if self.average is None else self.average.state_tensors(),
        }

    def _values(self) -> dict[str, Any]:
        return {
            "config": dict(self.config),
            "seed": self.seed,
            "validated": self.validated,
            "resumptions": self.resumptions,
            "scaler": self.scaler.state_dict(),
            "terms": self.terms.state(),
            "latest_terms": self.terms.latest,
            "flops": self.flops.state(),
            "clock": self.clock.state(),
            "peak_memory_bytes": self.memory.read(),
            "contended": self.contention.seen,
            "curve_points": len(self.curve.points),
            **self.surroundings(),
        }

    def _continue_from(self, checkpoint: Checkpoint) -> None:
        saved = checkpoint.state
        optimizers, average = checkpoint.tensors("optimizer"), checkpoint.tensors("average")
        self._fill_model_or_refuse(checkpoint, optimizers, average)
        for phase in self.phases.values():
            phase.load_state_tensors(optimizers)
        if self.average is not None:
            self.average.load_state_tensors(average)
        if self.scaler.is_enabled():
            self.scaler.load_state_dict(saved["scaler"])
        self.step = self._saved = checkpoint.step
        self.validated = saved["validated"]
        self.resumptions = saved["resumptions"] + 1
        self.terms.restore(saved["terms"])
        self.terms.latest = saved["latest_terms"]
        self.flops.restore(saved["flops"])
        self.clock.restore(saved["clock"])
        self.memory.restore(saved["peak_memory_bytes"])
        self.contention.seen |= saved["contended"]
        changed = [f"{name} {saved[name]} is now {now}" for name, now in self.surroundings().items() if saved[name] != now]
        if changed and self.accelerator.is_main_process:
            warnings.warn(
                f"{checkpoint.folder}: training continues under other circumstances, so that its numbers can differ from an "
                f"uninterrupted run's: {', '.join(changed)}",
                EngineWarning,
                stacklevel=2,
            )

    def _fill_model_or_refuse(
        self, checkpoint: Checkpoint, optimizers: Mapping[str, Tensor], average: Mapping[str, Tensor]
    ) -> None:
        """Fill the model from a checkpoint that fits this run, and refuse any other."""
        saved, complaints = checkpoint.state, []
        if saved["seed"] != self.seed:
            complaints.append(f"its seed is {saved['seed']} and not {self.seed}")
        if checkpoint.step > self.settings.steps:
            complaints.append(f"it is at step {checkpoint.step} of a training of {self.settings.steps} steps")
        known = {name for phase in self.phases.values() for name in phase.fitting_names()}
        strange = sorted(optimizers.keys() - known)
        if strange:
            complaints.append(f"it holds optimizer states that nothing here has: {', '.join(strange[:10])}")
        averaged = {} if self.average is None else self.average.state_tensors()
        if average.keys() != averaged.keys():
            complaints.append("its averaged weights are not those of this model and these settings")
        if bool(saved["scaler"]) != self.scaler.is_enabled():
            complaints.append("it was trained in another precision")
        if not complaints:
            try:
                fill_module(self.model, checkpoint.tensors("model"), where=str(checkpoint.folder))
            except DataError as error:
                complaints.append(str(error))
        if complaints:
            raise CheckpointMismatchError(
                f"{checkpoint.folder} belongs to another training: {'; '.join(complaints)}; "
                "remove the folder to train from the start"
            )

    def _refuse_non_finite_weights(self) -> None:
        # Parameters alone: a buffer can be infinite for good reason, as an attention mask is.
        parameters = dict(self.model.named_parameters())
        finite = torch.stack([parameter.isfinite().all() for parameter in parameters.values()]).tolist()
        broken = [name for name, good in zip(parameters, finite, strict=True) if not good]
        if broken:
            more = f" and {len(broken) - 10} more" if len(broken) > 10 else ""
            raise TrainingDivergedError(
                f"training diverged: after step {self.step} these weights are not finite: {', '.join(broken[:10])}{more}"
            )


def make_record(state: TrainingState) -> TrainingRecord:
    """The record of a run that has ended, the same on every process.

    Processor seconds are summed over the processes; what others than process 0 took before a resumption is not kept in
    checkpoints and counts as much as process 0's.
    """
    accelerator, clock = state.accelerator, state.clock
    cpu_seconds = sum_of_processes(clock.cpu_seconds, accelerator)
    record = TrainingRecord(
        steps=state.step,
        images=state.step * state.settings.batch_size,
        parameters=sum(parameter.numel() for phase in state.phases.values() for parameter in phase.parameters),
        seconds=clock.seconds,
        cpu_seconds=cpu_seconds,
        loading_seconds=clock.loading_seconds,
        logging_seconds=clock.logging_seconds,
        flops=state.flops.total,
        peak_memory_bytes=state.memory.read(),
        device=device_name(accelerator.device),
        host=platform.node(),
        threads=torch.get_num_threads(),
        processes=accelerator.num_processes,
        contended=state.contention.seen,
        precision=state.settings.precision,
        averaged=state.average is not None,
        resumptions=state.resumptions,
        curve=tuple(state.curve.points),
    )
    return from_main_process(record, accelerator)
