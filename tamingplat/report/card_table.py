"""The tables and lines of a model card: numbers exactly as the comparison table names them, their cost and their making."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from tamingplat.report.formats import count, duration, number
from tamingplat.report.table import TRAINED_ON
from tamingplat.stages.sharing import ColumnEntry, OriginEntry, ResultsEntry, RowEntry
from tamingplat.store import content_key

_COSTS: tuple[tuple[str, str], ...] = (
    ("tokenizer_parameters", "tokenizer parameters"),
    ("tokenizer_training_seconds", "tokenizer training"),
    ("tokenizer_training_flops", "tokenizer training FLOPs"),
    ("prior_parameters", "prior parameters"),
    ("prior_training_seconds", "prior training"),
    ("prior_training_flops", "prior training FLOPs"),
    ("sampling_seconds", "sampling"),
    ("samples_per_second", "samples per second"),
)


class CardTable:
    """The rows of a card, as text cells, and what they cost."""

    def __init__(self, results: ResultsEntry) -> None:
        self.headings = ["", "dataset", "seed", "tokenizer seed", "split", "samples", *map(_heading, results.columns)]
        self.rules = ["---", "---", *["---:"] * (len(self.headings) - 2)]
        self.lines = [self._line(row, results.columns) for row in results.rows]
        measured = [row for row in results.rows if row.cost]
        costs = [(name, heading) for name, heading in _COSTS if any(name in row.cost for row in measured)]
        self.cost_headings = ["", "seed", *(heading for _, heading in costs), "trained on", "sampled on"]
        self.cost_rules = ["---", "---:", *["---:"] * len(costs), "---", "---"]
        self.costs = [self._cost_line(row, [name for name, _ in costs]) for row in measured]

    @staticmethod
    def _cost_line(row: RowEntry, names: Sequence[str]) -> list[str]:
        machines = (_machine(row, of) for of in ("training", "sampling"))
        return [row_name(row), _or_nothing(row.seed), *(_cost(row, name) for name in names), *machines]

    @staticmethod
    def _line(row: RowEntry, columns: Sequence[ColumnEntry]) -> list[str]:
        cells = [row_name(row), row.dataset, _or_nothing(row.seed), _or_nothing(row.tokenizer_seed)]
        cells += [str(row.evaluation.get("split", "")), str(row.evaluation.get("samples", ""))]
        for column in columns:
            value = row.metrics.get(column.name)
            mark = f" {TRAINED_ON}" if column.name in row.trained_on else ""
            cells.append("" if value is None else f"{_number(value)}{mark}")
        return cells


def _machine(row: RowEntry, name: str) -> str:
    """What a row was trained or sampled on."""
    of = row.machine.get(name)
    if not isinstance(of, Mapping):
        return ""
    threads = of.get("threads")
    return f"{of.get('device', '')}, {threads} thread{'' if threads == 1 else 's'}"


def table_notes(results: ResultsEntry) -> Iterator[str]:
    """How the table is read: columns, splits, datasets, seeds."""
    for column in results.columns:
        yield f"{_heading(column)}{f' [{column.unit}]' if column.unit else ''}: {column.description}"
    evaluate = results.evaluate
    yield (
        f"likelihoods and reconstructions are of the split {evaluate.get('split')}; {evaluate.get('samples')} samples are "
        f"compared with the split {evaluate.get('reference')}"
    )
    for name, dataset in results.datasets.items():
        splits = ", ".join(f"{images} in {split}" for split, images in dataset.splits.items())
        yield (
            f"dataset {name}: {dataset.component}, images of {sides(dataset.image_size)} pixels and {dataset.channels} "
            f"channels, {splits}; fingerprint `{dataset.fingerprint}`"
        )
    seeds = {row.seed for row in results.rows if row.kind == "cell"}
    if len(seeds) == 1:
        yield "one seed: differences from other rows cannot be told from noise"
    if any(row.trained_on for row in results.rows):
        yield f"{TRAINED_ON} the tokenizer was trained on a relative of this metric's network: not to be ranked"


def origin_lines(origin: OriginEntry) -> Iterator[str]:
    """How a model was made, a fact a line."""
    yield f"{origin.label}: `{origin.stage}` `{origin.key[:12]}`, {origin.created}"
    dataset = origin.identity.get("dataset")
    if isinstance(dataset, Mapping):
        yield f"dataset: {in_code(str(dataset.get('name')))}, fingerprint `{content_key(dataset)}`"
    for name in ("seed", "validation_split"):
        if name in origin.identity:
            yield f"{name.replace('_', ' ')}: {origin.identity[name]}"
    settings = origin.identity.get("training")
    if isinstance(settings, Mapping):
        yield f"training settings: {in_code(json.dumps(settings, ensure_ascii=False))}"
    if origin.training:
        yield f"training: {_training(origin.training)}"
    if origin.checkpoint:
        yield f"imported from a checkpoint: {_pairs(origin.checkpoint)}"
    git = origin.code.get("git")
    if isinstance(git, Mapping):
        yield f"code: commit {in_code(str(git.get('commit')))}{', with local changes' if git.get('dirty') else ''}"
    packages = origin.code.get("packages")
    if isinstance(packages, Mapping):
        versions = ", ".join(f"{name} {version}" for name, version in packages.items())
        yield f"packages: {versions}; Python {origin.code.get('python')}"


def _training(training: Mapping[str, Any]) -> str:
    terms = training.get("validation_terms")
    said = {name: value for name, value in training.items() if name != "validation_terms" and value is not None}
    text = _pairs(said)
    if isinstance(terms, Mapping) and terms:
        text += f"; last validation: {_pairs(terms)}"
    return text


def _pairs(values: Mapping[str, Any]) -> str:
    def shown(value: Any) -> str:
        return _number(value) if isinstance(value, float) else str(value)

    return ", ".join(f"{name.replace('_', ' ')} {shown(value)}" for name, value in values.items())


def _heading(column: ColumnEntry) -> str:
    return column.name + {"lower": " ↓", "higher": " ↑"}.get(column.better, "")


def row_name(row: RowEntry) -> str:
    """What tells a row from others, its seeds apart."""
    names = [row.tokenizer, row.prior, row.ordering, row.conditioner, row.sampler]
    if row.kind == "cell":
        return " / ".join(name for name in names if name)
    return f"({row.kind})" + (f" {row.tokenizer}" if row.tokenizer else "")


def _cost(row: RowEntry, name: str) -> str:
    if name not in row.cost:
        return ""
    value = row.cost[name]
    if name.endswith("_seconds"):
        return duration(value)
    return number(value, 3) if name == "samples_per_second" else count(value)


def _number(value: float) -> str:
    return number(value) if math.isfinite(value) else str(value)


def _or_nothing(value: int | None) -> str:
    return "" if value is None else str(value)


def sides(grid: Sequence[int]) -> str:
    """16×16."""
    return "×".join(map(str, grid))


def in_cell(text: object) -> str:
    """Text in a cell of a table or in an item of a list: on one line, and ending no cell."""
    return " ".join(str(text).split()).replace("|", "\\|").replace("<", "&lt;")


def in_code(text: str) -> str:
    """Text between backticks, of which it then has none itself."""
    return f"`{' '.join(text.split()).replace('`', chr(39))}`"
