"""Comparisons that were named in advance, seed by seed: lines by their names, and what keeps them from being compared.

A ranking looks for the best and compares the others with it. Here both sides of every comparison are known before there is a
number, so that Holm's correction over them keeps its word.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import stdev
from typing import Literal

import numpy as np

from tamingplat.report.comparability import settings_of
from tamingplat.report.lines import names_of, seed_of, trainings
from tamingplat.report.statistics import Estimate, holm, of_sample
from tamingplat.stages import ResultRow, Results

Line = Mapping[int, ResultRow]
"""The rows of one combination by seed."""


class NotDecidedError(Exception):
    """Why a comparison that was named is not decided, in words."""


@dataclass(frozen=True)
class Paired:
    """One comparison over seeds.

    Attributes:
        what: What is compared with what.
        values: A difference, or a ratio, for each seed.
        p: After Holm's correction; ``None`` where there is no test.
        comparisons: How many the correction is over.
    """

    what: str
    values: tuple[float, ...]
    p: float | None = None
    comparisons: int = 1

    @property
    def estimate(self) -> Estimate:
        """The mean over seeds."""
        return of_sample(self.values)

    @property
    def deviation(self) -> float:
        """The standard deviation over seeds."""
        return stdev(self.values)

    def told_apart(self, sign: int, level: float) -> bool:
        """Whether the mean has this sign, the corrected p being below the level."""
        return self.p is not None and self.p < level and self.estimate.mean * sign > 0


def corrected(values: Mapping[str, tuple[float, ...]]) -> tuple[Paired, ...]:
    """Comparisons that are corrected together, from the values of each."""
    p_values = holm([of_sample(one).p_value() for one in values.values()])
    return tuple(Paired(what, one, p, len(values)) for (what, one), p in zip(values.items(), p_values, strict=True))


def finished_lines(
    results: Results, kind: str, names: Sequence[str], *, seeds: int, rows: Literal["cell", "reconstruction"] = "cell"
) -> dict[str, Line]:
    """The rows with these names of a kind of component, by name and seed, where all of them are done.

    Raises:
        NotDecidedError: Some are not done, or the lines are not of the same seeds, as many as there are to be.
    """
    found = {name: [row for row in results.rows if row.kind == rows and names_of(row)[kind] == name] for name in names}
    members = [row for line in found.values() for row in line]
    expected, done = sum(max(seeds, len(line)) for line in found.values()), sum(row.status == "done" for row in members)
    if done < expected:
        failed = sum(row.status == "failed" for row in members)
        told = f", {failed} of the others failed" if failed else ""
        raise NotDecidedError(f"not run to the end: {done} of {expected} cells{told}")
    by_seed: dict[str, Line] = {
        name: {seed: row for row in line if (seed := seed_of(row)) is not None} for name, line in found.items()
    }
    if any(len(line) != seeds or line.keys() != by_seed[names[0]].keys() for line in by_seed.values()):
        raise NotDecidedError(f"not decided: not the same {seeds} seeds of each")
    return by_seed


def column_of(rows: Sequence[ResultRow], name: str) -> str:
    """The column that has a name without what stands in parentheses behind it.

    Raises:
        NotDecidedError: A row has none, or its tokenizer was trained on a relative of the column's network.
    """
    found = [column for column in rows[0].metrics if column.split(" (")[0] == name]
    if len(found) != 1 or any(found[0] not in row.metrics for row in rows):
        raise NotDecidedError(f"not decided: not one number called {name} in every row")
    if any(found[0] in row.trained_on for row in rows):
        raise NotDecidedError(f"not decided: a relative of the network of {name} was in a tokenizer's loss")
    return found[0]


def differences(first: Line, second: Line, name: str) -> tuple[float, ...]:
    """The first minus the second in a column, seed by seed; over the same images where both have a number for each.

    Raises:
        NotDecidedError: Their numbers are not to be compared, or seeds are not trainings of their own.
    """
    rows = [*first.values(), *second.values()]
    column = column_of(rows, name)
    if any(len(trainings(list(line.values()), column)) < len(line) for line in (first, second)):
        raise NotDecidedError("not decided: several seeds are one training")
    # Distances of images may compare tokenizers; a likelihood is of one tokenizer's codes.
    of_images = all(column in row.instruments and row.instruments[column].measures == "images" for row in rows)
    held = [{key: one.identity for key, one in settings_of(row, column).items()} for row in rows]
    wrong = [key for key in held[0] if len({one.get(key) for one in held}) > 1 and not (of_images and key == "tokenizer")]
    if wrong:
        raise NotDecidedError(f"not decided: {name} has not the same {', '.join(wrong)} in every row")
    return tuple(_difference(first[seed], second[seed], column) for seed in first)


def _difference(row: ResultRow, other: ResultRow, column: str) -> float:
    if column in row.per_image and column in other.per_image:
        return float(np.mean(row.per_image[column] - other.per_image[column]))
    return row.metrics[column] - other.metrics[column]
