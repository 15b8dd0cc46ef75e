"""Published figures, beside which ours are shown: tables under ``experiments/references/``.

A table names what varies (``axis``, a kind of component) and gives the published value of every variant. Ours are put into the
same columns, one line for every setting of everything else, and never into the same line: the data are not the same.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from pydantic import Field, model_validator

from tamingplat.interfaces import Config
from tamingplat.report.lines import KINDS
from tamingplat.report.summary import SummaryRow, Value

CAUTION = "Not the same data as ours: compare the order, not the values."
"""How far a published table can be compared with ours."""


class PublishedRow(Config):
    """One line of a published table."""

    label: str = Field(description="Data, model and budget, as published.")
    values: dict[str, float] = Field(description="The published value of each variant, by column.")


class OtherMeasure(Config):
    """Where ours stands for a variant that is no component of its own: the same model at another budget, say."""

    component: str = Field(description="The installed component of the table's axis.")
    metric: str = Field(description="Our column for this variant, without its number of images.")


class PublishedTable(Config):
    """A table of published figures."""

    schema_version: Literal[1] = Field(alias="schema", description="Layout of this file.")
    title: str = Field(description="What the table shows.")
    source: str = Field(description="Publication and the number of its table or figure.")
    url: str = Field("", description="Address of the publication.")
    metric: str = Field(
        description="Our metric's column that holds the same quantity, without its number of images, or our cost."
    )
    unit: str = Field("", description="Unit of the values.")
    of: Literal["cell", "reconstruction"] = Field(
        "cell", description="Whose metric it is: samples of a cell, or reconstructions by a tokenizer."
    )
    axis: Literal["tokenizer", "prior", "ordering", "conditioner", "sampler"] = Field(description="The kind that varies.")
    columns: dict[str, str] = Field(
        default_factory=dict, description="Heading of each variant that is not an installed component's name."
    )
    measured: dict[str, OtherMeasure] = Field(
        default_factory=dict, description="Variants that are another component's, by another column of ours."
    )
    note: str = Field("", description="What has to be known to read it.")
    row: tuple[PublishedRow, ...] = Field(min_length=1, description="The published lines.")

    @model_validator(mode="after")
    def _measured_variants(self) -> PublishedTable:
        unknown = [name for name in self.measured if name not in self.variants()]
        if unknown:
            raise ValueError(f"measured names {', '.join(unknown)}, of which no line has a value")
        return self

    def variants(self) -> list[str]:
        """The columns, in the order in which the lines name them."""
        return list(dict.fromkeys(name for row in self.row for name in row.values))

    def headings(self) -> tuple[str, ...]:
        """The headings of these columns."""
        return tuple(self.columns.get(name, name) for name in self.variants())

    @property
    def heading(self) -> str:
        """What the table shows, with the unit."""
        return f"{self.title} [{self.unit}]" if self.unit else self.title


@dataclass(frozen=True)
class OurLine:
    """Our values of one setting, by variant: mean and standard error over seeds (``None`` for a single seed)."""

    label: str
    values: dict[str, tuple[float, float | None]]


def our_lines(table: PublishedTable, rows: Sequence[SummaryRow]) -> list[OurLine]:
    """Our rows in the columns of a published table, one line for each setting of all that is not its axis.

    Only finished rows with the table's metric and one of its variants count.
    """
    kinds = [kind for kind in KINDS if kind != table.axis]
    varying = [kind for kind in kinds if len({row.names[kind] for row in rows if row.kind == table.of}) > 1]
    several_seeds = len({row.tokenizer_seed for row in rows if row.kind == table.of}) > 1
    lines: dict[tuple[str, ...], OurLine] = {}
    for row in rows:
        variant = row.components.get(table.axis, "")
        value = _value(row, table.metric)
        if row.kind != table.of or row.status != "done" or value is None or variant not in table.variants():
            continue
        setting = (row.manifest, *(row.names[kind] for kind in kinds), str(row.tokenizer_seed))
        label = ", ".join(row.names[kind] for kind in varying) or row.names["dataset"]
        label += f", tokenizer seed {row.tokenizer_seed}" if several_seeds else ""
        if variant in lines.get(setting, OurLine("", {})).values:
            # Another block of the same component: a line of its own, which says which block it is.
            setting, label = (*setting, row.names[table.axis]), f"{label}, {row.names[table.axis]}"
        line = lines.setdefault(setting, OurLine(label, {}))
        line.values[variant] = (value.mean, value.standard_error)
        for name, other in table.measured.items():
            if other.component == variant and (of_other := _value(row, other.metric)) is not None:
                line.values[name] = (of_other.mean, of_other.standard_error)
    return _told_apart(lines)


def _told_apart(lines: Mapping[tuple[str, ...], OurLine]) -> list[OurLine]:
    """The lines by setting, whose first part is the manifest: it is said where the same names are in several."""
    if len({line.label for line in lines.values()}) == len(lines):
        return list(lines.values())
    return [replace(line, label=f"{manifest}: {line.label}") for (manifest, *_), line in lines.items()]


def _value(row: SummaryRow, metric: str) -> Value | None:
    """A row's number of this name, whatever number of images stands behind it; of its costs where no metric is called so."""
    column = next((name for name in row.metrics if name.split(" (")[0] == metric), None)
    return row.cost.get(metric.replace("-", "_")) if column is None else row.metrics[column]
