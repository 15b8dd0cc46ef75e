"""Choosing a trained model of a plan: ``tokenizer=vqgan-f4,prior=gpt-s,seed=0``."""

from __future__ import annotations

from dataclasses import dataclass

from tamingplat.interfaces import ProblemsError, TamingplatError
from tamingplat.stages.failures import read_failure
from tamingplat.stages.plan import Plan, PlannedCell
from tamingplat.stages.selection import Combination, listed, matching_cells, parse_selection
from tamingplat.stages.stage import Stage
from tamingplat.store import Artifact, Store

_OF_PRIOR = frozenset({"prior", "ordering", "conditioner", "seed"})
"""A selection that says one of these means a prior."""


@dataclass(frozen=True)
class Selected:
    """A model that was chosen.

    Attributes:
        artifact: Its artifact.
        label: What a person would call it.
    """

    artifact: Artifact
    label: str


def select_model(plan: Plan, selection: str, store: Store, *, command: str) -> Selected:
    """The one tokenizer, or the one prior, of a plan that a selection leaves, where it is in the store.

    Args:
        plan: Of a manifest.
        selection: As the user wrote it.
        store: Where the artifacts lie.
        command: What makes the artifacts of the plan.

    Raises:
        TamingplatError: The selection leaves none or several, or one that is refused, or not in the store.
        ProblemsError: Its data are not here, so that its key is not known.
    """
    fields = parse_selection(selection)
    kind = "prior" if _OF_PRIOR & fields.keys() else "tokenizer"
    cells = matching_cells(plan, fields, selection)
    stages: dict[str, Stage] = {}
    labels: dict[str, str] = {}
    for cell in cells:
        prior = cell.prior if isinstance(cell, PlannedCell) else None
        stage: Stage | None = prior if kind == "prior" else cell.tokenizer
        if stage is not None and stage.key not in stages:
            stages[stage.key], labels[stage.key] = stage, _label(cell, kind)
    if not stages:
        reasons = dict.fromkeys(cell.reason for cell in cells if cell.reason)
        told = "; ".join(reasons) or f"there is no {kind} among them"
        raise TamingplatError(f"--select {selection}: {told}")
    if len(stages) > 1:
        raise TamingplatError(
            f"--select {selection}: leaves {len(stages)} {kind}s; say which of them:\n" + listed(list(labels.values()))
        )
    (stage,) = stages.values()
    if stage.provisional:
        raise ProblemsError(plan.absent)
    artifact = store.find(stage.kind, stage.key)
    if artifact is None:
        failed = read_failure(store, stage.key)
        told = f"it failed when it last ran ({failed})" if failed else "it is not in the store"
        raise TamingplatError(f"{labels[stage.key]}: {told}; `{command}` makes it")
    return Selected(artifact, labels[stage.key])


def _label(cell: Combination, kind: str) -> str:
    own = ("dataset", "tokenizer", "tokenizer_seed")
    wanted = own if kind == "tokenizer" else (*own[:2], "prior", "ordering", "conditioner", "seed", "tokenizer_seed")
    labels = cell.cell.labels
    return ",".join(f"{name}={labels[name]}" for name in wanted if name in labels)
