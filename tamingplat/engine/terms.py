"""Loss terms on their way from the device to the curve.

Terms stay on the device until they are wanted, so that no step waits for a number to be fetched.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence

import torch
from torch import Tensor

from tamingplat.engine.errors import TrainingDivergedError

# Steps after which terms are fetched in any case: a diverged loss does not go unnoticed for longer.
_MOST_PENDING_STEPS = 100


def stack_terms(terms: Mapping[str, Tensor]) -> Tensor:
    """Scalar terms as one float32 vector without a graph, in the mapping's order."""
    return torch.stack([term.detach().float().reshape(()) for term in terms.values()])


def term_names(phase: str, terms: Mapping[str, Tensor], *, several: bool) -> tuple[str, ...]:
    """Names under which a phase's terms are logged: with the phase in front where the model has several."""
    assert "total" in terms, f"phase {phase} returned no total"
    return tuple(f"{phase}/{name}" if several else name for name in terms)


class TermLog:
    """Collects the terms of training steps and gives their means over the steps between two logged points."""

    def __init__(self, reduce: Callable[[Tensor], Tensor]) -> None:
        """``reduce`` is the mean over all processes."""
        self._reduce = reduce
        self._pending: list[tuple[int, str, tuple[str, ...], Tensor]] = []
        self._window: dict[str, list[float]] = {}
        self.latest: dict[str, float] = {}
        """The last point that was taken."""

    def add(self, step: int, phase: str, names: tuple[str, ...], parts: Sequence[Tensor]) -> None:
        """Terms of one phase of one step: a vector for each equally large part of this process's batch."""
        mean = parts[0] if len(parts) == 1 else torch.stack(list(parts)).mean(0)
        self._pending.append((step, phase, names, mean))

    @property
    def full(self) -> bool:
        """Whether so much is pending that it should be fetched."""
        return bool(self._pending) and self._pending[-1][0] - self._pending[0][0] + 1 >= _MOST_PENDING_STEPS

    def fetch(self) -> None:
        """Bring what is pending to the CPU, in one transfer, and look at it.

        Raises:
            TrainingDivergedError: A total is not finite; the message names step, phase and terms.
        """
        if not self._pending:
            return
        values = iter(self._reduce(torch.cat([vector for *_, vector in self._pending])).tolist())
        pending, self._pending = self._pending, []
        for step, phase, names, _ in pending:
            terms = {name: next(values) for name in names}
            if not all(math.isfinite(value) for name, value in terms.items() if name.split("/")[-1] == "total"):
                listed = ", ".join(f"{name} {value:.6g}" for name, value in terms.items())
                raise TrainingDivergedError(
                    f"training diverged at step {step}, phase {phase}: {listed}; "
                    "a lower learning rate, a warm-up or gradient clipping can help"
                )
            for name, value in terms.items():
                self._window.setdefault(name, []).append(value)

    def take(self) -> dict[str, float]:
        """Means of everything fetched since the last call."""
        means = {name: math.fsum(values) / len(values) for name, values in self._window.items() if _all_finite(values)}
        self._window = {}
        self.latest = means
        return means

    def state(self) -> dict[str, list[float] | None]:
        """What was fetched and not yet taken; ``None`` for terms that were not finite, which cannot be told in JSON."""
        assert not self._pending, "terms are pending on the device"
        return {name: values if _all_finite(values) else None for name, values in self._window.items()}

    def restore(self, state: Mapping[str, list[float] | None]) -> None:
        """Continue from what ``state`` returned."""
        self._window = {name: [math.nan] if values is None else list(values) for name, values in state.items()}


def _all_finite(values: Sequence[float]) -> bool:
    return all(math.isfinite(value) for value in values)
