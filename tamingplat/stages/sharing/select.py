"""Choosing a trained model of a plan: ``tokenizer=vqgan-f4,prior=gpt-s,seed=0``."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from tamingplat.interfaces import ProblemsError, TamingplatError
from tamingplat.manifest import MATRIX_KINDS
from tamingplat.registry import did_you_mean
from tamingplat.stages.failures import read_failure
from tamingplat.stages.plan import Plan, PlannedCell, PlannedTokenizer
from tamingplat.stages.stage import Stage
from tamingplat.store import Artifact, Store

FIELDS = (*MATRIX_KINDS, "seed", "tokenizer_seed")
_OF_PRIOR = frozenset({"prior", "ordering", "conditioner", "seed"})
"""A selection that says one of these means a prior."""

Combination = PlannedCell | PlannedTokenizer

_FIELD = re.compile(r"(?:^|,)\s*([A-Za-z_]+)\s*=")
_SHOWN = 20


@dataclass(frozen=True)
class Selected:
    """A model that was chosen.

    Attributes:
        artifact: Its artifact.
        label: What a person would call it.
    """

    artifact: Artifact
    label: str


def parse_selection(text: str) -> dict[str, str]:
    """The fields of a selection. Values can have commas and brackets, as the labels of axes do.

    Raises:
        TamingplatError: It is malformed, or a field is unknown or stands there twice.
    """
    found = list(_FIELD.finditer(text))
    if not found or text[: found[0].start()].strip():
        raise TamingplatError(f"--select {text}: must read FIELD=NAME[,FIELD=NAME…]; the fields are {', '.join(FIELDS)}")
    fields: dict[str, str] = {}
    open_brackets = 0
    previous = ""
    for number, match in enumerate(found):
        end = found[number + 1].start() if number + 1 < len(found) else len(text)
        name, value = match[1], text[match.end() : end].strip()
        if open_brackets > 0:
            # A setting inside the brackets of a label, such as [steps=1, seed=2], is no field.
            fields[previous] += text[match.start() : end]
        elif name not in FIELDS:
            hint = did_you_mean(name, FIELDS) or f"the fields are {', '.join(FIELDS)}"
            raise TamingplatError(f"--select {text}: there is no field {name}; {hint}")
        elif name in fields:
            raise TamingplatError(f"--select {text}: {name} stands there twice")
        else:
            fields[name], previous = value, name
        open_brackets = fields[previous].count("[") - fields[previous].count("]")
    return fields


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
    cells = _matching(plan, fields, selection)
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
            f"--select {selection}: leaves {len(stages)} {kind}s; say which of them:\n" + _listed(list(labels.values()))
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


def _matching(plan: Plan, fields: Mapping[str, str], selection: str) -> list[Combination]:
    cells = list(plan.combinations)
    for name, value in fields.items():
        left = [cell for cell in cells if str(_labels(cell).get(name, "")) == value]
        if not left:
            values = list(dict.fromkeys(str(_labels(cell).get(name, "")) for cell in cells))
            hint = did_you_mean(value, values) or f"there {'are' if len(values) > 1 else 'is'} {', '.join(values)}"
            beside = "" if len(cells) == len(plan.combinations) else " beside the fields before it"
            raise TamingplatError(f"--select {selection}: no cell has {name} {value}{beside}; {hint}")
        cells = left
    return cells


def _labels(cell: Combination) -> Mapping[str, str | int]:
    return cell.cell.labels


def _label(cell: Combination, kind: str) -> str:
    own = ("dataset", "tokenizer", "tokenizer_seed")
    wanted = own if kind == "tokenizer" else (*own[:2], "prior", "ordering", "conditioner", "seed", "tokenizer_seed")
    labels = _labels(cell)
    return ",".join(f"{name}={labels[name]}" for name in wanted if name in labels)


def _listed(labels: Sequence[str]) -> str:
    more = [f"  and {len(labels) - _SHOWN} more"] if len(labels) > _SHOWN else []
    return "\n".join([*(f"  {label}" for label in labels[:_SHOWN]), *more])
