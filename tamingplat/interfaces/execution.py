"""Executors: where and in which order the stages of a plan run."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from tamingplat.interfaces.config import Config


@dataclass(frozen=True)
class StageTask:
    """One stage that is to run.

    Attributes:
        key: Content key of what it will make.
        kind: ``train_tokenizer``, ``encode``, ``train_prior``, ``sample``, ``evaluate``, ….
        label: What a person would call it.
        inputs: Keys of the tasks that have to be done before it; a key that is not among the tasks is already done.
        command: Arguments of a process that runs this stage alone and exits with 0 when its result is in the store, and that
            writes one JSON object with ``error`` to standard output when it fails.
        run: Runs it in this process; raises when it fails.
        trains: Whether it can use several processes.
    """

    key: str
    kind: str
    label: str
    inputs: tuple[str, ...]
    command: tuple[str, ...]
    run: Callable[[], None]
    trains: bool = False


@dataclass(frozen=True)
class StageOutcome:
    """How a stage ended.

    Attributes:
        key: The task's key.
        status: ``done``; ``failed``; or ``skipped``, because something that it needs did not get done.
        error: What went wrong, for a person; empty when done.
        seconds: Wall time that it took here.
    """

    key: str
    status: Literal["done", "failed", "skipped"]
    error: str = ""
    seconds: float = 0.0


class Executor(ABC):
    """Runs stages in an order in which inputs come first. One failing stage never stops those that do not need it."""

    def __init__(self, config: Config, parts: Mapping[str, Any]) -> None:
        self.config = config
        self.parts = parts

    @property
    def processes(self) -> int:
        """How many processes train one stage together: batches have to be divisible among them."""
        return 1

    @abstractmethod
    def run(self, tasks: Sequence[StageTask], *, started: Callable[[str], None]) -> Generator[StageOutcome, None, None]:
        """Run every task and yield its outcome as it ends; call ``started(key)`` when one begins.

        ``KeyboardInterrupt`` passes through after the running stages were asked to stop; their checkpoints stay.
        """
