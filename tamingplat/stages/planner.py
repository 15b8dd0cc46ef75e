"""Planning: from a manifest to stages that are shared wherever their content keys are equal."""

from __future__ import annotations

from dataclasses import dataclass, field

from tamingplat.interfaces import ConditionLayout, DatasetInfo, Problem, ProblemsError
from tamingplat.manifest import Cell, Manifest
from tamingplat.registry import Registry
from tamingplat.stages.build import Builder
from tamingplat.stages.check_dataset import CheckDataset
from tamingplat.stages.encode import EncodeConditions, EncodeDataset
from tamingplat.stages.plan import Plan, PlannedCell
from tamingplat.stages.planned_evaluations import EvaluationPlanner
from tamingplat.stages.planned_models import ModelPlanner
from tamingplat.stages.refusals import cell_refusals, manifest_problems, metric_refusals, refuse
from tamingplat.stages.sample import SampleImages
from tamingplat.stages.stage import Stage
from tamingplat.store import Store


def make_plan(manifest: Manifest, registry: Registry, store: Store) -> Plan:
    """Plan a manifest. Trains nothing and allocates no weights.

    Raises:
        ProblemsError: A dataset cannot be read, or weights that would have to be downloaded are missing; all of it at once.
    """
    builder = Builder(registry, store.fingerprint)
    return _Planner(manifest, builder, ModelPlanner(manifest, builder), EvaluationPlanner(manifest, builder)).plan()


def planned_keys(manifest: Manifest, registry: Registry, store: Store) -> set[str]:
    """The keys of every stage that a manifest needs: what must not be pruned to keep its results."""
    plan = make_plan(manifest, registry, store)
    return {*plan.stages, *(check.key for check in plan.checks)}


@dataclass
class _Planner:
    manifest: Manifest
    builder: Builder
    models: ModelPlanner
    evaluations: EvaluationPlanner
    stages: dict[str, Stage] = field(default_factory=dict)

    def plan(self) -> Plan:
        if problems := list(manifest_problems(self.manifest, self.builder, self._splits)):
            raise ProblemsError(problems)
        cells = tuple(self._cell(cell) for cell in self.manifest.cells)
        references = tuple(self.evaluations.references(cells))
        for evaluations in (*(cell.evaluations for cell in cells), *(row.evaluations for row in references)):
            for stage in evaluations:
                self._add(stage)
        for cell in cells:
            for trained in (cell.tokenizer, cell.prior, cell.samples):
                if trained is not None:
                    self._add(trained)
        datasets = {id(cell.cell.dataset): cell.cell.dataset for cell in cells}.values()
        return Plan(
            manifest=self.manifest,
            stages=self.stages,
            cells=cells,
            references=references,
            parameters=self.models.parameters,
            checks=tuple(CheckDataset(self.builder, dataset, self._splits) for dataset in datasets),
            builder=self.builder,
            notes=tuple(dict.fromkeys(self.evaluations.notes)),
        )

    @property
    def _splits(self) -> tuple[str, ...]:
        """Every split that is read."""
        evaluate = self.manifest.evaluate
        return tuple(dict.fromkeys(("train", evaluate.split, evaluate.reference)))

    def _add(self, stage: Stage) -> None:
        if stage.key not in self.stages:
            for needed in stage.inputs:
                self._add(needed)
            self.stages[stage.key] = stage

    def _cell(self, cell: Cell) -> PlannedCell:
        evaluate, builder = self.manifest.evaluate, self.builder
        info = builder.dataset(cell.dataset).info
        refusals: list[Problem] = []

        tokenized = self.models.tokenizer(cell, info, refusals)
        layout = self._layout(cell, info, refusals)
        if tokenized is None:
            return PlannedCell(cell, tuple(refusals))
        tokenizer, space = tokenized
        refusals += cell_refusals(builder, cell, space, layout)
        metrics = self.manifest.metrics
        refusals += metric_refusals(builder, metrics, info, samples=evaluate.samples, reference=evaluate.reference)
        self.models.check_prior(cell, refusals)
        if refusals:
            return PlannedCell(cell, tuple(refusals))

        # The reference split stays out of the prior's inputs, so that choosing another one retrains nothing.
        splits = ("train", evaluate.split)
        codes = EncodeDataset(builder, cell.dataset, tokenizer, splits, cell.tokenizer.views)
        conditions = (
            EncodeConditions(builder, cell.dataset, cell.conditioner, self._splits, cell.tokenizer.views) if layout else None
        )
        prior = self.models.prior(cell, codes, conditions, space, layout, refusals)
        if prior is None:
            return PlannedCell(cell, tuple(refusals))
        given = conditions
        if conditions is not None and evaluate.reference not in splits:
            given = EncodeConditions(builder, cell.dataset, cell.conditioner, (evaluate.reference,), 1)
        samples = SampleImages(builder, prior, cell.sampler, given, evaluate.samples, evaluate.reference)
        evaluations = tuple(self.evaluations.of_cell(cell.dataset, codes, prior, samples))
        return PlannedCell(cell, (), tokenizer, prior, samples, evaluations)

    def _layout(self, cell: Cell, info: DatasetInfo, refusals: list[Problem]) -> ConditionLayout:
        """The parts of a cell's condition; empty with the reason among ``refusals`` where it is impossible."""
        if reason := self.builder.load_class(cell.conditioner).refusal(cell.conditioner.config, info):
            refusals.append(refuse(cell.conditioner, reason))
            return ()
        return self.builder.conditioner(cell.conditioner, info).layout(info.image_size)
