"""How far a sampler is, seen from the prior that it asks.

Shape letters: B batch, N code positions.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from torch import Tensor

from tamingplat.engine import Progress
from tamingplat.interfaces import NoConfig
from tamingplat.interfaces.models import Prior, PriorState, VisitPlan


class WatchedPrior(Prior):
    """Another prior, and how many codes it has been asked for.

    Args:
        prior: The one that answers.
        seen: Told the number of codes of each answer.
    """

    def __init__(self, prior: Prior, seen: Callable[[int], None]) -> None:
        super().__init__(None, (), NoConfig(), {})  # type: ignore[arg-type] # it has no codes of its own
        self._prior, self._seen = prior, seen
        self.visits = prior.visits  # type: ignore[misc]
        self.grouped = prior.grouped  # type: ignore[misc]
        self.eval()

    def nll(self, codes: Tensor, condition: Tensor, plan: VisitPlan) -> Tensor:
        """See the interface."""
        return self._prior.nll(codes, condition, plan)

    def logits(
        self,
        codes: Tensor,
        visited: Tensor,
        targets: Tensor,
        condition: Tensor,
        *,
        lengths: Tensor | None = None,
        state: PriorState | None = None,
        sizes: Tensor | None = None,
    ) -> tuple[Tensor, PriorState]:
        """See the interface."""
        answer = self._prior.logits(codes, visited, targets, condition, lengths=lengths, state=state, sizes=sizes)
        self._seen(targets.numel())
        return answer

    def forward(self, batch: Any, *, step: int, phase: str, generator: Any) -> dict[str, Tensor]:
        """It is trained no more."""
        raise AssertionError("a finished prior is not trained")


@dataclass
class Watch:
    """Reports how far a number of samples is, at most a few times a second.

    Attributes:
        report: Takes the progress.
        codes: How many codes will be asked for; samplers that draw several candidates ask for more.
    """

    report: Callable[[Progress], None]
    codes: int
    _seen: int = field(default=0, init=False)
    _began: float = field(default_factory=time.monotonic, init=False)
    _last: float = field(default=0.0, init=False)

    def seen(self, codes: int) -> None:
        """Some more codes have been drawn."""
        self._seen += codes
        now = time.monotonic()
        if now - self._last >= 0.2:
            self._last = now
            done = min(self._seen, self.codes)
            left = (now - self._began) * (self.codes - done) / done if done else None
            self.report(Progress(stage="sampling", step=done, steps=self.codes, eta_seconds=left))
