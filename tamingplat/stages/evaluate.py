"""Evaluation: one metric on one tokenizer, one prior or one set of images."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import torch

from tamingplat.interfaces import TamingplatError
from tamingplat.interfaces.models import (
    ImageSubject,
    Measurement,
    Metric,
    PriorSubject,
    Subject,
    TokenizerSubject,
    TokenSplit,
    VisitPlan,
)
from tamingplat.manifest import ResolvedComponent
from tamingplat.stages.build import Builder
from tamingplat.stages.encode import EncodeDataset, open_tokens
from tamingplat.stages.features import FEATURES, ExtractFeatures, ImageSource, RealImages, open_images
from tamingplat.stages.images import SplitImages
from tamingplat.stages.prior_stage import PriorStage, load_prior, visit_plan
from tamingplat.stages.sample import SampleImages
from tamingplat.stages.stage import Stage, StageContext
from tamingplat.stages.tokenizer_stage import load_tokenizer
from tamingplat.store import open_array


def measure(metric: Metric, label: str, subject: Subject) -> dict[str, Any]:
    """Run a metric; the record of its measurements.

    Raises:
        TamingplatError: A number is not finite.
    """
    started = time.perf_counter()
    measurements: Sequence[Measurement] = metric.run(subject)
    wrong = [f"{item.name} = {item.value}" for item in measurements if not math.isfinite(item.value)]
    if wrong:
        raise TamingplatError(f"{label}: not a finite number: {', '.join(wrong)}; the result is not recorded")
    return {
        "measurements": [asdict(measurement) for measurement in measurements],
        "seconds": time.perf_counter() - started,
    }


@dataclass(frozen=True, eq=False, repr=False)
class EvaluateTokenizer(Stage):
    """A metric of a tokenizer on a split, view 0."""

    builder: Builder
    metric: ResolvedComponent
    codes: EncodeDataset
    split: str

    kind = "evaluate"

    @property
    def label(self) -> str:
        return f"{self.metric.label} of {self.codes.tokenizer.name}"

    @property
    def inputs(self) -> tuple[Stage, ...]:
        return (self.codes,)

    def identity(self) -> dict[str, Any]:
        return {"metric": self.builder.identity(self.metric), "split": self.split}

    def run(self, context: StageContext) -> dict[str, Any]:
        dataset = context.builder.dataset(self.codes.dataset)
        tokenizer = load_tokenizer(self.codes.tokenizer, context)
        subject = TokenizerSubject(
            tokenizer=tokenizer,
            space=tokenizer.code_space(dataset.info.image_size),
            dataset=dataset,
            split=self.split,
            codes=open_tokens(context, self.codes, self.split)[:, 0],
            device=context.device,
            batch_size=context.batch_size,
        )
        with torch.inference_mode():
            return measure(context.builder.metric(self.metric), self.label, subject)


@dataclass(frozen=True, eq=False, repr=False)
class EvaluatePrior(Stage):
    """A metric of a prior on the encoded training and validation splits, view 0."""

    builder: Builder
    metric: ResolvedComponent
    prior: PriorStage
    split: str

    kind = "evaluate"

    @property
    def label(self) -> str:
        return f"{self.metric.label} of {self.prior.name}"

    @property
    def inputs(self) -> tuple[Stage, ...]:
        return (self.prior, *self.prior.measured_with)

    def identity(self) -> dict[str, Any]:
        return {"metric": self.builder.identity(self.metric), "split": self.split}

    def run(self, context: StageContext) -> dict[str, Any]:
        stage = self.prior
        ordering = context.builder.ordering(stage.ordering)

        def tokens(split: str) -> TokenSplit:
            codes = open_tokens(context, stage.codes, split)[:, 0]
            if stage.conditions:
                return TokenSplit(codes, open_tokens(context, stage.conditions, split)[:, 0])
            return TokenSplit(codes, np.empty((len(codes), 0), dtype=np.uint8))

        def plan(indices: Sequence[int]) -> VisitPlan:
            return visit_plan(ordering, stage.space, indices, seed=stage.seed).to(context.device)

        subject = PriorSubject(
            prior=load_prior(stage, context),
            space=stage.space,
            plan=plan,
            random_plan=ordering.random,
            splits={"train": tokens("train"), "validation": tokens(self.split)},
            device=context.device,
            batch_size=context.batch_size,
        )
        with torch.inference_mode():
            return measure(context.builder.metric(self.metric), self.label, subject)


@dataclass(frozen=True, eq=False, repr=False)
class EvaluateImages(Stage):
    """A metric of a set of images beside the reference split of its dataset."""

    builder: Builder
    metric: ResolvedComponent
    source: ImageSource
    reference: RealImages
    features: ExtractFeatures | None
    reference_features: ExtractFeatures | None

    kind = "evaluate"

    @property
    def label(self) -> str:
        return f"{self.metric.label} of {self.source.label.removeprefix('train ')}"

    @property
    def inputs(self) -> tuple[Stage, ...]:
        source = () if isinstance(self.source, RealImages) else (self.source,)
        features = (self.features, self.reference_features)
        return (*source, *(stage for stage in features if stage is not None))

    def identity(self) -> dict[str, Any]:
        identity: dict[str, Any] = {"metric": self.builder.identity(self.metric)}
        for name, source in (("source", self.source), ("reference", self.reference)):
            if isinstance(source, RealImages):
                dataset = self.builder.identity(source.dataset)
                identity[name] = {"dataset": dataset, "split": source.split, "count": source.count}
        return identity

    def run(self, context: StageContext) -> dict[str, Any]:
        def features(stage: ExtractFeatures | None) -> np.ndarray[Any, np.dtype[np.float32]] | None:
            return None if stage is None else open_array(context.artifact(stage).path(FEATURES))

        reference = open_images(self.reference, context)
        assert isinstance(reference, SplitImages)
        subject = ImageSubject(
            images=open_images(self.source, context),
            labels=lambda: self._labels(context),
            features=features(self.features),
            reference_features=features(self.reference_features),
            reference=self.reference.split,
            reference_images=reference,
            device=context.device,
        )
        with torch.inference_mode():
            return measure(context.builder.metric(self.metric), self.label, subject)

    def _labels(self, context: StageContext) -> np.ndarray[Any, np.dtype[np.int64]] | None:
        """Labels of the images: of the conditions for conditional samples, of the originals for reconstructions."""
        source = self.source
        if isinstance(source, SampleImages):
            if source.prior.conditions is None:
                return None
            dataset = context.builder.dataset(self.reference.dataset)
            length = dataset.info.splits[source.reference]
            labels = SplitImages(dataset, source.reference, min(source.count, length)).labels()
            return None if labels is None else np.resize(labels, source.count)
        dataset = context.builder.dataset(source.dataset)
        return SplitImages(dataset, source.split, source.count).labels()


EvaluateStage = EvaluateTokenizer | EvaluatePrior | EvaluateImages
