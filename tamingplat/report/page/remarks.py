"""What is not done and why, for the page."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from tamingplat.report.page.lines import TableLine
from tamingplat.stages import Plan


@dataclass(frozen=True)
class Unfinished:
    """Lines that are not done for one reason.

    Attributes:
        status: ``failed``, ``refused`` or ``missing``.
        reason: Why.
        lines: Anchors and labels.
    """

    status: str
    reason: str
    lines: tuple[tuple[str, str], ...]


def unfinished(lines: Sequence[TableLine]) -> list[Unfinished]:
    """Everything that is not done: failures first, then refusals, then what has not run."""
    found: dict[tuple[str, str], dict[str, str]] = {}
    for line in lines:
        for row in line.rows:
            if row.status != "done":
                found.setdefault((row.status, row.reason), {})[line.anchor] = line.label or row.kind
    order = ("failed", "refused", "missing")
    ordered = sorted(found.items(), key=lambda item: order.index(item[0][0]))
    return [Unfinished(status, reason, tuple(of.items())) for (status, reason), of in ordered]


def remarks(plans: Sequence[Plan]) -> list[str]:
    """What else has to be known: warnings, what is absent with the way to get it, and what was left out and why."""
    found: dict[str, None] = {}
    for plan in plans:
        for problem in (*plan.manifest.warnings, *plan.warnings, *plan.absent):
            found[str(problem)] = None
        for note in plan.notes:
            found[note] = None
    return list(found)
