"""Planning: from a manifest to stages that are shared wherever their content keys are equal."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from tamingplat.interfaces import Problem, ProblemsError
from tamingplat.manifest import Cell, Manifest, TokenizerCell
from tamingplat.registry import Registry
from tamingplat.stages.build import Builder
from tamingplat.stages.check_dataset import CheckDataset
from tamingplat.stages.encode import EncodeDataset
from tamingplat.stages.plan import Plan, PlannedCell, PlannedTokenizer
from tamingplat.stages.planned_conditions import plan_condition
from tamingplat.stages.planned_evaluations import EvaluationPlanner
from tamingplat.stages.planned_imports import ImportPlanner
from tamingplat.stages.planned_models import ModelPlanner
from tamingplat.stages.refusals import (
    absent_things,
    cell_refusals,
    dataset_warnings,
    manifest_problems,
    metric_problems,
    metric_refusals,
)
from tamingplat.stages.sample import SampleImages
from tamingplat.stages.stage import Stage
from tamingplat.store import Store


def make_plan(manifest: Manifest, registry: Registry, store: Store) -> Plan:
    """Plan a manifest. Trains nothing and allocates no weights.

    Raises:
        ProblemsError: A dataset cannot be read, or is not what the manifest expects, or a metric is of priors where there are
            none; all of it at once.
    """
    problems = tuple(metric_problems(manifest, registry))
    builder = Builder(registry, store.fingerprint)
    return _Planner(
        manifest,
        builder,
        ModelPlanner(manifest, builder, ImportPlanner(builder, registry, store)),
        EvaluationPlanner(manifest, builder),
    ).plan(problems)


def planned_keys(manifest: Manifest, registry: Registry, store: Store) -> set[str]:
    """The keys of every stage that a manifest needs: what must not be pruned to keep its results.

    Raises:
        ProblemsError: Its data are not here, so that the keys are not known.
    """
    plan = make_plan(manifest, registry, store)
    stages: list[Stage] = [*plan.stages.values(), *plan.checks]
    if any(stage.provisional for stage in stages):
        raise ProblemsError(plan.absent)
    return {stage.key for stage in stages}


@dataclass
class _Planner:
    manifest: Manifest
    builder: Builder
    models: ModelPlanner
    evaluations: EvaluationPlanner
    stages: dict[str, Stage] = field(default_factory=dict)

    def plan(self, problems: Sequence[Problem]) -> Plan:
        if problems := [*problems, *manifest_problems(self.manifest, self.builder, self._splits)]:
            raise ProblemsError(problems)
        cells = tuple(self._cell(cell) for cell in self.manifest.cells)
        tokenizers = tuple(self._tokenizer(cell) for cell in self.manifest.tokenizer_cells)
        references = tuple(self.evaluations.references(cells))
        references += tuple(self.evaluations.real({id(one.cell.dataset): one.cell.dataset for one in tokenizers}.values()))
        rows: list[Sequence[Stage]] = [cell.evaluations for cell in cells]
        rows += [planned.stages for planned in tokenizers]
        rows += [row.evaluations for row in references]
        for stage in (stage for stages in rows for stage in stages):
            self._add(stage)
        for cell in cells:
            for trained in (cell.tokenizer, cell.prior, cell.samples):
                if trained is not None:
                    self._add(trained)
        datasets = {id(cell.dataset): cell.dataset for cell in self.manifest.combinations}.values()
        return Plan(
            manifest=self.manifest,
            stages=self.stages,
            cells=cells,
            tokenizers=tokenizers,
            references=references,
            parameters=self.models.parameters,
            checks=tuple(CheckDataset(self.builder, dataset, self._splits) for dataset in datasets),
            builder=self.builder,
            notes=tuple(dict.fromkeys(self.evaluations.notes)),
            absent=tuple(dict.fromkeys(absent_things(self.manifest, self.builder))),
            warnings=tuple(dataset_warnings(self.manifest, self.builder)),
        )

    @property
    def _splits(self) -> tuple[str, ...]:
        """Every split that is read. Without priors, nothing has to be trained on, nor compared with."""
        manifest, evaluate = self.manifest, self.manifest.evaluate
        trains = bool(manifest.cells) or any(cell.tokenizer.artifact is None for cell in manifest.tokenizer_cells)
        compares = bool(manifest.cells) or any(self.builder.load_class(one).measures == "images" for one in manifest.metrics)
        splits = (*(["train"] if trains else []), evaluate.split, *([evaluate.reference] if compares else []))
        return tuple(dict.fromkeys(splits))

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
        condition = plan_condition(self.models, cell, info, refusals)
        layout = condition.layout
        if tokenized is None:
            return PlannedCell(cell, tuple(refusals))
        tokenizer, space = tokenized
        refusals += cell_refusals(builder, cell, space, layout)
        metrics = self.manifest.metrics
        refusals += metric_refusals(builder, metrics, info, samples=evaluate.sampled, reference=evaluate.reference)
        self.models.check_prior(cell, refusals)
        if refusals:
            return PlannedCell(cell, tuple(refusals))

        # The reference split stays out of the prior's inputs, so that choosing another one retrains nothing.
        splits = ("train", evaluate.split)
        codes = EncodeDataset(builder, cell.dataset, tokenizer, splits, cell.tokenizer.views)
        conditions = condition.encoded(self.models, cell, splits, cell.tokenizer.views)
        prior = self.models.prior(cell, codes, conditions, space, layout, refusals)
        if prior is None:
            return PlannedCell(cell, tuple(refusals))
        given = conditions
        if conditions is not None and evaluate.reference not in splits:
            given = condition.encoded(self.models, cell, (evaluate.reference,), 1)
        samples = SampleImages(builder, prior, cell.sampler, given, evaluate.sampled, evaluate.reference)
        evaluations = tuple(self.evaluations.of_cell(cell.dataset, codes, prior, samples))
        return PlannedCell(cell, (), tokenizer, prior, samples, evaluations, condition.tokenizers)

    def _tokenizer(self, cell: TokenizerCell) -> PlannedTokenizer:
        evaluate, builder = self.manifest.evaluate, self.builder
        info = builder.dataset(cell.dataset).info
        refusals: list[Problem] = []
        tokenized = self.models.tokenizer(cell, info, refusals)
        count, metrics = evaluate.reconstructed(info.splits[evaluate.split]), self.manifest.metrics
        refusals += metric_refusals(builder, metrics, info, samples=count, reference=evaluate.reference)
        if tokenized is None or refusals:
            return PlannedTokenizer(cell, tuple(refusals))
        return PlannedTokenizer(cell, (), self.evaluations.of_tokenizer(cell.dataset, tokenized[0]))
