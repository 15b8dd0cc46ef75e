"""Floating-point operations of training."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from torch.utils.flop_counter import FlopCounterMode


class FlopMeter:
    """Operations of all forward and backward passes of training, over all processes and resumptions.

    The first step of each set of phases is counted as PyTorch's FlopCounterMode counts (matrix products, convolutions and
    attention; a multiplication and an addition are two operations), and every other step of that set is taken to be alike. One
    process's share is counted, and taken as many times as there are processes.
    """

    def __init__(self, processes: int) -> None:
        self.total = 0
        self._processes = processes
        self._per_step: dict[str, int] = {}

    @contextmanager
    def step(self, phases: Sequence[str]) -> Iterator[bool]:
        """Account for one training step, which runs inside. Yields whether it is being counted, operation by operation."""
        key = "+".join(phases)
        counted = key not in self._per_step
        if counted:
            with FlopCounterMode(display=False) as counter:
                yield True
            self._per_step[key] = counter.get_total_flops() * self._processes
        else:
            yield False
        self.total += self._per_step[key]

    def state(self) -> dict[str, Any]:
        """The counts so far."""
        return {"total": self.total, "per_step": dict(self._per_step)}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Continue from what ``state`` returned."""
        self.total = int(state["total"])
        self._per_step = {key: int(value) for key, value in state["per_step"].items()}
