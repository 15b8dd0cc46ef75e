"""Columns of lines beside their metrics: what a line cost, and what is known of its trainings.

Each is called what its heading says, in the table as in ``--sort`` and ``--filter``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

from tamingplat.report.formats import count, duration
from tamingplat.report.summary import SummaryRow
from tamingplat.stages import Tuning


@dataclass(frozen=True)
class CostColumn:
    """A cost.

    Attributes:
        name: In a row's costs.
        heading: In the table.
        show: A number as text.
    """

    name: str
    heading: str
    show: Callable[[float], str]


COSTS: tuple[CostColumn, ...] = (
    CostColumn("prior_parameters", "params", count),
    CostColumn("prior_training_seconds", "train", duration),
    CostColumn("prior_training_flops", "FLOPs", count),
    CostColumn("samples_per_second", "img/s", lambda value: f"{value:.3g}"),
    CostColumn("sampling_speed_up", "speed-up", lambda value: f"{value:.3g}×"),
)
"""Of a table that has cells."""

TOKENIZER_COSTS: tuple[CostColumn, ...] = (
    CostColumn("tokenizer_parameters", "params", count),
    CostColumn("tokenizer_training_seconds", "train", duration),
    CostColumn("tokenizer_training_flops", "FLOPs", count),
)
"""Of a table whose rows are tokenizers alone."""

FURTHER: Mapping[str, Callable[[SummaryRow], float | None]] = MappingProxyType(
    {
        "seeds": lambda row: independent_seeds(row) or None,
        "prior settings tried": lambda row: _number_tried(row, "prior"),
        "tokenizer settings tried": lambda row: _number_tried(row, "tokenizer"),
    }
)
"""What else is counted of a line, by heading; ``None`` where nothing is known."""


def costs(*, of_cells: bool) -> tuple[CostColumn, ...]:
    """The costs that a table shows."""
    return COSTS if of_cells else TOKENIZER_COSTS


def independent_seeds(row: SummaryRow) -> int:
    """How many independent trainings a line has that were measured."""
    return max((value.seeds for value in row.metrics.values()), default=0) if row.kind == "cell" else 0


def averaged(row: SummaryRow) -> str:
    """Whether a line's weights are averages over training; empty where nothing was trained."""
    return "" if row.averaged is None else "yes" if row.averaged else "no"


def tried(tuning: Tuning | None) -> str:
    """How many settings were tried; at least so many where the manifest does not say."""
    if tuning is None:
        return "not stated"
    return str(tuning.tried) if tuning.declared is not None else f"≥ {tuning.tried}"


def settings_tried(row: SummaryRow, kind: str) -> str:
    """The same of a line's prior or tokenizer; empty where it has none."""
    return tried(row.tuning.get(kind)) if row.names[kind] else ""


def _number_tried(row: SummaryRow, kind: str) -> float | None:
    tuning = row.tuning.get(kind)
    return None if tuning is None else float(tuning.tried)
