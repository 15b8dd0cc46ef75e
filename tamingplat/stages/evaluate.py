"""Evaluation: one metric on one tokenizer, one prior or one set of images."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ClassVar

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
from tamingplat.stages.images import SplitColumn, SplitImages, split_columns
from tamingplat.stages.known_source import source_likelihoods
from tamingplat.stages.prior_stage import PriorStage, load_prior, visit_plan
from tamingplat.stages.sample import SampleImages
from tamingplat.stages.stage import Stage, StageContext
from tamingplat.stages.tokenizer_stage import load_tokenizer
from tamingplat.stages.trained_parts import TrainedParts, load_parts
from tamingplat.stages.windowed import TiledTokens
from tamingplat.store import create_array, open_array

PER_IMAGE = "per_image.npy"
"""float64 (k, n): the values per image of those measurements that are means over images."""

VERSION = 2
"""Of every evaluation stage: 2 since records tell values per image, standard errors and whether a measurement ranks."""


def measure(metric: Metric, label: str, subject: Subject, directory: Path, prefix: str = "") -> dict[str, Any]:
    """Run a metric; the record of its measurements, with ``prefix`` before their names. Values per image go into ``directory``.

    Every item of ``measurements`` has the fields of ``Measurement`` except ``values``, and ``per_image``, the row of
    ``per_image.npy`` that holds them, or ``None``. The file is only there where some measurement has values.

    Raises:
        TamingplatError: A number is not finite.
    """
    started = time.perf_counter()
    measurements: Sequence[Measurement] = [replace(item, name=prefix + item.name) for item in metric.run(subject)]
    seconds = time.perf_counter() - started
    wrong = [f"{item.name} = {number}" for item in measurements for number in _numbers(item) if not math.isfinite(number)]
    for item in measurements:
        if item.values is not None and (broken := np.flatnonzero(~np.isfinite(item.values))).size:
            wrong.append(f"{item.name} of image {broken[0]} = {item.values[broken[0]]}")
    if wrong:
        raise TamingplatError(f"{label}: not a finite number: {', '.join(wrong)}; the result is not recorded")
    rows = [item.values for item in measurements if item.values is not None]
    assert all(row.ndim == 1 and row.shape == rows[0].shape for row in rows), f"{label}: values of different images"
    if rows:
        values = np.stack(rows).astype(np.float64)
        create_array(directory / PER_IMAGE, values.shape, np.float64)[...] = values
    numbers = iter(range(len(rows)))
    items = [_item(item, None if item.values is None else next(numbers)) for item in measurements]
    return {"measurements": items, "seconds": seconds}


def _numbers(item: Measurement) -> list[float]:
    return [item.value] if item.standard_error is None else [item.value, item.standard_error]


def _item(item: Measurement, row: int | None) -> dict[str, Any]:
    """A measurement for a record, with the row of its values per image."""
    return {name: value for name, value in vars(item).items() if name != "values"} | {"per_image": row}


@dataclass(frozen=True, eq=False, repr=False)
class EvaluateTokenizer(Stage):
    """A metric of a tokenizer on a split, view 0; ``parts`` are the stages of the metric's trained parts."""

    builder: Builder
    metric: ResolvedComponent
    codes: EncodeDataset
    split: str
    parts: TrainedParts = ()

    kind = "evaluate"
    version: ClassVar[int] = VERSION

    @property
    def label(self) -> str:
        return f"{self.metric.label} of {self.codes.tokenizer.name}"

    @property
    def inputs(self) -> tuple[Stage, ...]:
        return (self.codes, *(stage for _, stage in self.parts))

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
            metric = context.builder.metric(self.metric, load_parts(self.parts, context))
            return measure(metric, self.label, subject, context.directory)


