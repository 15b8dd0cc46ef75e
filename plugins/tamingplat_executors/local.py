"""Stages side by side on the devices of this machine."""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping, Sequence
from functools import partial
from typing import Any

from tamingplat.interfaces import Config, Executor, StageOutcome, StageTask, TamingplatError
from tamingplat_executors.config import CPU, LocalConfig
from tamingplat_executors.devices import core_count, thread_variables, visible_gpus
from tamingplat_executors.pool import run_processes


class LocalExecutor(Executor):
    """Runs each stage in a process with one device, as many at once as there are jobs.

    The threads of a job depend on the number of jobs and not on how many stages are left, so that a stage that is resumed
    computes with as many threads as before.

    Raises:
        TamingplatError: A device was named that is not there.
    """

    def __init__(self, config: Config, parts: Mapping[str, Any]) -> None:
        super().__init__(config, parts)
        assert isinstance(config, LocalConfig)
        named = [str(device) for device in config.devices]
        gpus = () if named == [CPU] else visible_gpus()
        for device in named:
            if device.isdecimal() and device not in gpus:
                raise TamingplatError(f"executor:local: there is no GPU {device}; visible are: {', '.join(gpus) or 'none'}")
        devices = named or list(gpus) or [""]
        jobs = config.jobs or len(devices)
        threads = config.threads or max(1, core_count() // jobs)
        self._stop_seconds = config.stop_seconds
        self._environments = [
            {**_device_variables(devices[job % len(devices)]), **thread_variables(threads)} for job in range(jobs)
        ]

    def run(self, tasks: Sequence[StageTask], *, started: Callable[[str], None]) -> Generator[StageOutcome, None, None]:
        """See ``Executor.run``."""
        slots = [partial(_launch, environment) for environment in self._environments]
        return run_processes(tasks, slots, started=started, stop_seconds=self._stop_seconds)


def _launch(environment: Mapping[str, str], task: StageTask) -> tuple[Sequence[str], Mapping[str, str]]:
    return task.command, environment


def _device_variables(device: str) -> dict[str, str]:
    """The environment that shows a process one device; the empty name leaves the choice to it, as there is no GPU."""
    if not device:
        return {}
    if device == CPU:
        return {"CUDA_VISIBLE_DEVICES": "", "ACCELERATE_USE_CPU": "1"}
    return {"CUDA_VISIBLE_DEVICES": device}
