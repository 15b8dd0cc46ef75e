"""What every line of the page's table cost."""

from __future__ import annotations

from collections.abc import Mapping

from tamingplat.report.page.costs import COSTS
from tamingplat.report.page.lines import PageTable, TableLine
from tamingplat.report.text_table import TextTable


def cost_table(table: PageTable) -> TextTable:
    """What every line cost, over seeds, with the machines that training and sampling ran on."""
    lines = [line for line in table.all if line.summary.cost]
    costs = [cost for cost in COSTS if any(cost.name in line.summary.cost for line in lines)]
    rows = []
    for line in lines:
        values = [line.summary.cost.get(cost.name) for cost in costs]
        cells = ["" if value is None else cost.show(value.mean) for cost, value in zip(costs, values, strict=True)]
        rows.append((line.label, _machines(line), *cells))
    notes = tuple(f"{cost.label}: {cost.description}." for cost in costs)
    headings = ("line", "trained on", *(cost.label for cost in costs))
    return TextTable("Cost, the mean over seeds", headings, tuple(rows), 2, notes=notes)


def _machines(line: TableLine) -> str:
    """Where its models were trained; several, where its seeds differ in that."""
    found: dict[str, None] = {}
    for row in line.rows:
        machine = row.machine.get("training")
        if isinstance(machine, Mapping):
            threads = machine.get("threads")
            shared = ", shared" if machine.get("contended") else ""
            found[f"{machine.get('device')}, {threads} thread{'' if threads == 1 else 's'}{shared}"] = None
    return "; ".join(found)
