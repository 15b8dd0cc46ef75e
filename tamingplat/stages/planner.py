"""Planning: from a manifest to stages that are shared wherever their content keys are equal."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

import torch

from tamingplat.interfaces import (
    CodeSpace,
    ConditionLayout,
    DatasetInfo,
    Problem,
    ProblemsError,
    TamingplatError,
)
from tamingplat.interfaces.models import Tokenizer
from tamingplat.manifest import Cell, Manifest, ResolvedComponent
from tamingplat.registry import Registry
from tamingplat.stages.build import Builder
from tamingplat.stages.check_dataset import CheckDataset
from tamingplat.stages.encode import EncodeConditions, EncodeDataset
from tamingplat.stages.evaluate import EvaluateImages, EvaluatePrior, EvaluateStage, EvaluateTokenizer
from tamingplat.stages.features import ExtractFeatures, ImageSource, RealImages
from tamingplat.stages.plan import Plan, PlannedCell, ReferenceRow
from tamingplat.stages.refusals import cell_refusals, manifest_problems, metric_refusals, refuse
from tamingplat.stages.sample import Reconstruct, SampleImages
from tamingplat.stages.stage import Stage
from tamingplat.stages.train_prior import TrainPrior
from tamingplat.stages.train_tokenizer import TrainTokenizer
from tamingplat.store import Store

_NOT_IMPORTED = "imported artifacts cannot be used yet; remove the setting artifact to train it"
_NOT_TRAINED = "its plugin gives no training settings, so that it cannot be trained"


def make_plan(manifest: Manifest, registry: Registry, store: Store) -> Plan:
    """Plan a manifest. Trains nothing and allocates no weights.

    Raises:
        ProblemsError: A dataset cannot be read, or weights that would have to be downloaded are missing; all of it at once.
    """
    return _Planner(manifest, Builder(registry, store.fingerprint)).plan()


def planned_keys(manifest: Manifest, registry: Registry, store: Store) -> set[str]:
    """The keys of every stage that a manifest needs: what must not be pruned to keep its results."""
    plan = make_plan(manifest, registry, store)
    return {*plan.stages, *(check.key for check in plan.checks)}


@dataclass
class _Planner:
    manifest: Manifest
    builder: Builder
    stages: dict[str, Stage] = field(default_factory=dict)
    parameters: dict[str, int] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    _skeletons: dict[str, Tokenizer] = field(default_factory=dict)

    def plan(self) -> Plan:
        if problems := list(manifest_problems(self.manifest, self.builder, self._splits)):
            raise ProblemsError(problems)
        cells = tuple(self._cell(cell) for cell in self.manifest.cells)
        references = tuple(self._references(cells))
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
            parameters=self.parameters,
            checks=tuple(CheckDataset(self.builder, dataset, self._splits) for dataset in datasets),
            builder=self.builder,
            notes=tuple(dict.fromkeys(self.notes)),
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

        tokenizer, space = self._tokenizer(cell, info, refusals)
        conditioner_class = builder.load_class(cell.conditioner)
        layout: ConditionLayout = ()
        if reason := conditioner_class.refusal(cell.conditioner.config, info):
            refusals.append(refuse(cell.conditioner, reason))
        else:
            layout = builder.conditioner(cell.conditioner, info).layout(info.image_size)
        if tokenizer is None or space is None:
            return PlannedCell(cell, tuple(refusals))
        refusals += cell_refusals(self.builder, cell, space, layout)
        metrics = list(self.manifest.metrics)
        refusals += metric_refusals(self.builder, metrics, info, samples=evaluate.samples, reference=evaluate.reference)
        settings = cell.prior.train
        if cell.prior.artifact is not None:
            refusals.append(refuse(cell.prior, _NOT_IMPORTED))
        elif settings is None:
            refusals.append(refuse(cell.prior, _NOT_TRAINED))
        if refusals or settings is None:
            return PlannedCell(cell, tuple(refusals))

        # The reference split stays out of the prior's inputs, so that choosing another one retrains nothing.
        splits = ("train", evaluate.split)
        codes = EncodeDataset(builder, cell.dataset, tokenizer, splits, cell.tokenizer.views)
        conditions = (
            EncodeConditions(builder, cell.dataset, cell.conditioner, self._splits, cell.tokenizer.views) if layout else None
        )
        prior = TrainPrior(
            builder=builder,
            codes=codes,
            conditions=conditions,
            prior=cell.prior,
            ordering=cell.ordering,
            conditioner=cell.conditioner,
            seed=cell.seed,
            validation_split=evaluate.split,
            settings=settings,
            space=space,
            layout=layout,
        )
        if prior.key not in self.parameters:
            try:
                with torch.device("meta"):
                    skeleton = builder.prior(cell.prior, space, layout)
            except TamingplatError as error:
                return PlannedCell(cell, (refuse(cell.prior, str(error)),))
            self.parameters[prior.key] = sum(parameter.numel() for parameter in skeleton.parameters())
        given = conditions
        if conditions is not None and evaluate.reference not in splits:
            given = EncodeConditions(builder, cell.dataset, cell.conditioner, (evaluate.reference,), 1)
        samples = SampleImages(builder, prior, cell.sampler, given, evaluate.samples, evaluate.reference)
        evaluations = tuple(self._evaluations(metrics, cell, codes, prior, samples, info))
        return PlannedCell(cell, (), tokenizer, prior, samples, evaluations)

    def _tokenizer(
        self, cell: Cell, info: DatasetInfo, refusals: list[Problem]
    ) -> tuple[TrainTokenizer | None, CodeSpace | None]:
        resolved, builder = cell.tokenizer, self.builder
        if resolved.artifact is not None:
            refusals.append(refuse(resolved, _NOT_IMPORTED))
            return None, None
        tokenizer_class = builder.load_class(resolved)
        reason = tokenizer_class.refusal(resolved.config, image_size=info.image_size, channels=info.channels)
        if reason:
            refusals.append(refuse(resolved, reason))
            return None, None
        if resolved.train is None and not tokenizer_class.fitted:
            refusals.append(refuse(resolved, _NOT_TRAINED))
            return None, None
        stage = TrainTokenizer(
            builder, cell.dataset, resolved, cell.tokenizer_seed, self.manifest.evaluate.split, resolved.train
        )
        if stage.key not in self._skeletons:
            try:
                with torch.device("meta"):
                    self._skeletons[stage.key] = builder.tokenizer(resolved, info)
            except TamingplatError as error:
                refusals.append(refuse(resolved, str(error)))
                return None, None
        skeleton = self._skeletons[stage.key]
        self.parameters[stage.key] = sum(parameter.numel() for parameter in skeleton.parameters())
        return stage, skeleton.code_space(info.image_size)

    def _evaluations(
        self,
        metrics: list[ResolvedComponent],
        cell: Cell,
        codes: EncodeDataset,
        prior: TrainPrior,
        samples: SampleImages,
        info: DatasetInfo,
    ) -> Iterator[EvaluateStage]:
        split = self.manifest.evaluate.split
        for metric in metrics:
            match self.builder.load_class(metric).measures:
                case "tokenizer":
                    yield EvaluateTokenizer(self.builder, metric, codes, split)
                case "prior":
                    yield EvaluatePrior(self.builder, metric, prior, split)
                case "images":
                    yield self._of_images(metric, samples, cell.dataset, info)

    def _of_images(
        self, metric: ResolvedComponent, source: ImageSource, dataset: ResolvedComponent, info: DatasetInfo
    ) -> EvaluateImages:
        split = self.manifest.evaluate.reference
        reference = RealImages(self.builder, dataset, split, info.splits[split])
        name = self.builder.load_class(metric).extractor
        features = reference_features = None
        if name is not None:
            extractor = metric.parts[name]
            features = ExtractFeatures(self.builder, source, extractor)
            reference_features = ExtractFeatures(self.builder, reference, extractor)
        return EvaluateImages(self.builder, metric, source, reference, features, reference_features)

    def _references(self, cells: tuple[PlannedCell, ...]) -> Iterator[ReferenceRow]:
        """Rows ``real`` and ``reconstruction``, at as many images as are sampled or as the split has."""
        evaluate = self.manifest.evaluate
        metrics = [metric for metric in self.manifest.metrics if self.builder.load_class(metric).measures == "images"]
        real: set[int] = set()
        reconstructed: set[str] = set()
        for planned in cells:
            dataset = planned.cell.dataset
            info = self.builder.dataset(dataset).info
            count = min(evaluate.samples, info.splits[evaluate.split])
            possible = []
            if count < evaluate.samples and metrics:
                self.notes.append(
                    f"rows real and reconstruction of {dataset.label}: {evaluate.split} has {count} images, fewer than the "
                    f"{evaluate.samples} samples: their distances are in a column of their own and no floor of the samples'"
                )
            for metric in metrics:
                if reasons := list(metric_refusals(self.builder, [metric], info, samples=count, reference=evaluate.reference)):
                    self.notes.append(f"rows real and reconstruction of {dataset.label}: {reasons[0].what}")
                else:
                    possible.append(metric)
            if id(dataset) not in real and possible:
                real.add(id(dataset))
                source = RealImages(self.builder, dataset, evaluate.split, count)
                evaluations = tuple(self._of_images(metric, source, dataset, info) for metric in possible)
                yield ReferenceRow("real", dataset.label, None, evaluations)
            tokenizer, prior = planned.tokenizer, planned.prior
            if tokenizer is not None and prior is not None and tokenizer.key not in reconstructed:
                reconstructed.add(tokenizer.key)
                images = Reconstruct(self.builder, tokenizer, dataset, evaluate.split, count)
                of_tokenizer = [stage for stage in planned.evaluations if isinstance(stage, EvaluateTokenizer)]
                of_images = [self._of_images(metric, images, dataset, info) for metric in possible]
                yield ReferenceRow("reconstruction", dataset.label, tokenizer, (*of_tokenizer, *of_images))
