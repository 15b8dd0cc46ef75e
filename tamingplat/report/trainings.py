"""The trainings of a plan as a table: sizes beside published ones, tokens, operations, memory and time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from rich import box
from rich.table import Table
from rich.text import Text

from tamingplat.report.formats import count, number
from tamingplat.report.published_sizes import TOLERANCE, PublishedSize, PublishedSizes
from tamingplat.stages import Stage, StageEstimate

_GIBIBYTE = 2**30


@dataclass(frozen=True)
class SizeComparison:
    """A published number of parameters and ours.

    Attributes:
        table: Where it was published.
        row: The published model.
        counted: Ours.
    """

    table: PublishedSizes
    row: PublishedSize
    counted: int

    @property
    def difference(self) -> float:
        """How much more ours are, as a share of the published ones."""
        return self.counted / self.row.parameters - 1

    @property
    def differs(self) -> bool:
        """Whether they are another model's."""
        return abs(self.counted - self.row.parameters) > TOLERANCE * self.row.parameters

    @property
    def percent(self) -> str:
        """The difference in words, marked where it is another model's."""
        if self.counted == self.row.parameters:
            return "equal"
        return f"{self.difference:+.1%}{' ≠' if self.differs else ''}".replace("-", "−")


def compare_sizes(estimate: StageEstimate, tables: Sequence[PublishedSizes]) -> list[SizeComparison]:
    """Every published row about a model. Of a whole model, what never trains in this order is not counted."""
    return [
        SizeComparison(table, row, estimate.part(row.part) - (0 if row.part else estimate.unused))
        for table in tables
        for row in table.rows_of(estimate.kind, estimate.label)
    ]


def gpu_hours(estimate: StageEstimate, teraflops: float) -> float | None:
    """Hours of one GPU that sustains ``teraflops`` · 10¹² operations per second; ``None`` where operations are not known."""
    return None if estimate.training is None else estimate.training.flops / (teraflops * 1e12) / 3600


def estimate_json(estimate: StageEstimate, tables: Sequence[PublishedSizes], teraflops: float) -> dict[str, Any]:
    """All numbers of an estimate, ready for JSON."""
    training = estimate.training
    return {
        "parameters": estimate.parameters,
        "active_parameters": estimate.parameters - estimate.unused,
        "unused_parameters": estimate.unused,
        "phase_parameters": dict(estimate.phases),
        "codes_per_image": estimate.codes_per_image,
        "images": estimate.images,
        "tokens": estimate.tokens,
        "processes": estimate.processes,
        "flops": training and training.flops,
        "memory_bytes": training and training.memory_bytes,
        "saved_bytes": training and training.saved_bytes,
        "gpu_hours": gpu_hours(estimate, teraflops),
        "reason": estimate.reason,
        "published": [
            {
                "table": compared.table.title,
                "label": compared.row.label,
                "part": compared.row.part,
                "parameters": compared.row.parameters,
                "counted": compared.counted,
                "difference": compared.difference,
                "differs": compared.differs,
                "note": compared.row.note,
            }
            for compared in compare_sizes(estimate, tables)
        ],
    }


def trainings_table(
    estimates: Mapping[Stage, StageEstimate], tables: Sequence[PublishedSizes], teraflops: float
) -> tuple[Table, list[str]]:
    """One line for every training, with lines below it for its phases and published parts; and notes."""
    table = Table(box=box.SIMPLE_HEAD, title="trainings")
    table.add_column("what", overflow="fold")
    beside = ("published", "difference") if tables else ()
    for heading in ("parameters", *beside, "codes/image", "tokens", "FLOPs", "memory (GiB)", "GPU-hours"):
        table.add_column(heading, justify="right")
    notes: dict[str, None] = {}
    for stage, estimate in estimates.items():
        compared = compare_sizes(estimate, tables)
        whole = next((one for one in compared if not one.row.part), None)
        training, hours = estimate.training, gpu_hours(estimate, teraflops)
        table.add_row(
            Text(stage.label.removeprefix("train ")),
            count(estimate.parameters) if estimate.parameters else "",
            *([""] * len(beside) if whole is None else (count(whole.row.parameters), whole.percent)),
            str(estimate.codes_per_image) if estimate.codes_per_image else "",
            count(estimate.tokens) if estimate.tokens else "",
            "" if training is None else f"{training.flops:.3g}",
            "" if training is None else number(training.memory_bytes / _GIBIBYTE, 3),
            "" if hours is None else number(hours, 3),
        )
        for what, size, one in _lines_below(estimate, compared):
            ours_beside = () if one is None else (_exact(one.row.parameters), one.percent)
            table.add_row(Text(f"  {what}", style="dim"), _exact(size), *ours_beside)
        for one in compared:
            if one.differs:
                notes[f"≠ {one.row.label}: {one.row.note or f'published are {count(one.row.parameters)}'}"] = None
        if estimate.reason:
            notes[f"{stage.label}: operations and memory are not known: {estimate.reason}"] = None
    for published in tables:
        if published.note and any(compare_sizes(estimate, [published]) for estimate in estimates.values()):
            notes[f"published: {published.source}. {published.note}"] = None
    return table, list(notes)


def _exact(size: int) -> str:
    return f"{size:,}".replace(",", " ")


def _lines_below(estimate: StageEstimate, compared: Sequence[SizeComparison]) -> list[tuple[str, int, SizeComparison | None]]:
    """What a model's parameters are made of: the parts that were published, the phases, and what never trains."""
    lines: list[tuple[str, int, SizeComparison | None]] = [
        (f"of which {one.row.label}", one.counted, one) for one in compared if one.row.part
    ]
    if not lines and len(estimate.phases) > 1:
        lines = [(f"of which phase {phase}", size, None) for phase, size in estimate.phases.items()]
    if estimate.unused:
        lines.append(("of which never trained in this order", estimate.unused, None))
    return lines


def sizes_table(published: PublishedSizes, compared: Sequence[tuple[str, SizeComparison]]) -> tuple[Table, list[str]]:
    """A published table with our number beside each row, in its own order.

    Args:
        published: The table.
        compared: Where each of ours comes from, and the comparison; rows that nobody has are left out.

    Returns:
        The table, and notes on the rows that differ.
    """
    table = Table(box=box.SIMPLE_HEAD, title=published.title)
    table.add_column("published as", overflow="fold")
    for heading in ("layers", "n_z", "K", "dropout", "length", "m", "width", "published", "counted", "difference"):
        table.add_column(heading, justify="right")
    table.add_column("in", overflow="fold")
    notes: dict[str, None] = {}
    for row in published.row:
        ours: dict[int, list[str]] = {}
        for origin, one in compared:
            if one.row == row and origin not in ours.setdefault(one.counted, []):
                ours[one.counted].append(origin)
        for counted, origins in ours.items():
            one = SizeComparison(published, row, counted)
            cells = (row.layers, row.embedding_dim, row.codebook_size, row.dropout, row.length, row.downsampling)
            width = "" if row.width is None else str(row.width)
            if row.counted_width is not None:
                width += f" ({row.counted_width} by counting)"
            table.add_row(
                Text(row.label),
                *("" if cell is None else f"{cell:g}" for cell in cells),
                width,
                _exact(row.parameters),
                _exact(counted),
                one.percent,
                Text(", ".join(origins)),
            )
            if row.note or one.differs:
                notes[f"{'≠ ' if one.differs else ''}{row.label}: {row.note or 'the published number is of another model'}"] = (
                    None
                )
    if published.note:
        notes[f"{published.source}. {published.note}"] = None
    return table, list(notes)
