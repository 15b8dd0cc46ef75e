"""Planning: from a manifest to stages that are shared wherever their content keys are equal."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace

from tamingplat.interfaces import CodeSpace, Problem, ProblemsError
from tamingplat.interfaces.models import PriorScope
from tamingplat.manifest import Cell, Manifest, TokenizerCell
from tamingplat.registry import Registry
from tamingplat.stages.build import Builder
from tamingplat.stages.check_dataset import CheckDataset
from tamingplat.stages.encode import EncodeDataset
from tamingplat.stages.manifest_problems import absent_things, dataset_warnings, manifest_problems, metric_problems
from tamingplat.stages.plan import Plan, PlannedCell, PlannedTokenizer
from tamingplat.stages.planned_conditions import PlannedCondition, plan_condition
from tamingplat.stages.planned_evaluations import EvaluationPlanner
from tamingplat.stages.planned_imports import ImportPlanner
from tamingplat.stages.planned_models import ModelPlanner
from tamingplat.stages.planned_samples import sample_metrics
from tamingplat.stages.refusals import (
    cell_refusals,
    metric_refusals,
    planned_windows,
    prior_metric_refusals,
)
from tamingplat.stages.sample import SampleImages
from tamingplat.stages.sampled_classes import planned_classes
from tamingplat.stages.sampler_refusals import class_refusals
from tamingplat.stages.stage import Stage
from tamingplat.stages.trained_parts import PartPlanner, sampler_without_weights
from tamingplat.store import Store


def make_plan(manifest: Manifest, registry: Registry, store: Store) -> Plan:
    """Plan a manifest. Trains nothing and allocates no weights.

    Raises:
        ProblemsError: A dataset cannot be read, or is not what the manifest expects, or a metric is of priors where there are
            none; all of it at once.
    """
    problems = tuple(metric_problems(manifest, registry))
    builder = Builder(registry, store.fingerprint)
    models = ModelPlanner(manifest, builder, ImportPlanner(builder, registry, store))
    parts = PartPlanner(builder, manifest.evaluate.split, models.parameters)
    return _Planner(manifest, builder, models, EvaluationPlanner(manifest, builder, parts), parts).plan(problems)


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
    parts: PartPlanner
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
        before = len(refusals)
        condition = plan_condition(self.models, cell, info, refusals)
        scoped = len(refusals) == before
        layout = condition.layout
        if tokenized is None:
            return PlannedCell(cell, tuple(refusals))
        tokenizer, space = tokenized
        before = len(refusals)
        windows = planned_windows(cell, space, layout, refusals)
        scoped = scoped and len(refusals) == before
        scope = PriorScope(space, layout, condition.dropout > 0)
        if windows is not None:
            scope = replace(scope, space=windows.window_space, layout=windows.window_layout)
        refusals += cell_refusals(builder, cell, space, layout, scope, scoped=scoped)
        metrics = self.manifest.metrics
        refusals += metric_refusals(
            builder, metrics, info, samples=evaluate.sampled, reference=evaluate.reference, split=evaluate.split
        )
        self.models.check_prior(cell, refusals)
        if not refusals:
            refusals += prior_metric_refusals(builder, cell, metrics, space, windows)
        if not refusals:
            refusals += self._class_refusals(cell, space, condition)
        if refusals:
            return PlannedCell(cell, tuple(refusals))
        measured = sample_metrics(builder, cell, space, condition, metrics)
        if refusals := list(measured.refusals()):
            return PlannedCell(cell, tuple(refusals))

        # The reference split stays out of the prior's inputs, so that choosing another one retrains nothing.
        splits = tuple(dict.fromkeys(("train", evaluate.split)))
        codes = EncodeDataset(builder, cell.dataset, tokenizer, splits, cell.tokenizer.views)
        conditions = condition.encoded(self.models, cell, splits, cell.tokenizer.views)
        prior = self.models.prior(cell, codes, conditions, scope.space, scope.layout, refusals, windows)
        if prior is None:
            return PlannedCell(cell, tuple(refusals))
        # What is completed was not trained on; a condition alone is one of the images that samples are compared with.
        completes = sampler_without_weights(builder, cell.sampler, info).given_positions(space) is not None
        source = evaluate.split if completes else evaluate.reference
        given = conditions
        if conditions is not None and source not in splits:
            given = condition.encoded(self.models, cell, (source,), 1)
        samples = SampleImages(
            builder, prior, cell.sampler, given, evaluate.sampled, source, self.parts.of(cell.sampler, cell.dataset)
        )
        left_out = measured.left_out()
        self.evaluations.notes += left_out.values()
        of_cell = self.evaluations.of_cell(cell.dataset, codes, prior, samples)
        evaluations = tuple(stage for stage in of_cell if stage.metric not in left_out)
        return PlannedCell(cell, (), tokenizer, prior, samples, evaluations, condition.tokenizers)

    def _class_refusals(self, cell: Cell, space: CodeSpace, condition: PlannedCondition) -> Iterator[Problem]:
        """Why samples of a cell that nothing else refuses cannot be chosen by their class."""
        builder, evaluate = self.builder, self.manifest.evaluate
        dataset, ordering = builder.dataset(cell.dataset), builder.ordering(cell.ordering)
        sampler = sampler_without_weights(builder, cell.sampler, dataset.info)
        split = evaluate.reference if sampler.given_positions(space) is None else evaluate.split
        tokens, layout = condition.class_tokens, condition.layout
        classes = planned_classes(dataset, tokens, layout, ordering, split=split, samples=evaluate.sampled)
        yield from class_refusals(builder, cell, sampler, classes, self.manifest.metrics, evaluate.split)

    def _tokenizer(self, cell: TokenizerCell) -> PlannedTokenizer:
        evaluate, builder = self.manifest.evaluate, self.builder
        info = builder.dataset(cell.dataset).info
        refusals: list[Problem] = []
        tokenized = self.models.tokenizer(cell, info, refusals)
        count, metrics = evaluate.reconstructed(info.splits[evaluate.split]), self.manifest.metrics
        refusals += metric_refusals(builder, metrics, info, samples=count, reference=evaluate.reference, split=evaluate.split)
        if tokenized is None or refusals:
            return PlannedTokenizer(cell, tuple(refusals))
        return PlannedTokenizer(cell, (), self.evaluations.of_tokenizer(cell.dataset, tokenized[0]))
