"""One stage at a time, and each training over several processes."""

from __future__ import annotations

import sys
from collections.abc import Callable, Generator, Mapping, Sequence
from typing import Any

from tamingplat.interfaces import Config, Executor, StageOutcome, StageTask, TamingplatError
from tamingplat_executors.config import AccelerateConfig
from tamingplat_executors.devices import core_count, thread_variables, visible_gpus
from tamingplat_executors.pool import run_processes
from tamingplat_executors.tether import tethered

_CPU_PROCESSES = 2


class AccelerateExecutor(Executor):
    """Runs what trains under torchrun, with one process per GPU or several on the CPU, and the rest in one process.

    Raises:
        TamingplatError: More processes were asked for than there are GPUs.
    """

    def __init__(self, config: Config, parts: Mapping[str, Any]) -> None:
        super().__init__(config, parts)
        assert isinstance(config, AccelerateConfig)
        gpus = () if config.cpu else visible_gpus()
        if gpus and config.processes > len(gpus):
            raise TamingplatError(
                f"executor:accelerate: {config.processes} processes need as many GPUs, and visible are: {', '.join(gpus)}; "
                "set fewer processes, or cpu = true"
            )
        self._processes = config.processes or len(gpus) or min(_CPU_PROCESSES, core_count())
        threads = config.threads_per_process or max(1, core_count() // self._processes)
        device = {} if gpus else {"CUDA_VISIBLE_DEVICES": "", "ACCELERATE_USE_CPU": "1"}
        # torchrun would choose one thread for each of several processes unless it is told.
        self._one_of_several = {**device, **thread_variables(threads)}
        self._alone = {**device, **thread_variables(threads * self._processes)}
        self._stop_seconds = config.stop_seconds

    @property
    def processes(self) -> int:
        """See ``Executor``."""
        return self._processes

    def run(self, tasks: Sequence[StageTask], *, started: Callable[[str], None]) -> Generator[StageOutcome, None, None]:
        """See ``Executor.run``."""
        return run_processes(tasks, [self._launch], started=started, stop_seconds=self._stop_seconds)

    def _launch(self, task: StageTask) -> tuple[Sequence[str], Mapping[str, str]]:
        if not task.trains or self._processes == 1:
            return task.command, self._alone
        # --standalone takes a free port on this machine; --no-python runs the command as it is, interpreter and all.
        torchrun = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node", str(self._processes)]
        return [*torchrun, "--no-python", *tethered(0), *task.command], self._one_of_several
