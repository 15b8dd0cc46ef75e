"""The comparison table: one line for every combination, as a terminal table, JSON, CSV, Markdown or LaTeX."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Literal

from rich import box
from rich.table import Table
from rich.text import Text

from tamingplat.report.formats import count, duration, with_error
from tamingplat.report.published import PublishedTable, our_lines
from tamingplat.report.summary import KINDS, SummaryRow, Value, summarise
from tamingplat.stages import Column, Results

Format = Literal["table", "json", "csv", "markdown", "latex"]

TRAINED_ON = "†"

_COSTS: tuple[tuple[str, str, str, Callable[[float], str]], ...] = (
    ("prior_parameters", "params", "parameters of the prior", count),
    ("prior_training_seconds", "train", "wall time of the prior's training, without validation and checkpoints", duration),
    ("prior_training_flops", "FLOPs", "floating-point operations of the prior's training", count),
    ("samples_per_second", "img/s", "sampled images per second, decoding included", lambda value: f"{value:.3g}"),
)

_TOKENIZER_COSTS: tuple[tuple[str, str, str, Callable[[float], str]], ...] = (
    ("tokenizer_parameters", "params", "parameters of the tokenizer", count),
    ("tokenizer_training_seconds", "train", "wall time of its training, without validation and checkpoints", duration),
    ("tokenizer_training_flops", "FLOPs", "floating-point operations of its training", count),
)
"""What a table shows whose rows are tokenizers alone."""


@dataclass(frozen=True)
class TextTable:
    """A table in plain text cells, for every format but JSON."""

    headings: tuple[str, ...]
    lines: tuple[tuple[str, ...], ...]
    statuses: tuple[str, ...]
    notes: tuple[str, ...]


def text_table(results: Results, *, wide: bool) -> TextTable:
    """Lay out the rows.

    Args:
        results: What is shown.
        wide: Every column; otherwise those that a metric calls a headline, and names only where they differ.
    """
    rows = summarise(results)
    cells = [row for row in rows if row.kind == "cell"]
    names_of = {kind: {row.names[kind] for row in rows if row.names[kind]} for kind in KINDS}
    kinds = [kind for kind in KINDS if len(names_of[kind]) > (0 if wide or kind in ("tokenizer", "prior") else 1)]
    several_tokenizer_seeds = len({row.tokenizer_seed for row in rows if row.tokenizer_seed is not None}) > 1
    columns = [column for column in results.columns if wide or column.headline]
    costs = [cost for cost in (_COSTS if cells else _TOKENIZER_COSTS) if any(cost[0] in row.cost for row in cells or rows)]
    status = wide or any(row.status != "done" for row in rows)

    names = [(row.kind, row.tokenizer_seed, *row.names.values()) for row in rows]
    colliding = len(set(names)) < len(names)
    headings = [*(["manifest"] if colliding else []), *kinds]
    if several_tokenizer_seeds:
        headings.append("tokenizer seed")
    headings += [_heading(column) for column in columns] + [heading for _, heading, _, _ in costs]
    if status:
        headings.append("status")

    lines = []
    for row in rows:
        line = [*([row.manifest] if colliding else []), *(_row_name(row, kind) for kind in kinds)]
        if several_tokenizer_seeds:
            line.append("" if row.tokenizer_seed is None else str(row.tokenizer_seed))
        line += [_metric(row, column) for column in columns]
        line += [_cost(row.cost.get(name), show) for name, _, _, show in costs]
        if status:
            line.append(row.status)
        lines.append(tuple(line))
    notes = tuple(" ".join(note.split("\n")) for note in _notes(rows, columns))
    return TextTable(tuple(headings), tuple(lines), tuple(row.status for row in rows), notes)


def _row_name(row: SummaryRow, kind: str) -> str:
    if row.kind == "cell" or row.names[kind]:
        return row.names[kind]
    return f"({row.kind})" if kind == "prior" or (kind == "tokenizer" and row.kind == "real") else ""


def _heading(column: Column) -> str:
    arrow = {"lower": " ↓", "higher": " ↑"}.get(column.better, "")
    return f"{column.name}{arrow}"


def _metric(row: SummaryRow, column: Column) -> str:
    text = with_error(row.metrics.get(column.name))
    return f"{text} {TRAINED_ON}" if text and column.name in row.trained_on else text


def _cost(value: Value | None, show: Callable[[float], str]) -> str:
    return "" if value is None else show(value.mean)


def _notes(rows: Sequence[SummaryRow], columns: Sequence[Column]) -> tuple[str, ...]:
    notes = [f"{column.name}{f' [{column.unit}]' if column.unit else ''}: {column.description}" for column in columns]
    seeds = sorted({len(row.seeds) for row in rows if row.kind == "cell" and row.seeds})
    if seeds and seeds[-1] > 1:
        notes.append("± is the standard error over seeds")
    elif seeds:
        notes.append("one seed: differences between rows cannot be told from noise")
    elif _one_training_each(rows):
        notes.append("one tokenizer seed: differences between rows cannot be told from noise")
    if any(column.name in row.trained_on for row in rows for column in columns):
        notes.append(f"{TRAINED_ON} the tokenizer was trained on a relative of this metric's network: not to be ranked")
    reasons: dict[tuple[str, str], list[str]] = {}
    for row in rows:
        if row.reason:
            names = " ".join(row.names[kind] for kind in ("tokenizer", "prior", "ordering", "conditioner") if row.names[kind])
            reasons.setdefault((row.status, row.reason), []).append(names or row.kind)
    for (status, reason), names_of_rows in reasons.items():
        notes.append(f"{status}: {'; '.join(names_of_rows)}: {reason}")
    return tuple(notes)


def _one_training_each(rows: Sequence[SummaryRow]) -> bool:
    """Whether the rows are tokenizers alone, some of them trained, and all from one seed."""
    trained = [row.tokenizer_seed for row in rows if "tokenizer_training_seconds" in row.cost]
    return all(row.kind != "cell" for row in rows) and len(set(trained)) == 1


def rich_table(results: Results, *, wide: bool = False) -> tuple[Table, tuple[str, ...]]:
    """The table for a terminal, and the notes below it."""
    content = text_table(results, wide=wide)
    table = Table(title=results.name, box=box.SIMPLE_HEAD, show_lines=False)
    names = len([heading for heading in content.headings if heading in (*KINDS, "manifest")])
    for index, heading in enumerate(content.headings):
        table.add_column(Text(heading), justify="left" if index < names else "right", overflow="fold")
    for line, status in zip(content.lines, content.statuses, strict=True):
        style = {"failed": "red", "refused": "yellow", "missing": "dim"}.get(status, "")
        table.add_row(*(Text(cell) for cell in line), style=style)
    return table, content.notes


def published_table(published: PublishedTable, results: Results) -> Table:
    """Published figures above ours, in the same columns."""
    variants = published.variants()
    table = Table(title=f"{published.title} [{published.unit}]".replace("[]", "").strip(), box=box.SIMPLE_HEAD)
    table.add_column("")
    for variant in variants:
        table.add_column(Text(published.columns.get(variant, variant)), justify="right")
    for row in published.row:
        values = [f"{row.values[variant]:g}" if variant in row.values else "" for variant in variants]
        table.add_row(Text(f"published: {row.label}"), *values, style="cyan")
    table.add_section()
    lines = our_lines(published, summarise(results))
    for line in lines:
        values = [with_error(Value(*line.values[variant], seeds=1)) if variant in line.values else "" for variant in variants]
        table.add_row(Text(f"ours: {line.label}"), *values)
    if not lines:
        table.add_row(Text(f"ours: no finished row has {published.metric} for a variant of this table"))
    caution = "Not the same data as ours: compare the order, not the values."
    table.caption = f"{published.source}. {caution} {published.note}".strip()
    return table


def to_json(results: Results) -> str:
    """A list of rows, one for each cell and seed."""
    return json.dumps([asdict(row) for row in results.rows], indent=2)


def to_csv(results: Results) -> str:
    """One line for each cell and seed, every metric and cost a column."""
    metrics = [column.name for column in results.columns]
    costs = list(dict.fromkeys(name for row in results.rows for name in row.cost))
    names = ["manifest", "kind", *KINDS, "tokenizer_seed", "seed", "status", "reason", "trained_on"]
    out = io.StringIO()
    writer = csv.DictWriter(out, [*names, *metrics, *costs], extrasaction="ignore", lineterminator="\n")
    writer.writeheader()
    for row in results.rows:
        trained_on = "; ".join(row.trained_on)
        writer.writerow({**asdict(row), "trained_on": trained_on, **row.metrics, **row.cost})
    return out.getvalue()


def to_markdown(results: Results, *, wide: bool = False) -> str:
    """A Markdown table with its notes."""
    content = text_table(results, wide=wide)

    def line(cells: Sequence[str]) -> str:
        return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"

    names = len([heading for heading in content.headings if heading in (*KINDS, "manifest")])
    rule = ["---" if index < names else "---:" for index in range(len(content.headings))]
    table = [line(content.headings), line(rule), *(line(cells) for cells in content.lines)]
    return "\n".join([*table, "", *(f"- {note}" for note in content.notes)]) + "\n"


def to_latex(results: Results, *, wide: bool = False) -> str:
    """A booktabs table."""
    content = text_table(results, wide=wide)
    names = len([heading for heading in content.headings if heading in (*KINDS, "manifest")])
    alignment = "l" * names + "r" * (len(content.headings) - names)
    body = [" & ".join(_escape_latex(cell) for cell in cells) + r" \\" for cells in content.lines]
    heading = " & ".join(_escape_latex(cell) for cell in content.headings) + r" \\"
    notes = [f"% {note}" for note in content.notes]
    begin, end = rf"\begin{{tabular}}{{{alignment}}}", r"\end{tabular}"
    return "\n".join([begin, r"\toprule", heading, r"\midrule", *body, r"\bottomrule", end, *notes]) + "\n"


_LATEX = {
    "\\": r"\textbackslash{}",
    "&": r"\&",
    "%": r"\%",
    "$": r"\$",
    "#": r"\#",
    "_": r"\_",
    "{": r"\{",
    "}": r"\}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "±": r"$\pm$",
    "↓": r"$\downarrow$",
    "↑": r"$\uparrow$",
    "†": r"$\dagger$",
}


def _escape_latex(text: str) -> str:
    return "".join(_LATEX.get(character, character) for character in text)
