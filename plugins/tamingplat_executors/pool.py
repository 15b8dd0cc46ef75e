"""Running stages as processes, a bounded number at a time."""

from __future__ import annotations

import queue
from collections.abc import Callable, Generator, Mapping, Sequence

from tamingplat.interfaces import StageOutcome, StageTask
from tamingplat_executors.process import Child, stop
from tamingplat_executors.schedule import Schedule

Launch = Callable[[StageTask], tuple[Sequence[str], Mapping[str, str]]]
"""From a stage to the command that runs it and what is added to the environment."""


def run_processes(
    tasks: Sequence[StageTask], slots: Sequence[Launch], *, started: Callable[[str], None], stop_seconds: float
) -> Generator[StageOutcome, None, None]:
    """Run every stage as a process, one per slot at a time, and yield each outcome as it comes.

    However this ends (an interrupt, or a caller that stops listening), no process is left running.
    """
    schedule = Schedule(tasks)
    free = list(range(len(slots)))
    running: dict[str, tuple[Child, int]] = {}
    ended: queue.SimpleQueue[Child] = queue.SimpleQueue()
    try:
        while True:
            while free and (task := schedule.take()) is not None:
                slot = free.pop(0)
                started(task.key)
                command, environment = slots[slot](task)
                try:
                    running[task.key] = (Child(task.key, command, environment, ended.put), slot)
                except OSError as error:
                    free.insert(0, slot)
                    outcome = StageOutcome(task.key, "failed", f"the process could not be started: {error}")
                    yield outcome
                    yield from schedule.end(outcome)
            if not running:
                return
            child = ended.get()
            _, slot = running.pop(child.key)
            free.append(slot)
            free.sort()
            yield child.outcome
            yield from schedule.end(child.outcome)
    finally:
        stop([child for child, _ in running.values()], stop_seconds)
