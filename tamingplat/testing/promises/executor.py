"""What every executor promises."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from tamingplat.interfaces import StageOutcome, StageTask, TamingplatError
from tamingplat.testing.promises.common import LISTED
from tamingplat.testing.promises.kinds import KindOfComponent, make_plainly, promises_of
from tamingplat.testing.subject import Subject

_FAILS = 'print(\'{"error": "this went wrong"}\'); raise SystemExit(1)'


def _task(key: str, needs: Sequence[str] = (), fails: bool = False) -> StageTask:
    def act() -> None:
        if fails:
            raise TamingplatError("this went wrong")

    command = (sys.executable, "-S", "-c", _FAILS if fails else "")
    return StageTask(key, "encode", f"make {key}", tuple(needs), command, act)


def _run(built: Any, tasks: Sequence[StageTask]) -> tuple[dict[str, StageOutcome], list[str], list[str]]:
    """Outcomes by key, and the keys in the order in which they started and ended."""
    started: list[str] = []
    outcomes = list(built.run(tasks, started=started.append))
    ended = [outcome.key for outcome in outcomes]
    keys = sorted(task.key for task in tasks)
    assert sorted(ended) == keys, f"of the tasks {', '.join(keys)} it tells the outcome of {', '.join(ended)}. Look at run"
    return {outcome.key: outcome for outcome in outcomes}, started, ended


def _result(subject: Subject, built: Any) -> list[Tensor]:
    return [torch.tensor(built.processes)]


def every_task_is_run_once(subject: Subject) -> None:
    """Every task is run once and told of once, its inputs before it, and each says when it begins."""
    tasks = [_task("c", ["b"]), _task("b", ["a"]), _task("a", ["done before"]), _task("d")]
    outcomes, started, ended = _run(subject.built, tasks)
    assert {one.status for one in outcomes.values()} == {"done"}, f"outcomes are {list(outcomes.values())}. Look at run"
    assert sorted(started) == ["a", "b", "c", "d"], f"started was called for {', '.join(started)}. Look at started"
    assert ended.index("a") < ended.index("b") < ended.index("c"), f"they ended in the order {', '.join(ended)}"
    assert started.index("a") < started.index("b") < started.index("c"), f"they began in the order {', '.join(started)}"
    assert all(one.seconds >= 0 and not one.error for one in outcomes.values()), f"{list(outcomes.values())}"


def a_failure_stops_only_what_needs_it(subject: Subject) -> None:
    """A task that fails is told of with its error; what needs it is skipped, and the others go on."""
    tasks = [_task("c", ["b"]), _task("b", ["a"]), _task("a", fails=True), _task("d")]
    outcomes, started, _ = _run(subject.built, tasks)
    status = {key: outcome.status for key, outcome in sorted(outcomes.items())}
    expected = {"a": "failed", "b": "skipped", "c": "skipped", "d": "done"}
    assert status == expected, f"where a fails it is {status}. Look at what becomes of tasks whose inputs failed"
    assert "this went wrong" in outcomes["a"].error, (
        f"a failed with the error {outcomes['a'].error!r}. Look at where it is read"
    )
    assert all(outcomes[key].error for key in "bc"), "what is skipped does not say why"
    assert set(started) == {"a", "d"}, f"started was called for {', '.join(started)}"


def nothing_to_do_is_no_trouble(subject: Subject) -> None:
    """Without tasks there are no outcomes, and an executor can be used again."""
    for _ in range(2):
        assert _run(subject.built, [])[0] == {}
    assert _run(subject.built, [_task("a")])[0]["a"].status == "done", "after that it does not run a task. Look at its state"


def processes_are_counted(subject: Subject) -> None:
    """It says how many processes train one stage together: one or more."""
    assert subject.built.processes >= 1, f"processes is {subject.built.processes}. Look at processes"


OWN = (every_task_is_run_once, a_failure_stops_only_what_needs_it, nothing_to_do_is_no_trouble, processes_are_counted)

KIND = KindOfComponent(promises=promises_of(LISTED, OWN), make=make_plainly, result=_result)
