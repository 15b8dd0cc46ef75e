"""Floating-point operations of training."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch.utils.flop_counter import FlopCounterMode, sdpa_backward_flop_count, sdpa_flop_count


def _attention(query: Any, key: Any, value: Any, *rest: Any, **named: Any) -> int:
    return int(sdpa_flop_count(query, key, value))  # type: ignore[no-untyped-call]


def _attention_backward(gradient: Any, query: Any, key: Any, value: Any, *rest: Any, **named: Any) -> int:
    return int(sdpa_backward_flop_count(gradient, query, key, value))  # type: ignore[no-untyped-call]


FUSED_ATTENTION: Mapping[Any, Callable[..., int]] = {
    torch.ops.aten._scaled_dot_product_flash_attention_for_cpu: _attention,
    torch.ops.aten._scaled_dot_product_flash_attention_for_cpu_backward: _attention_backward,
}
"""Operations, from shapes, of the CPU's fused attention, also the meta device's; PyTorch has formulas for accelerators."""


class FlopMeter:
    """Operations of all forward and backward passes of training, over all processes and resumptions.

    The first step of each set of phases is counted as PyTorch's FlopCounterMode counts (matrix products, convolutions and
    attention, that of the CPU included; a multiplication and an addition are two operations), and every other step of that set
    is taken to be alike. One process's share is counted, and taken as many times as there are processes.
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
            with FlopCounterMode(display=False, custom_mapping=dict(FUSED_ATTENTION)) as counter:
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
