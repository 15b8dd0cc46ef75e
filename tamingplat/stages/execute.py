"""Running a plan through an executor, and what a watcher is told meanwhile."""

from __future__ import annotations

import contextlib
import json
import sys
from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass
from pathlib import Path

from accelerate import Accelerator

from tamingplat.engine import Progress
from tamingplat.interfaces import Executor, StageOutcome, StageTask
from tamingplat.stages.failures import read_failure, record_failure
from tamingplat.stages.plan import Plan
from tamingplat.stages.run import progress_path, run_stage
from tamingplat.stages.stage import Stage
from tamingplat.store import Store


@dataclass(frozen=True)
class Request:
    """What a user asked for, so that a stage can be run by another process: manifest, store and overrides."""

    manifest: Path
    store: Path
    overrides: tuple[str, ...] = ()

    def command(self, stage: Stage) -> tuple[str, ...]:
        """Arguments of a process that runs one stage."""
        overrides = [argument for override in self.overrides for argument in ("--set", override)]
        return (
            sys.executable,
            "-m",
            "tamingplat",
            "stage",
            stage.key,
            "--manifest",
            str(self.manifest),
            "--store",
            str(self.store),
            *overrides,
        )


def make_tasks(
    plan: Plan, stages: Sequence[Stage], store: Store, request: Request, accelerator: Callable[[Stage], Accelerator]
) -> list[StageTask]:
    """The stages as an executor takes them; ``accelerator`` is called in this process, when a stage runs here."""

    def task(stage: Stage) -> StageTask:
        return StageTask(
            key=stage.key,
            kind=stage.kind,
            label=stage.label,
            inputs=tuple(needed.key for needed in stage.inputs),
            command=request.command(stage),
            run=lambda: run_stage(plan, stage, store, accelerator(stage)),
            trains=stage.trains,
        )

    return [task(stage) for stage in stages]


def execute(
    plan: Plan,
    executor: Executor,
    store: Store,
    request: Request,
    *,
    accelerator: Callable[[Stage], Accelerator],
    started: Callable[[Stage], None],
) -> Generator[tuple[Stage, StageOutcome], None, None]:
    """Run every missing stage; outcomes in the order in which stages end."""
    tasks = make_tasks(plan, plan.missing(store), store, request, accelerator)
    with contextlib.closing(executor.run(tasks, started=lambda key: started(plan.stages[key]))) as outcomes:
        for outcome in outcomes:
            stage = plan.stages[outcome.key]
            if outcome.status == "failed" and store.find(stage.kind, stage.key) is None:
                _record_if_silent(store, stage, outcome)
            yield stage, outcome


def _record_if_silent(store: Store, stage: Stage, outcome: StageOutcome) -> None:
    """A process that was killed could not say why it failed: the executor's word is kept for it."""
    if read_failure(store, stage.key) is None:
        record_failure(store, stage.key, stage.label, RuntimeError(outcome.error))


def read_progress(store: Store, key: str) -> Progress | None:
    """How far a running stage is, whichever process runs it."""
    try:
        return Progress(**json.loads(progress_path(store, key).read_text(encoding="utf-8")))
    except (FileNotFoundError, NotADirectoryError):
        return None