@dataclass(frozen=True, eq=False, repr=False)
class EvaluatePrior(Stage):
    """A metric of a prior on the encoded training and validation splits, view 0.

    Attributes:
        split: The evaluated one, which takes the validation split's place.
        parts: The stages of the metric's trained parts.
    """

    builder: Builder
    metric: ResolvedComponent
    prior: PriorStage
    split: str
    parts: TrainedParts = ()

    kind = "evaluate"
    version: ClassVar[int] = VERSION

    @property
    def label(self) -> str:
        return f"{self.metric.label} of {self.prior.name}"

    @property
    def inputs(self) -> tuple[Stage, ...]:
        return (self.prior, *self.prior.measured_with, *(stage for _, stage in self.parts))

    def identity(self) -> dict[str, Any]:
        return {"metric": self.builder.identity(self.metric), "split": self.split}

    def run(self, context: StageContext) -> dict[str, Any]:
        stage = self.prior
        ordering = context.builder.ordering(stage.ordering)

        windows = stage.windows

        def tokens(split: str) -> TokenSplit:
            codes = open_tokens(context, stage.codes, split)[:, 0]
            condition = np.empty((len(codes), 0), dtype=np.uint8)
            if stage.conditions:
                condition = open_tokens(context, stage.conditions, split)[:, 0]
            if windows is None:
                return TokenSplit(codes, condition)
            return TokenSplit(TiledTokens(codes, windows.codes, windows), TiledTokens(condition, windows.condition, windows))

        def plan(indices: Sequence[int]) -> VisitPlan:
            return visit_plan(ordering, stage.space, indices, seed=stage.seed).to(context.device)

        def images(split: str) -> SplitImages:
            dataset = context.builder.dataset(stage.codes.dataset)
            name = {"train": "train", "validation": self.split}[split]
            return SplitImages(dataset, name, dataset.info.splits[name])

        subject = PriorSubject(
            prior=load_prior(stage, context),
            space=stage.space,
            plan=plan,
            random_plan=ordering.random,
            splits={"train": tokens("train"), "validation": tokens(self.split)},
            device=context.device,
            batch_size=context.batch_size,
            tokenizer=None if windows else lambda: load_tokenizer(stage.codes.tokenizer, context),
            images=None if windows else images,
            windows=windows,
            source=source_likelihoods(stage, self.split, context),
        )
        with torch.inference_mode():
            metric = context.builder.metric(self.metric, load_parts(self.parts, context))
            record = measure(metric, self.label, subject, context.directory)
        if subject.source is not None and subject.source.refusal:
            record["notes"] = [f"not compared with the source's known probabilities: {subject.source.refusal}"]
        return record


@dataclass(frozen=True, eq=False, repr=False)
class EvaluateImages(Stage):
    """A metric of a set of images beside reference images of its dataset.

    Attributes:
        source: What is measured.
        reference: What it is compared with: the reference split or, where ``of_originals``, what ``source`` reconstructs.
        features: Of ``source``, for a metric that names an extractor; as are the others.
        reference_features: Of ``reference``, for one that reads it.
        training_features: Of the training split, for a metric that looks for copies.
        held_out_features: Of the evaluated split, for the same.
        of_originals: Whether reconstructions are compared with their originals; measurements then have an r before their names.
        parts: The stages of the metric's trained parts.
    """

    builder: Builder
    metric: ResolvedComponent
    source: ImageSource
    reference: RealImages
    features: ExtractFeatures | None
    reference_features: ExtractFeatures | None
    training_features: ExtractFeatures | None = None
    held_out_features: ExtractFeatures | None = None
    of_originals: bool = False
    parts: TrainedParts = ()

    kind = "evaluate"
    version: ClassVar[int] = VERSION

    @property
    def label(self) -> str:
        label = f"{self.metric.label} of {self.source.label.removeprefix('train ')}"
        return f"{label} beside the originals" if self.of_originals else label

    @property
    def inputs(self) -> tuple[Stage, ...]:
        source = () if isinstance(self.source, RealImages) else (self.source,)
        features = (self.features, self.reference_features, self.training_features, self.held_out_features)
        parts = (stage for _, stage in self.parts)
        return (*source, *(stage for stage in features if stage is not None), *parts)

    def identity(self) -> dict[str, Any]:
        identity: dict[str, Any] = {"metric": self.builder.identity(self.metric), "of_originals": self.of_originals}
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
            training_features=features(self.training_features),
            held_out_features=features(self.held_out_features),
            conditions=lambda: self._conditions(context),
            reference_conditions=lambda: split_columns(reference.dataset, reference.split, reference.count),
        )
        with torch.inference_mode():
            prefix = "r" if self.of_originals else ""
            metric = context.builder.metric(self.metric, load_parts(self.parts, context))
            return measure(metric, self.label, subject, context.directory, prefix)

    def _conditions(self, context: StageContext) -> dict[str, SplitColumn]:
        """The columns of the examples that the images belong to."""
        source = self.source
        split = source.reference if isinstance(source, SampleImages) else source.split
        return split_columns(context.builder.dataset(self.reference.dataset), split, source.count)

    def _labels(self, context: StageContext) -> np.ndarray[Any, np.dtype[np.int64]] | None:
        """Labels of the images: for samples of the conditions that name a class, of the originals for reconstructions."""
        source = self.source
        if isinstance(source, SampleImages):
            if source.prior.make_conditioner(context.builder).class_tokens() is None:
                return None
            dataset = context.builder.dataset(self.reference.dataset)
            length = dataset.info.splits[source.reference]
            labels = SplitImages(dataset, source.reference, min(source.count, length)).labels()
            return None if labels is None else np.resize(labels, source.count)
        dataset = context.builder.dataset(source.dataset)
        return SplitImages(dataset, source.split, source.count).labels()


EvaluateStage = EvaluateTokenizer | EvaluatePrior | EvaluateImages
