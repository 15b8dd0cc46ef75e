"""What the loop tells whoever watches it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Progress:
    """Where a training run stands. Only process 0 reports.

    Attributes:
        stage: What it is doing: training, validating, fitting, encoding, sampling, ….
        step: Optimizer steps taken, or steps of a fit.
        steps: How many there will be; 0 where that is not known beforehand.
        terms: The latest logged loss terms.
        images_per_second: Training images per second of training since the last report; 0 before the first.
        eta_seconds: Expected training time that is left, validations and checkpoints not counted; ``None`` where unknown.
    """

    stage: str
    step: int
    steps: int
    terms: Mapping[str, float] = field(default_factory=dict)
    images_per_second: float = 0.0
    eta_seconds: float | None = None


Report = Callable[[Progress], None]
