"""What floor.toml, floor-16.toml and null.toml are about: priors of sources whose likelihood is known.

How near priors come to the best possible likelihood, and whether nothing is found where there is nothing to find.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from decisions import HEADINGS, NLL, Decision, cells, decide, lines

from tamingplat.report import TextTable, number
from tamingplat.report.paired import NotDecidedError, corrected, differences
from tamingplat.report.ranking import ALPHA, rankings
from tamingplat.stages import ResultRow, Results

MIRRORS = ("raster", "raster-mirrored", "raster-flipped", "raster-rotated", "column-major")


@dataclass(frozen=True)
class Bar:
    """What a transformer of two layers and width 64 has to reach on a source whose floor is known."""

    manifest: str
    size: str
    cpu_seconds: float
    excess: float = 0.5
    captured: float = 0.99

    def kept(self, row: ResultRow) -> str:
        """Whether a row is what the bar is about, and reaches it."""
        if row.status != "done" or (row.prior, row.ordering) != ("gpt", "raster"):
            return ""
        numbers = _numbers(row)
        if None in numbers:
            return "unknown"
        excess, captured, seconds = numbers
        return "yes" if excess <= self.excess and captured >= self.captured and seconds <= self.cpu_seconds else "no"


EXCESS, CAPTURED = "nll_excess/floor", "structure captured"
BARS = (Bar("floor", "8×8", 180), Bar("floor-16", "16×16", 600))


def _numbers(row: ResultRow) -> tuple[Any, ...]:
    """Excess, structure captured and CPU seconds of training; ``None`` for what a row lacks."""
    return row.metrics.get(EXCESS), row.metrics.get(CAPTURED), row.cost.get("prior_training_cpu_seconds")


def floor_table(results: Mapping[str, Results]) -> TextTable:
    """How near each prior comes to the source's own likelihood under each ordering, and whether the bars are kept."""
    table, left = [], []
    for bar in BARS:
        rows = [row for row in results[bar.manifest].rows if row.kind == "cell"]
        for row in rows:
            told = ("" if value is None else number(value, 4) for value in _numbers(row))
            table.append((bar.size, row.prior, row.ordering, *told, bar.kept(row)))
        done = sum(row.status == "done" for row in rows)
        left += [f"{bar.manifest}.toml has not run to the end: {done} of {len(rows)} cells"] if done < len(rows) else []
        left.append(
            f"the bar at {bar.size}: gpt under raster has an excess of at most {bar.excess} % of the floor and at least "
            f"{bar.captured} of the structure after at most {bar.cpu_seconds:g} CPU seconds of training"
        )
    headings = ("size", "prior", "ordering", "excess, % of the floor", "structure captured", "training CPU s", "bar kept")
    return TextTable("Distance from the best possible likelihood", headings, tuple(table), 3, notes=tuple(left))


def mirrors(results: Results) -> Decision:
    """Every ordering of the null comparison against every other, corrected over all pairs."""
    of = lines(results, "ordering", MIRRORS)
    pairs = itertools.combinations(MIRRORS, 2)
    compared = corrected({f"{b} − {a}": differences(of[b], of[a], NLL) for a, b in pairs})
    apart = sum(one.told_apart(1, ALPHA) or one.told_apart(-1, ALPHA) for one in compared)
    found = [one for one in rankings(results) if one.column.name == NLL]
    if len(found) != 1:
        raise NotDecidedError(f"not decided: {NLL} has {len(found)} rankings, and one was expected")
    worse = sum(one.verdict == "worse" for one in found[0].comparisons)
    note = (
        f"compare, which chooses the best first and compares the others with it, calls {worse} of {len(MIRRORS) - 1} worse. "
        "Holm's correction does not pay for that choice: among five that do not differ it says so in more than 5 % of tables."
    )
    return Decision(f"{apart or 'none'} of {len(compared)} pairs told apart", compared, note)


def null_table(results: Results) -> TextTable:
    """A comparison that must find nothing."""
    decision = decide(mirrors, results)
    table = tuple((one.what, *cells(one)) for one in decision.compared)
    notes = tuple(filter(None, (decision.verdict, decision.note)))
    return TextTable("Orderings that cannot differ (null.toml)", ("compared", *HEADINGS), table, 1, notes=notes)
