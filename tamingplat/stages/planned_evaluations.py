"""The evaluations of a plan: every metric of a row, and the rows that every table carries beside its cells."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from tamingplat.interfaces import DatasetInfo
from tamingplat.manifest import Manifest, ResolvedComponent
from tamingplat.stages.build import Builder
from tamingplat.stages.encode import EncodeDataset
from tamingplat.stages.evaluate import EvaluateImages, EvaluatePrior, EvaluateStage, EvaluateTokenizer
from tamingplat.stages.features import ExtractFeatures, ImageSource, RealImages
from tamingplat.stages.plan import PlannedCell, ReferenceRow
from tamingplat.stages.refusals import metric_refusals
from tamingplat.stages.sample import Reconstruct, SampleImages
from tamingplat.stages.train_prior import TrainPrior


@dataclass
class EvaluationPlanner:
    """Makes one stage per metric and what it measures.

    Attributes:
        manifest: The request.
        builder: Makes components.
        notes: What was left out of the reference rows, and why.
    """

    manifest: Manifest
    builder: Builder
    notes: list[str] = field(default_factory=list)

    def of_cell(
        self, dataset: ResolvedComponent, codes: EncodeDataset, prior: TrainPrior, samples: SampleImages
    ) -> Iterator[EvaluateStage]:
        """Every metric of a cell."""
        split = self.manifest.evaluate.split
        for metric in self.manifest.metrics:
            match self.builder.load_class(metric).measures:
                case "tokenizer":
                    yield EvaluateTokenizer(self.builder, metric, codes, split)
                case "prior":
                    yield EvaluatePrior(self.builder, metric, prior, split)
                case "images":
                    yield self._of_images(metric, samples, dataset)

    def _of_images(self, metric: ResolvedComponent, source: ImageSource, dataset: ResolvedComponent) -> EvaluateImages:
        split = self.manifest.evaluate.reference
        reference = RealImages(self.builder, dataset, split, self.builder.dataset(dataset).info.splits[split])
        name = self.builder.load_class(metric).extractor
        features = reference_features = None
        if name is not None:
            extractor = metric.parts[name]
            features = ExtractFeatures(self.builder, source, extractor)
            reference_features = ExtractFeatures(self.builder, reference, extractor)
        return EvaluateImages(self.builder, metric, source, reference, features, reference_features)

    def references(self, cells: Sequence[PlannedCell]) -> Iterator[ReferenceRow]:
        """Rows ``real`` and ``reconstruction``, at as many images as are sampled or as the split has."""
        evaluate = self.manifest.evaluate
        metrics = [metric for metric in self.manifest.metrics if self.builder.load_class(metric).measures == "images"]
        real: set[int] = set()
        reconstructed: set[str] = set()
        for planned in cells:
            dataset = planned.cell.dataset
            info = self.builder.dataset(dataset).info
            count = min(evaluate.samples, info.splits[evaluate.split])
            possible = list(self._possible(metrics, dataset, info, count))
            if id(dataset) not in real and possible:
                real.add(id(dataset))
                source = RealImages(self.builder, dataset, evaluate.split, count)
                evaluations = tuple(self._of_images(metric, source, dataset) for metric in possible)
                yield ReferenceRow("real", dataset.label, None, evaluations)
            tokenizer, prior = planned.tokenizer, planned.prior
            if tokenizer is not None and prior is not None and tokenizer.key not in reconstructed:
                reconstructed.add(tokenizer.key)
                images = Reconstruct(self.builder, tokenizer, dataset, evaluate.split, count)
                of_tokenizer = [stage for stage in planned.evaluations if isinstance(stage, EvaluateTokenizer)]
                of_images = [self._of_images(metric, images, dataset) for metric in possible]
                yield ReferenceRow("reconstruction", dataset.label, tokenizer, (*of_tokenizer, *of_images))

    def _possible(
        self, metrics: Sequence[ResolvedComponent], dataset: ResolvedComponent, info: DatasetInfo, count: int
    ) -> Iterator[ResolvedComponent]:
        """The metrics that can be computed on ``count`` images; the others are noted."""
        evaluate, rows = self.manifest.evaluate, f"rows real and reconstruction of {dataset.label}"
        if count < evaluate.samples and metrics:
            self.notes.append(
                f"{rows}: {evaluate.split} has {count} images, fewer than the {evaluate.samples} samples: their distances "
                "are in a column of their own and no floor of the samples'"
            )
        for metric in metrics:
            if reasons := list(metric_refusals(self.builder, [metric], info, samples=count, reference=evaluate.reference)):
                self.notes.append(f"{rows}: {reasons[0].what}")
            else:
                yield metric
