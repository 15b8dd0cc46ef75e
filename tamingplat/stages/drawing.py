"""Drawing codes of images: a trained prior with all that sampling from it needs, for images of one size.

Shape letters: B batch, C/H/W image, n images, N code positions, P condition positions.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from tamingplat.interfaces import CodeSpace, ConditionLayout, derive_seed
from tamingplat.interfaces.models import (
    Conditioner,
    Dataset,
    Ordering,
    Prior,
    SampledClasses,
    Sampler,
    SampleRequest,
    Tokenizer,
)
from tamingplat.manifest import ResolvedComponent
from tamingplat.stages.condition_parts import conditioner_without_weights
from tamingplat.stages.prior_stage import PriorStage, load_prior, visit_plan
from tamingplat.stages.sampled_classes import ClassesOfSamples, read_labels
from tamingplat.stages.stage import StageContext
from tamingplat.stages.tokenizer_stage import load_tokenizer
from tamingplat.stages.trained_parts import TrainedParts, load_parts


@dataclass(frozen=True)
class Drawing:
    """All that is needed to draw samples of one cell, loaded.

    Attributes:
        stage: The prior's stage; its space and layout are those that the prior was built with.
        conditioner: Of images of ``image_size``, to ask it for the null index.
        image_size: Height and width in pixels of what is drawn, which may be larger than what the prior was trained on.
        space: The codes of such an image.
        layout: The parts of its condition.
    """

    stage: PriorStage
    prior: Prior
    tokenizer: Tokenizer
    sampler: Sampler
    ordering: Ordering
    conditioner: Conditioner
    image_size: tuple[int, int]
    space: CodeSpace
    layout: ConditionLayout
    device: torch.device

    def classes(self, dataset: Dataset, split: str, count: int) -> ClassesOfSamples | None:
        """The classes of ``count`` samples that have the conditions of a split; ``None`` where these name no class."""
        names, tokens = dataset.info.label_names, self.conditioner.class_tokens()
        if names is None or tokens is None:
            return None
        return ClassesOfSamples(names, tokens, read_labels(dataset, split, count))

    def drawn(self, classes: ClassesOfSamples | None, shares: Sequence[range]) -> int:
        """How many images are drawn, those included that are not kept, for samples that processes share."""
        counts = [[len(share)] if classes is None else classes.counts(share) for share in shares]
        return sum(self.sampler.drawn(counts_of_share) for counts_of_share in counts)

    def codes(
        self,
        indices: Sequence[int],
        condition: Tensor,
        *,
        seed: int,
        images: Tensor | None = None,
        classes: SampledClasses | None = None,
    ) -> Tensor:
        """Samples of the given numbers, int64 (B, N).

        Args:
            indices: B numbers, which with ``seed`` address all randomness.
            condition: int64 (B, P).
            seed: Of the sampling.
            images: What is completed, float (B, C, H, W) in [-1, 1], for a sampler that completes images.
            classes: Which classes the condition names, where it names them.
        """
        device, stage = self.device, self.stage
        null = self.conditioner.null(len(indices)) if self.conditioner.dropout else None
        plan = visit_plan(self.ordering, self.space, indices, seed=seed)
        return self.sampler.sample(
            SampleRequest(
                prior=self.prior,
                tokenizer=self.tokenizer,
                space=self.space,
                layout=self.layout,
                plan=plan.to(device),
                condition=condition.to(device),
                null_condition=None if null is None else null.to(device),
                image_size=self.image_size,
                indices=torch.tensor(list(indices), dtype=torch.int64, device=device),
                seed=seed,
                images=images,
                classes=None if classes is None else replace(classes, members=classes.members.to(device)),
                prior_space=None if self.space == stage.space else stage.space,
                prior_layout=None if self.layout == stage.layout else stage.layout,
            )
        )


def condition_rows(conditions: np.ndarray[Any, Any] | None, indices: Sequence[int]) -> Tensor:
    """The conditions of samples, int64 (B, P): of sample i that of example i mod n.

    Args:
        conditions: Encoded conditions of a split, (n, views, P); ``None`` where P = 0.
        indices: The samples' numbers.
    """
    if conditions is None:
        return torch.empty(len(indices), 0, dtype=torch.int64)
    rows = np.stack([conditions[index % len(conditions), 0] for index in indices])
    return torch.from_numpy(rows.astype(np.int64))


def load_drawing(
    stage: PriorStage,
    sampler: ResolvedComponent,
    context: StageContext,
    image_size: tuple[int, int] | None = None,
    parts: TrainedParts = (),
) -> Drawing:
    """Load the finished prior and tokenizer of a cell, in eval mode.

    Args:
        stage: The prior.
        sampler: What draws.
        context: Where the artifacts are, and the device.
        image_size: Height and width of what is drawn; that of the dataset's images by default.
        parts: The stages of the sampler's trained parts.

    Raises:
        TamingplatError: The tokenizer, or that of a condition, takes no images of this size.
    """
    builder = context.builder
    info = builder.dataset(stage.codes.dataset).info
    size = image_size or info.image_size
    tokenizer = load_tokenizer(stage.codes.tokenizer, context)
    tokenizers = stage.conditions.tokenizers if stage.conditions else ()
    conditioner = conditioner_without_weights(builder, stage.conditioner, replace(info, image_size=size), tokenizers)
    return Drawing(
        stage=stage,
        prior=load_prior(stage, context),
        tokenizer=tokenizer,
        sampler=builder.sampler(sampler, load_parts(parts, context)),
        ordering=builder.ordering(stage.ordering),
        conditioner=conditioner,
        image_size=size,
        space=stage.image_space if size == info.image_size else tokenizer.code_space(size),
        layout=stage.image_layout if size == info.image_size else conditioner.layout(size),
        device=context.device,
    )


def sampling_seed(seed: int) -> int:
    """The seed of the samples of a cell with this seed; the same for every cell, so that noise is common to them."""
    return derive_seed(seed, "sample")
