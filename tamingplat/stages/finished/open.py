"""Finding what is finished: a manifest, its store, and one cell or tokenizer of it."""

from __future__ import annotations

import os
import shlex
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from tamingplat.engine import Progress, make_accelerator
from tamingplat.interfaces import ProblemsError, TamingplatError
from tamingplat.manifest import ResolvedComponent, load_manifest
from tamingplat.registry import Registry, load_registry
from tamingplat.stages.failures import read_failure
from tamingplat.stages.model_record import StoredArtifacts
from tamingplat.stages.plan import Plan, PlannedCell
from tamingplat.stages.planner import make_plan
from tamingplat.stages.selection import listed, matching_cells
from tamingplat.stages.stage import Stage, StageContext
from tamingplat.stages.tokenizer_stage import TokenizerStage
from tamingplat.store import Store


@dataclass(frozen=True)
class Opened:
    """A planned manifest with the store of its results.

    Attributes:
        registry: The components that there are.
        plan: Of the manifest.
        store: Where the artifacts lie.
        command: What makes what is missing, for messages.
    """

    registry: Registry
    plan: Plan
    store: Store
    command: str

    def demand(self, stages: Sequence[Stage]) -> None:
        """See that stages are done.

        Raises:
            ProblemsError: Their data are not here, so that nobody knows.
            TamingplatError: Some are not done; the message says how to make them.
        """
        if any(stage.provisional for stage in stages):
            raise ProblemsError(self.plan.absent)
        missing = {stage.key: stage for stage in stages if self.store.find(stage.kind, stage.key) is None}
        if missing:
            failures = [read_failure(self.store, key) for key in missing]
            told = "".join(f"; it failed when it last ran ({failure})" for failure in failures if failure)
            what = "; ".join(stage.label for stage in missing.values())
            raise TamingplatError(f"not finished: {what}{told}; `{self.command}` makes it")

    def context(self, report: Callable[[Progress], None], batch_size: int) -> StageContext:
        """Where finished models are loaded: the manifest's device, one process, nothing to write."""
        accelerator = make_accelerator(None, self.plan.manifest.runtime.device)
        nowhere = Path(os.devnull)
        return StageContext(self.store, self.plan.builder, accelerator, nowhere, nowhere, report, batch_size)


def open_manifest(path: Path, store: Path, overrides: Sequence[str] = ()) -> Opened:
    """Load and plan a manifest whose results are to be used.

    Raises:
        ProblemsError: Everything that is wrong with it.
    """
    registry, opened = load_registry(), Store(store)
    manifest = load_manifest(path, registry, overrides, artifacts=StoredArtifacts(opened))
    words = ["tamingplat", "run", str(path), "--store", str(store)]
    words += [word for override in overrides for word in ("--set", override)]
    return Opened(registry, make_plan(manifest, registry, opened), opened, shlex.join(words))


def select_cell(opened: Opened, fields: Mapping[str, str], *, by_sampler: bool = True) -> PlannedCell:
    """The one cell with a prior that some fields leave.

    Args:
        opened: The manifest.
        fields: Names by kind, and seeds; the fewer, the more cells they leave.
        by_sampler: Whether cells that differ in their sampler alone are told apart.

    Raises:
        TamingplatError: They leave no possible cell, or several, which are listed.
    """
    told = _told(fields)
    found: dict[tuple[str, str], PlannedCell] = {}
    cells = [cell for cell in matching_cells(opened.plan, fields, told) if isinstance(cell, PlannedCell)]
    for cell in cells:
        if cell.prior is not None:
            found.setdefault((cell.prior.key, cell.cell.sampler.label if by_sampler else ""), cell)
    if not found:
        reasons = "; ".join(dict.fromkeys(cell.reason for cell in cells if cell.reason))
        raise TamingplatError(f"--select {told}: {reasons or 'the manifest has no priors, and so nothing to sample from'}")
    if len(found) > 1:
        labels = [_label(cell, cells) for cell in found.values()]
        raise TamingplatError(f"--select {told}: leaves {len(found)} cells; say which of them:\n{listed(labels)}")
    (cell,) = found.values()
    return cell


def select_tokenizer(opened: Opened, fields: Mapping[str, str]) -> tuple[TokenizerStage, ResolvedComponent]:
    """The one tokenizer that some fields leave, and the dataset that it was trained on; errors as in ``select_cell``."""
    told = _told(fields)
    cells = matching_cells(opened.plan, fields, told)
    stages: dict[str, tuple[TokenizerStage, ResolvedComponent]] = {}
    labels: dict[str, str] = {}
    for cell in cells:
        if cell.tokenizer is not None and cell.tokenizer.key not in stages:
            stages[cell.tokenizer.key] = (cell.tokenizer, cell.cell.dataset)
            own = ("dataset", "tokenizer", "tokenizer_seed")
            labels[cell.tokenizer.key] = ",".join(f"{name}={cell.cell.labels[name]}" for name in own)
    if not stages:
        reasons = "; ".join(dict.fromkeys(cell.reason for cell in cells if cell.reason))
        raise TamingplatError(f"--select {told}: {reasons}")
    if len(stages) > 1:
        shown = listed(list(labels.values()))
        raise TamingplatError(f"--select {told}: leaves {len(stages)} tokenizers; say which of them:\n{shown}")
    (found,) = stages.values()
    return found


def _told(fields: Mapping[str, str]) -> str:
    return ",".join(f"{name}={value}" for name, value in fields.items()) or "(everything)"


def _label(cell: PlannedCell, cells: Sequence[PlannedCell]) -> str:
    """What tells a cell from the others."""
    labels = cell.cell.labels
    telling = [name for name in labels if len({str(other.cell.labels[name]) for other in cells}) > 1]
    return ",".join(f"{name}={labels[name]}" for name in telling or labels)
