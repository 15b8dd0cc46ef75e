"""Lines of the table: the rows of one combination over its seeds, and which of these are trainings of their own.

A seed counts where something was trained from it. The same artifact under two seeds is one training, however often it is
listed: an imported prior, one cell that two manifests ask for, an artifact that was copied.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Sequence
from typing import TypeVar

from tamingplat.stages import ResultRow, Results

KINDS = ("dataset", "tokenizer", "prior", "ordering", "conditioner", "sampler")

_COMPARED = 64
"""Images whose numbers tell one training from another."""

T = TypeVar("T")


def names_of(row: ResultRow) -> dict[str, str]:
    """Names in the manifest by kind of component; empty where a row has none."""
    return {
        "dataset": row.dataset,
        "tokenizer": row.tokenizer,
        "prior": row.prior,
        "ordering": row.ordering,
        "conditioner": row.conditioner,
        "sampler": row.sampler,
    }


def line_of(row: ResultRow) -> str:
    """The line that a row belongs to: its ``group``, or its names where it has none, as a refused cell."""
    return row.group or "/".join((row.kind, row.manifest, *names_of(row).values(), str(row.tokenizer_seed)))


def seed_of(row: ResultRow) -> int | None:
    """The seed that a row's model was trained from: of the prior or, where there is none, of the tokenizer."""
    return row.seed if row.kind == "cell" else row.tokenizer_seed


def lines_of(results: Results) -> dict[str, list[ResultRow]]:
    """The rows of every line, in the order of the table."""
    lines: dict[str, list[ResultRow]] = {}
    for row in results.rows:
        lines.setdefault(line_of(row), []).append(row)
    return lines


def marks(row: ResultRow) -> set[Hashable]:
    """What no two independent trainings have in common: the model's artifact, its weights, and what it says of every single
    image.
    """
    model = "prior" if row.kind == "cell" else "tokenizer"
    # An artifact that was copied under another key has the weights of the first.
    known = (("artifact", row.artifacts), ("weights", row.weights))
    found: set[Hashable] = {(what, of[model]) for what, of in known if model in of}
    for column, values in row.per_image.items():
        first = values[:_COMPARED]
        # Weights that were written anew, in another file. Likelihoods are continuous: two trainings never share so many.
        if column in row.instruments and row.instruments[column].measures == "prior" and (first != first[:1]).any():
            found.add(("values", column, first.tobytes()))
    return found


def joined(items: Sequence[T], marks_of: Callable[[T], Iterable[Hashable]]) -> list[list[T]]:
    """Items that share a mark, directly or through others, together; in their order."""
    group_of: dict[Hashable, int] = {}
    groups: list[list[int]] = []
    for index, item in enumerate(items):
        known = sorted({group_of[mark] for mark in marks_of(item) if mark in group_of})
        place = known[0] if known else len(groups)
        if not known:
            groups.append([])
        groups[place].append(index)
        for mark in marks_of(item):
            group_of[mark] = place
        for other in known[1:]:
            groups[place] += groups[other]
            groups[other] = []
            group_of = {mark: place if group == other else group for mark, group in group_of.items()}
    return [[items[index] for index in sorted(group)] for group in groups if group]


def measurements(rows: Sequence[ResultRow], column: str) -> list[ResultRow]:
    """Rows with a number in a column, one for each measurement: several rows can share one, that of their tokenizer say."""
    found: dict[Hashable, ResultRow] = {}
    for index, row in enumerate(rows):
        if column in row.metrics:
            found.setdefault(row.sources.get(column, index), row)
    return list(found.values())


def trainings(rows: Sequence[ResultRow], column: str) -> list[list[ResultRow]]:
    """The measurements of a column by the training that they are of."""
    return joined(measurements(rows, column), marks)
