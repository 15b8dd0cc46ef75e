"""Pieces of work that are timed against each other, each in a process of its own, by turns.

A machine's speed may change by more than what is measured, for minutes at a time: other machines share its processors and its
memory. Work that takes turns of a second meets the same changes. A process whose turn is over is stopped, and the clock of its
work with it.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
import time
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from typing import Any


@dataclass(frozen=True)
class Job:
    """A piece of work.

    Attributes:
        prepare: Called in the job's process, and not timed; gives what is then called and timed, which gives the result. A
            function of a module, as it goes to another process.
        arguments: Of ``prepare``.
        turn: Seconds of a turn; ``None`` for as long as it takes.
    """

    prepare: Callable[..., Callable[[], Any]]
    arguments: tuple[Any, ...]
    turn: float | None


@dataclass
class Done:
    """What came of a job, and the seconds that its process ran from being told to begin to its result."""

    result: Any = None
    seconds: float = 0.0


@dataclass
class _Worker:
    """A job's process, stopped but in its turn."""

    job: Job
    process: BaseProcess
    connection: Connection
    done: Done = field(default_factory=Done)

    def receive(self) -> Any:
        """The next message, or an error where the process has ended without one."""
        try:
            return self.connection.recv()
        except EOFError as error:
            raise RuntimeError(f"{self.process.name} ended without a result; it has printed why") from error

    def signal(self, number: signal.Signals) -> None:
        """Stop the process, let it go on, or end it."""
        assert self.process.pid is not None
        os.kill(self.process.pid, number)

    def take_turn(self) -> bool:
        """Run for a turn; whether the work is done."""
        started = time.perf_counter()
        self.signal(signal.SIGCONT)
        finished = self.connection.poll(self.job.turn)
        if not finished:
            self.signal(signal.SIGSTOP)
        self.done.seconds += time.perf_counter() - started
        if finished:
            self.done.result = self.receive()
        return finished


def by_turns(jobs: Mapping[str, Job]) -> dict[str, Done]:
    """Prepare all jobs, and then run them by turns until all are done; what came of each, by its name."""
    context = multiprocessing.get_context("spawn")
    with ExitStack() as ending:
        # A process that is stopped would outlive one that is terminated.
        ending.callback(signal.signal, signal.SIGTERM, signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM)))
        workers: dict[str, _Worker] = {}
        for name, job in jobs.items():
            ours, theirs = context.Pipe()
            process = context.Process(target=_work, args=(theirs, job.prepare, job.arguments), name=name, daemon=True)
            process.start()
            ending.callback(process.kill)
            theirs.close()
            workers[name] = _Worker(job, process, ours)
        for worker in workers.values():
            worker.receive()
        for worker in workers.values():
            worker.signal(signal.SIGSTOP)
            worker.connection.send(None)
        waiting = list(workers.values())
        while waiting:
            waiting = [worker for worker in waiting if not worker.take_turn()]
    return {name: worker.done for name, worker in workers.items()}


def _work(connection: Connection, prepare: Callable[..., Callable[[], Any]], arguments: tuple[Any, ...]) -> None:
    """A job's process: prepares, waits to be told to begin, and sends the result."""
    work = prepare(*arguments)
    connection.send(None)
    connection.recv()
    connection.send(work())
