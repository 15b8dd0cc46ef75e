"""All that is known of one line of the table."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tamingplat.interfaces import Kind
from tamingplat.manifest import ResolvedComponent
from tamingplat.report.formats import number
from tamingplat.report.line_columns import tried
from tamingplat.report.lines import KINDS, names_of
from tamingplat.report.page.costs import COSTS
from tamingplat.report.page.gallery import NamedSheet
from tamingplat.report.page.lines import PageTable, TableLine
from tamingplat.report.page.provenance import Environment, MadeStage, Provenance, settings_text, stage_keys
from tamingplat.report.table import TRAINED_ON
from tamingplat.report.text_table import TextTable
from tamingplat.stages import Column, Plan, ResultRow, Stage


@dataclass(frozen=True)
class Settings:
    """The resolved settings of one component.

    Attributes:
        anchor: Its name in the page.
        kind, label: What it is.
        component: The installed component.
        text: JSON.
    """

    anchor: str
    kind: str
    label: str
    component: str
    text: str


@dataclass(frozen=True)
class Detail:
    """One line of the table, in full.

    Attributes:
        line: The line.
        facts: Pairs of what and how it is.
        metrics: Its numbers, seed by seed.
        costs: What it cost, seed by seed; ``None`` where nothing is known.
        settings: Of its components.
        sheets: Its samples.
        stages: What it rests on.
        environments: The code and packages that these were made with.
    """

    line: TableLine
    facts: tuple[tuple[str, str], ...]
    metrics: TextTable | None
    costs: TextTable | None
    settings: tuple[Settings, ...]
    sheets: tuple[NamedSheet, ...]
    stages: tuple[MadeStage, ...]
    environments: tuple[Environment, ...]


ComponentSettings = Mapping[tuple[str, str, str], Sequence[Settings]]
"""By manifest, kind and label. There are several where manifests of one name give a label different settings."""


def all_settings(plans: Sequence[Plan]) -> ComponentSettings:
    """The settings of every component. What manifests have in common is there once; where the same label has other settings in
    another manifest, the manifest's name stands behind it.
    """
    made: dict[tuple[Kind, str, str, str], str] = {}
    asked: dict[tuple[str, str, str], dict[tuple[Kind, str, str, str], None]] = {}
    for plan in plans:
        manifest = plan.manifest
        components: list[tuple[Kind, ResolvedComponent]] = [
            pair for cell in manifest.combinations for pair in cell.components.items()
        ]
        components += [(metric.kind, metric) for metric in manifest.metrics]
        for kind, component in {id(one): (kind, one) for kind, one in components}.values():
            what = (kind, component.label, component.component.name, settings_text(component.settings, manifest))
            made.setdefault(what, manifest.name)
            asked.setdefault((manifest.name, kind, component.label), {})[what] = None
    namesakes = Counter((kind, label) for kind, label, _, _ in made)
    settings = {}
    for index, (what, manifest_name) in enumerate(made.items(), start=1):
        kind, label, component_name, text = what
        shown = label if namesakes[kind, label] == 1 else f"{label} ({manifest_name})"
        settings[what] = Settings(f"settings-{index}", kind, shown, f"{kind}:{component_name}", text)
    return {key: tuple(settings[what] for what in several) for key, several in asked.items()}


def make_details(
    table: PageTable,
    columns: Sequence[Column],
    stages: Mapping[str, Stage],
    provenance: Provenance,
    settings: ComponentSettings,
    sheets: Mapping[str, Sequence[NamedSheet]],
) -> list[Detail]:
    """The details of every line.

    Args:
        table: The lines.
        columns: Of the results.
        stages: Those of all plans, by content key.
        provenance: Of all stages.
        settings: Of all components.
        sheets: Samples, by the lines' anchors.
    """
    details = []
    for line in table.all:
        made = provenance.behind(key for row in line.rows for key in stage_keys(row, stages))
        details.append(
            Detail(
                line,
                tuple(_facts(line)),
                _metrics(line, columns),
                _costs(line),
                tuple(_settings(line, settings)),
                tuple(sheets.get(line.anchor, ())),
                tuple(made),
                tuple(provenance.environments_of(made)),
            )
        )
    return details


def _facts(line: TableLine) -> list[tuple[str, str]]:
    summary, row = line.summary, line.rows[0]
    facts = [(kind, summary.names[kind]) for kind in KINDS if summary.names[kind]]
    facts += [("manifest", ", ".join(dict.fromkeys(one.manifest for one in line.rows)))]
    if summary.tokenizer_seed is not None:
        facts.append(("tokenizer seed", str(summary.tokenizer_seed)))
    if summary.kind == "cell":
        facts.append(("seeds", ", ".join(str(one.seed) for one in line.rows)))
    if summary.copies:
        seeds = ", ".join(map(str, summary.copies))
        facts.append(("copies", f"seeds {seeds} are no trainings of their own and count as those that they copy"))
    facts.append(("status", summary.status))
    facts += [("why", one.reason) for one in line.rows if one.reason][:1]
    facts += [("note", note) for note in summary.notes]
    evaluation = row.evaluation
    if evaluation:
        facts.append(("measured on", f"split {evaluation.get('split')}"))
        facts.append(("compared", f"{evaluation.get('samples')} images with the split {evaluation.get('reference')}"))
    for what, tuning in summary.tuning.items():
        facts.append((f"settings of the {what}", f"{tried(tuning)} tried" + (f": {tuning.note}" if tuning.note else "")))
    facts += _machines(line.rows)
    if row.machine.get("ema"):
        facts.append(("averaged weights", f"decay {row.machine['ema']}"))
    return facts


def _machines(rows: Sequence[ResultRow]) -> Iterator[tuple[str, str]]:
    """What each kind of work ran on; seed by seed, where seeds differ in that."""
    for name in dict.fromkeys(name for row in rows for name, machine in row.machine.items() if isinstance(machine, Mapping)):
        seeds_on: dict[str, list[str]] = {}
        for row in rows:
            if isinstance(machine := row.machine.get(name), Mapping):
                seeds_on.setdefault(_machine(machine), []).append(str(row.seed))
        if len(seeds_on) == 1:
            yield f"{name} ran on", next(iter(seeds_on))
        else:
            words = [f"{told} (seed{'s' if len(seeds) > 1 else ''} {', '.join(seeds)})" for told, seeds in seeds_on.items()]
            yield f"{name} ran on", "; ".join(words)


def _machine(machine: Mapping[str, Any]) -> str:
    parts = [str(machine[name]) for name in ("host", "device") if machine.get(name)]
    for name, one in (("threads", "thread"), ("processes", "process")):
        if machine.get(name) is not None:
            parts.append(f"{machine[name]} {one if machine[name] == 1 else name}")
    parts += [str(machine["precision"])] if machine.get("precision") else []
    parts += ["shared with other work meanwhile"] if machine.get("contended") else []
    return ", ".join(parts)


def _seeds(line: TableLine) -> tuple[str, ...]:
    if line.summary.kind != "cell":
        return ("value",)
    return tuple(f"seed {row.seed}" for row in line.rows)


def _metrics(line: TableLine, columns: Sequence[Column]) -> TextTable | None:
    rows = []
    for column in columns:
        if not any(column.name in row.metrics for row in line.rows):
            continue
        unit = f" ({column.unit})" if column.unit else ""
        mark = f" {TRAINED_ON}" if column.name in line.summary.trained_on else ""
        rows.append((f"{column.name}{unit}{mark}", *(_metric(row, column.name) for row in line.rows)))
    seeds = _seeds(line)
    return TextTable("Numbers, seed by seed", ("metric", *seeds), tuple(rows), 1) if rows else None


def _metric(row: ResultRow, name: str) -> str:
    if name not in row.metrics:
        return ""
    error = row.standard_errors.get(name)
    return number(row.metrics[name], 5) + (f" ± {number(error, 2)}" if error is not None else "")


def _costs(line: TableLine) -> TextTable | None:
    rows = [
        (cost.label, *(cost.show(row.cost[cost.name]) if cost.name in row.cost else "" for row in line.rows))
        for cost in COSTS
        if any(cost.name in row.cost for row in line.rows)
    ]
    seeds = _seeds(line)
    return TextTable("Cost, seed by seed", ("cost", *seeds), tuple(rows), 1) if rows else None


def _settings(line: TableLine, settings: ComponentSettings) -> list[Settings]:
    """Of all manifests that the line's rows come from, kind by kind."""
    named = [(row.manifest, kind, names_of(row)[kind]) for kind in KINDS for row in line.rows]
    return list({one.anchor: one for key in named for one in settings.get(key, ())}.values())
