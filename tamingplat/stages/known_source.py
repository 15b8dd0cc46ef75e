"""Likelihoods under the source of a dataset that knows it, and whether a prior's may be compared with them.

Shape letters: B batch, m measured images, C/H/W image.
"""

from __future__ import annotations

import numpy as np
import torch

from tamingplat.interfaces.models import Dataset, SourceLikelihoods
from tamingplat.stages.encode import open_tokens
from tamingplat.stages.images import read_columns, to_file
from tamingplat.stages.prior_stage import PriorStage
from tamingplat.stages.stage import StageContext
from tamingplat.stages.tokenizer_stage import load_tokenizer

COLUMN = "log_probability"


def source_likelihoods(stage: PriorStage, split: str, context: StageContext) -> SourceLikelihoods | None:
    """The exact log-probabilities of a split's images; ``None`` where the dataset does not know them.

    An image's codes have the image's probability where they decode to the image, for then no other image has the same codes.
    That is checked for every image of the split, unless something else already forbids the comparison.
    """
    dataset = context.builder.dataset(stage.codes.dataset)
    if COLUMN not in dataset.info.columns:
        return None
    read = dataset.only(("image", COLUMN))
    known = [read.read(split, index)[COLUMN] for index in range(dataset.info.splits[split])]
    refusal = _unlike_the_source(stage, split) or _inexact(stage, split, read, context)
    return SourceLikelihoods(np.array(known, dtype=np.float64), refusal)


def _unlike_the_source(stage: PriorStage, split: str) -> str | None:
    """Why the prior is not one of plain images that it has not seen."""
    if split == "train":
        return "the prior was trained on the measured images; evaluate another split"
    if stage.conditions is not None:
        return f"the prior is given {stage.conditioner.label}, and the source's probabilities are those of images alone"
    if stage.windows is not None:
        return "the prior models windows, and the source's probabilities are those of whole images"
    if stage.codes.views > 1:
        return f"the training images were augmented ({stage.codes.views} views); set views = 1"
    return None


def _inexact(stage: PriorStage, split: str, dataset: Dataset, context: StageContext) -> str | None:
    """How many images of a split are not what their codes decode to."""
    tokenizer = load_tokenizer(stage.codes.tokenizer, context)
    codes = open_tokens(context, stage.codes, split)[:, 0]
    size = dataset.info.image_size
    wrong = []
    for start in range(0, len(codes), context.batch_size):
        rows = range(start, min(start + context.batch_size, len(codes)))
        batch = torch.from_numpy(codes[rows.start : rows.stop].astype(np.int64)).to(context.device)
        with torch.inference_mode():
            decoded = to_file(tokenizer.decode(batch, size)).cpu()
        images = read_columns(dataset, split, rows, 0)["image"]
        wrong += [start + row for row in (decoded != images).flatten(1).any(1).nonzero()[:, 0].tolist()]
    if not wrong:
        return None
    return (
        f"{len(wrong)} of {len(codes)} images, first number {wrong[0]}, are not what {stage.codes.tokenizer.name} decodes "
        "their codes to; take a tokenizer without loss, such as kmeans with at least as many colours as the images have"
    )
