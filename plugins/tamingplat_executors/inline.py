"""One stage after the other, in this process."""

from __future__ import annotations

import time
from collections.abc import Callable, Generator, Sequence

from tamingplat.interfaces import Executor, StageOutcome, StageTask, TamingplatError
from tamingplat_executors.schedule import Schedule


class InlineExecutor(Executor):
    """Runs every stage in the calling process. What a stage raises makes it failed; an interrupt passes through."""

    def run(self, tasks: Sequence[StageTask], *, started: Callable[[str], None]) -> Generator[StageOutcome, None, None]:
        """See ``Executor.run``."""
        schedule = Schedule(tasks)
        while (task := schedule.take()) is not None:
            started(task.key)
            outcome = _run(task)
            yield outcome
            yield from schedule.end(outcome)


def _run(task: StageTask) -> StageOutcome:
    begin = time.perf_counter()
    try:
        task.run()
    except TamingplatError as error:
        return StageOutcome(task.key, "failed", str(error), time.perf_counter() - begin)
    except Exception as error:  # noqa: BLE001 (whatever it is, the other stages go on)
        message = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
        return StageOutcome(task.key, "failed", message, time.perf_counter() - begin)
    return StageOutcome(task.key, "done", seconds=time.perf_counter() - begin)
