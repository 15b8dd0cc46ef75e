"""Negative log-likelihood of a prior.

Shape letters: n images, k windows that tile an image (1 for a prior of whole images), B batch, N code positions, P condition
positions.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import ClassVar

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from tamingplat.interfaces import TamingplatError
from tamingplat.interfaces.models import Measurement, Measures, Metric, PriorSubject, TokenArray, TokenSplit
from tamingplat_metrics.excess import excess


class NegativeLogLikelihood(Metric):
    """Validation likelihood in the paper's unit, nats per token (Tab. 1), and in others; training likelihood beside it.

    Under a random visiting plan one plan is drawn per image, and the mean is an upper bound on the negative log-likelihood of
    the prior averaged over plans: the columns are then called ``nll-bound`` and never compared with ``nll``. The training
    likelihood is that of the first training images, as many as the validation split has. It is never bits per dimension:
    codes are not pixels.

    A prior of windows is measured on those that tile each image, whose first codes know nothing of what lies beside their
    window: its columns are named by the window, as in ``nll-16x16``, and never compared with those of others. An image's nats
    are then those per code times the image's codes.

    Where the images' source is known, ``nll_excess`` and ``structure captured`` say what there is left to learn, and a prior
    that does impossibly well has no result; see ``excess``.
    """

    measures: ClassVar[Measures] = "prior"

    def run(self, subject: PriorSubject) -> Sequence[Measurement]:
        """Measure a prior.

        Raises:
            TamingplatError: A split is empty, an image has no finite likelihood, or the likelihood is impossible.
        """
        validation = subject.splits["validation"]
        images = _per_image(subject, "validation", len(validation.codes))
        train = _per_image(subject, "train", min(len(validation.codes), len(subject.splits["train"].codes)))
        windows = subject.windows
        length = (subject.space if windows is None else windows.space).length
        token, image = images.mean() / length, images.mean()
        suffix, bound = ("-bound", ", an upper bound under a random order") if subject.random_plan else ("", "")
        if windows is not None:
            size = "x".join(map(str, windows.size))
            suffix, bound = f"{suffix}-{size}", f"{bound}, in windows of {size} that tile the image"
        name = f"nll{suffix}"
        per_code, per_image = f"Validation NLL per code{bound}.", f"Validation NLL per image{bound}."
        tokens, bits = images / length, images / math.log(2)
        measurements = [
            Measurement(name, token, "nats/token", "lower", per_code, headline=True, values=tokens),
            Measurement(f"{name}/image", image, "nats/image", "lower", per_image, values=images),
            Measurement(f"bits/token{suffix}", token / math.log(2), "bits/token", "lower", per_code, values=bits / length),
            Measurement(
                f"rate{suffix}",
                image / math.log(2),
                "bits/image",
                "",
                f"Bits that the prior needs for an image's codes{bound}; across tokenizers it is read beside distortion.",
                headline=True,
                values=bits,
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
        if subject.source is not None and subject.source.refusal is None:
            floor = -subject.source.log_probability
            train_codes, vocab_size = subject.splits["train"].codes, subject.space.vocab_size
            measurements += excess(images, floor, train_codes, validation.codes, vocab_size, suffix)
        return measurements


def _per_image(subject: PriorSubject, split: str, count: int) -> npt.NDArray[np.float64]:
    """The negative log-likelihood in nats of each image in the first ``count`` rows of a split, float64 (count / k,)."""
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
    windows = subject.windows
    images = torch.cat(sums).cpu().double().numpy()
    if windows is not None:
        # Windows that do not divide the image overlap, so that its nats are those per code and not their sum.
        images = images.reshape(-1, len(windows.tiles())).mean(1) * (windows.space.length / windows.window_space.length)
    count = len(images)
    wrong = np.flatnonzero(~np.isfinite(images))
    if len(wrong):
        raise TamingplatError(
            f"nll: {len(wrong)} of {count} {split} images, first number {wrong[0]}, have no finite likelihood"
        )
    return images


def _tokens(split: TokenSplit, rows: range, device: torch.device) -> tuple[Tensor, Tensor]:
    def read(array: TokenArray) -> Tensor:
        return torch.from_numpy(array[rows.start : rows.stop].astype(np.int64)).to(device, non_blocking=True)

    return read(split.codes), read(split.condition)
