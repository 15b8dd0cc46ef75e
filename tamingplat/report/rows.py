"""Rows for programs: JSON and CSV, one for each cell and seed."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from typing import Any

from tamingplat.report.budgets import BudgetTable
from tamingplat.report.lines import KINDS, line_of
from tamingplat.report.ranking import Ranking
from tamingplat.stages import ResultRow

_NAMES = ("manifest", "kind", *KINDS, "tokenizer_seed", "seed", "status", "reason", "trained_on")


def to_json(budgets: BudgetTable, rankings: Sequence[Ranking], rows: Sequence[ResultRow]) -> str:
    """A list of rows.

    Each has what a ``ResultRow`` has, and two more fields. ``rankings``: for every column that its line is ranked by, the
    ``verdict`` (``best``, ``tied``, ``worse``, ``undecided``), the ``difference`` from the best with its ``interval``,
    ``adjusted_p``, ``seeds`` and ``basis``, and what all lines of the ranking share (``held``). ``at_equal``: for ``nll at
    equal steps``, ``time`` and ``FLOPs``, a number, or the reason why there is none.
    """
    found: dict[str, dict[str, Any]] = {}
    for ranking in rankings:
        if not ranking.alone:
            for comparison in ranking.comparisons:
                compared = {name: value for name, value in asdict(comparison).items() if name != "group"}
                found.setdefault(comparison.group, {})[ranking.column.name] = {**compared, "held": ranking.held}
    return json.dumps([_json(budgets, row, found.get(line_of(row), {})) for row in rows], indent=2)


def _json(budgets: BudgetTable, row: ResultRow, ranked: dict[str, Any]) -> dict[str, Any]:
    plain = row.plain()
    for name in ("instruments", "tuning"):
        plain[name] = {key: asdict(value) for key, value in plain[name].items()}
    plain["tuning"] = {kind: {**tuning, "tried": row.tuning[kind].tried} for kind, tuning in plain["tuning"].items()}
    at_equal: dict[str, Any] = {}
    for column in budgets.columns:
        for fields in ("metrics", "sources", "instruments"):
            value = plain[fields].get(column.name)
            plain[fields] = {name: other for name, other in plain[fields].items() if name != column.name}
            if fields == "metrics" and value is not None:
                at_equal[column.name] = value
        if reason := budgets.reason(row, column.name):
            at_equal[column.name] = reason
    return {**plain, "rankings": ranked, "at_equal": at_equal}


def to_csv(budgets: BudgetTable, rankings: Sequence[Ranking], rows: Sequence[ResultRow]) -> str:
    """One line for each row, every metric and cost a column.

    Behind a metric stand, where some row has them, the ``verdict`` on its line, the ``standard error`` of the metric's own
    estimator, and the ``reason`` why a row has no number.
    """
    verdicts = {
        (ranking.column.name, comparison.group): comparison.verdict
        for ranking in rankings
        if not ranking.alone
        for comparison in ranking.comparisons
    }
    of_metrics = [list(_of_metric(column.name, budgets, verdicts, rows)) for column in budgets.results.columns]
    costs = list(dict.fromkeys(name for row in rows for name in row.cost))
    tried = [f"{kind}_settings_tried" for kind in ("tokenizer", "prior")]
    headings = [heading for of_metric in of_metrics for heading, _ in of_metric]
    out = io.StringIO()
    writer = csv.DictWriter(out, [*_NAMES, *headings, *costs, *tried], extrasaction="ignore", lineterminator="\n")
    writer.writeheader()
    for index, row in enumerate(rows):
        trained_on = "; ".join(row.trained_on)
        settings_tried = {f"{kind}_settings_tried": tuning.tried for kind, tuning in row.tuning.items()}
        of_row = {heading: values[index] for of_metric in of_metrics for heading, values in of_metric}
        writer.writerow({**row.plain(), "trained_on": trained_on, **of_row, **row.cost, **settings_tried})
    return out.getvalue()


def _of_metric(
    name: str, budgets: BudgetTable, verdicts: Mapping[tuple[str, str], str], rows: Sequence[ResultRow]
) -> Iterator[tuple[str, Sequence[float | str | None]]]:
    """A metric's columns: heading and a value for each row."""
    yield name, [row.metrics.get(name) for row in rows]
    beside: dict[str, Sequence[float | str | None]] = {
        "verdict": [verdicts.get((name, line_of(row)), "") if name in row.metrics else "" for row in rows],
        "standard error": [row.standard_errors.get(name, "") for row in rows],
        "reason": [budgets.reason(row, name) for row in rows],
    }
    yield from ((f"{name}: {what}", values) for what, values in beside.items() if any(value != "" for value in values))
