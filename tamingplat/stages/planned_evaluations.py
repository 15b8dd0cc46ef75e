"""The evaluations of a plan: every metric of a row, and the rows that every table carries beside its cells."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from tamingplat.manifest import Manifest, ResolvedComponent
from tamingplat.stages.build import Builder
from tamingplat.stages.encode import EncodeDataset
from tamingplat.stages.evaluate import EvaluateImages, EvaluatePrior, EvaluateStage, EvaluateTokenizer
from tamingplat.stages.features import ExtractFeatures, ImageSource, RealImages
from tamingplat.stages.plan import PlannedCell, ReferenceRow
from tamingplat.stages.prior_stage import PriorStage
from tamingplat.stages.refusals import metric_refusals
from tamingplat.stages.sample import Reconstruct, SampleImages
from tamingplat.stages.tokenizer_stage import TokenizerStage
from tamingplat.stages.trained_parts import PartPlanner


@dataclass
class EvaluationPlanner:
    """Makes one stage per metric and what it measures.

    Attributes:
        manifest: The request.
        builder: Makes components.
        parts: Makes the stages of what metrics and extractors refer to and a stage trains.
        notes: What was left out of reference rows, and of cells, and why.
    """

    manifest: Manifest
    builder: Builder
    parts: PartPlanner
    notes: list[str] = field(default_factory=list)

    def of_cell(
        self, dataset: ResolvedComponent, codes: EncodeDataset, prior: PriorStage, samples: SampleImages
    ) -> Iterator[EvaluateStage]:
        """Every metric of a cell."""
        split = self.manifest.evaluate.split
        for metric in self.manifest.metrics:
            match self.builder.load_class(metric).measures:
                case "tokenizer":
                    yield EvaluateTokenizer(self.builder, metric, codes, split, self.parts.of(metric, dataset))
                case "prior":
                    yield EvaluatePrior(self.builder, metric, prior, split, self.parts.of(metric, dataset))
                case "images":
                    yield self._of_images(metric, samples, dataset)

    def of_tokenizer(self, dataset: ResolvedComponent, tokenizer: TokenizerStage) -> ReferenceRow:
        """Every metric of a tokenizer that is compared without priors, on the evaluated split and on nothing else."""
        split = self.manifest.evaluate.split
        codes = EncodeDataset(self.builder, dataset, tokenizer, (split,), 1)
        images = self._reconstruct(dataset, tokenizer)
        evaluations: list[EvaluateStage] = []
        for metric in self.manifest.metrics:
            measures = self.builder.load_class(metric).measures
            assert measures != "prior", f"{metric.label} is an error of the manifest"
            if measures == "tokenizer":
                evaluations.append(EvaluateTokenizer(self.builder, metric, codes, split, self.parts.of(metric, dataset)))
            else:
                evaluations.extend(self._of_reconstructions(metric, images, dataset))
        return ReferenceRow(images, tuple(evaluations))

    def _split(self, dataset: ResolvedComponent, name: str) -> RealImages:
        """All images of a split."""
        return RealImages(self.builder, dataset, name, self.builder.dataset(dataset).info.splits[name])

    def _of_images(
        self,
        metric: ResolvedComponent,
        source: ImageSource,
        dataset: ResolvedComponent,
        originals: RealImages | None = None,
    ) -> EvaluateImages:
        """A metric of images beside the reference split, or beside the originals of reconstructions."""
        evaluate, metric_class = self.manifest.evaluate, self.builder.load_class(metric)
        reference = originals or self._split(dataset, evaluate.reference)
        # Without a training there may be no training split; a metric that looks for copies is then refused.
        copies = metric_class.looks_for_copies

        def features(images: ImageSource | None) -> ExtractFeatures | None:
            if metric_class.extractor is None or images is None:
                return None
            extractor = metric.parts[metric_class.extractor]
            return ExtractFeatures(self.builder, images, extractor, self.parts.of(extractor, dataset))

        return EvaluateImages(
            self.builder,
            metric,
            source,
            reference,
            features(source),
            features(reference if metric_class.reads_reference else None),
            training_features=features(self._split(dataset, "train") if copies else None),
            held_out_features=features(self._split(dataset, evaluate.split) if copies else None),
            of_originals=originals is not None,
            parts=self.parts.of(metric, dataset),
        )

    def _of_reconstructions(
        self, metric: ResolvedComponent, images: Reconstruct, dataset: ResolvedComponent
    ) -> Iterator[EvaluateImages]:
        """A metric of reconstructions beside the reference split and, of a distance, also beside the originals."""
        yield self._of_images(metric, images, dataset)
        if self.builder.load_class(metric).distance:
            yield self._of_images(metric, images, dataset, RealImages(self.builder, dataset, images.split, images.count))

    def references(self, cells: Sequence[PlannedCell]) -> Iterator[ReferenceRow]:
        """Rows ``real`` and ``reconstruction`` beside cells, at as many images as are sampled or as the split has."""
        reconstructed: set[tuple[str, int]] = set()
        real: set[int] = set()
        for planned in cells:
            dataset, tokenizer, prior = planned.cell.dataset, planned.tokenizer, planned.prior
            metrics = list(self._possible(dataset))
            if id(dataset) not in real:
                real.add(id(dataset))
                yield from self.real([dataset])
            if tokenizer is not None and prior is not None and (tokenizer.key, id(dataset)) not in reconstructed:
                reconstructed.add((tokenizer.key, id(dataset)))
                images = self._reconstruct(dataset, tokenizer)
                of_tokenizer = [stage for stage in planned.evaluations if isinstance(stage, EvaluateTokenizer)]
                of_images = [stage for metric in metrics for stage in self._of_reconstructions(metric, images, dataset)]
                yield ReferenceRow(images, (*of_tokenizer, *of_images))

    def real(self, datasets: Iterable[ResolvedComponent]) -> Iterator[ReferenceRow]:
        """A row ``real`` for every dataset that some metric of images can be computed on."""
        for dataset in datasets:
            if metrics := list(self._possible(dataset)):
                source = RealImages(self.builder, dataset, self.manifest.evaluate.split, self._count(dataset))
                yield ReferenceRow(source, tuple(self._of_images(metric, source, dataset) for metric in metrics))

    def _count(self, dataset: ResolvedComponent) -> int:
        """How many images of the evaluated split are reconstructed."""
        evaluate = self.manifest.evaluate
        return evaluate.reconstructed(self.builder.dataset(dataset).info.splits[evaluate.split])

    def _reconstruct(self, dataset: ResolvedComponent, tokenizer: TokenizerStage) -> Reconstruct:
        return Reconstruct(self.builder, tokenizer, dataset, self.manifest.evaluate.split, self._count(dataset))

    def _possible(self, dataset: ResolvedComponent) -> Iterator[ResolvedComponent]:
        """The metrics of images that can be computed on as many as are reconstructed; the others are noted."""
        evaluate, rows = self.manifest.evaluate, f"rows real and reconstruction of {dataset.label}"
        metrics = [metric for metric in self.manifest.metrics if self.builder.load_class(metric).measures == "images"]
        info, count = self.builder.dataset(dataset).info, self._count(dataset)
        if not self.manifest.cells:
            if evaluate.samples is not None and count < evaluate.samples:
                self.notes.append(f"{dataset.label}: {evaluate.split} has {count} images, and all of them are reconstructed")
        elif count < evaluate.sampled and metrics:
            self.notes.append(
                f"{rows}: {evaluate.split} has {count} images, fewer than the {evaluate.sampled} samples: their distances "
                "are in a column of their own and no floor of the samples'"
            )
        for metric in metrics:
            asked = metric_refusals(
                self.builder, [metric], info, samples=count, reference=evaluate.reference, split=evaluate.split
            )
            if reasons := list(asked):
                self.notes.append(f"{rows}: {reasons[0].what}")
            else:
                yield metric
