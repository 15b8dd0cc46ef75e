"""Negative log-likelihood of a prior.

Shape letters: n images, B batch, N code positions, P condition positions.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from tamingplat.interfaces import TamingplatError
from tamingplat.interfaces.models import Measurement, Measures, Metric, PriorSubject, TokenSplit


class NegativeLogLikelihood(Metric):
    """Validation likelihood in the paper's unit, nats per token (Tab. 1), and in others; training likelihood beside it.

    Under a random visiting plan one plan is drawn per image, and the mean is an upper bound on the negative log-likelihood of
    the prior averaged over plans: the columns are then called ``nll-bound`` and never compared with ``nll``. The training
    likelihood is that of the first training images, as many as the validation split has. It is never bits per dimension:
    codes are not pixels.
    """

    measures: ClassVar[Measures] = "prior"

    def run(self, subject: PriorSubject) -> Sequence[Measurement]:
        """Measure a prior.

        Raises:
            TamingplatError: A split is empty, or an image has no finite likelihood.
        """
        validation = subject.splits["validation"]
        images = _per_image(subject, "validation", len(validation.codes))
        train = _per_image(subject, "train", min(len(images), len(subject.splits["train"].codes)))
        length = subject.space.length
        token, image = images.mean() / length, images.mean()
        suffix, bound = ("-bound", ", an upper bound under a random order") if subject.random_plan else ("", "")
        name = f"nll{suffix}"
        measurements = [
            Measurement(name, token, "nats/token", "lower", f"Validation NLL per code{bound}.", headline=True),
            Measurement(f"{name}/image", image, "nats/image", "lower", f"Validation NLL per image{bound}."),
            Measurement(f"bits/token{suffix}", token / math.log(2), "bits/token", "lower", f"Validation NLL per code{bound}."),
            Measurement(
                f"rate{suffix}",
                image / math.log(2),
                "bits/image",
                "",
                f"Bits that the prior needs for an image's codes{bound}; across tokenizers it is read beside distortion.",
                headline=True,
            ),
            Measurement(
                f"{name} train",
                train.mean() / length,
                "nats/token",
                "",
                f"NLL per code of the first {len(train)} training images{bound}; far below validation it means memorisation.",
                headline=True,
            ),
        ]
        if len(images) > 1:
            measurements.append(
                Measurement(
                    f"{name} s.e. images",
                    images.std(ddof=1) / math.sqrt(len(images)) / length,
                    "nats/token",
                    "",
                    "Standard error over the validation images, for this trained prior alone; it says nothing of other seeds.",
                )
            )
        return measurements


def _per_image(subject: PriorSubject, split: str, count: int) -> npt.NDArray[np.float64]:
    """The negative log-likelihood in nats of each of the first images of a split, float64 (count,)."""
    if not count:
        raise TamingplatError(f"nll: the {split} split has no images")
    sums: list[Tensor] = []
    with torch.no_grad():
        for start in range(0, count, subject.batch_size):
            rows = range(start, min(start + subject.batch_size, count))
            codes, condition = _tokens(subject.splits[split], rows, subject.device)
            nll_BN = subject.prior.nll(codes, condition, subject.plan(rows))
            # Where there is no float64 the sum over one image is float32; over images it is always float64.
            sums.append(nll_BN.sum(dim=1, dtype=torch.float32 if nll_BN.device.type == "mps" else torch.float64))
    images = torch.cat(sums).cpu().double().numpy()
    wrong = np.flatnonzero(~np.isfinite(images))
    if len(wrong):
        raise TamingplatError(
            f"nll: {len(wrong)} of {count} {split} images, first number {wrong[0]}, have no finite likelihood"
        )
    return images


def _tokens(split: TokenSplit, rows: range, device: torch.device) -> tuple[Tensor, Tensor]:
    def read(array: npt.NDArray[np.integer[Any]]) -> Tensor:
        return torch.from_numpy(array[rows.start : rows.stop].astype(np.int64)).to(device, non_blocking=True)

    return read(split.codes), read(split.condition)
