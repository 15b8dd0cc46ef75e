"""Agreement of completed images with what was given of them.

Shape letters: n images, B batch, C/H/W image, N code positions.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from tamingplat.interfaces import CodeSpace, DatasetInfo, TamingplatError, Windows
from tamingplat.interfaces.models import (
    ImageSubject,
    Measurement,
    Measures,
    Metric,
    Perceptual,
    PlannedSamples,
    PriorSubject,
    encode_given,
)
from tamingplat_agreement.config import CompletionAgreementConfig, GivenRegionConfig
from tamingplat_agreement.low_resolution import signal_to_noise
from tamingplat_agreement.scores import Floats, column_of, in_slices, measurements, shifted, too_few


class CompletionAgreement(Metric):
    """How likely the rest of an image is after its own given part, and after another image's.

    The given part is encoded by itself, as completion does it; the codes of the rest are those of the whole image. The score is
    the negative log-likelihood of the rest per code. An ordering that does not visit the given codes first is refused.
    """

    measures: ClassVar[Measures] = "prior"
    config: CompletionAgreementConfig

    def refusal(self, info: DatasetInfo, *, samples: int, reference: int) -> str | None:
        """A single image is refused."""
        return too_few(samples, "evaluate a split of 2 images or more")

    def given_positions(self, space: CodeSpace) -> npt.NDArray[np.bool_]:
        """The codes of the region, bool (N,)."""
        return self.config.region.mask(space)

    def prior_refusal(self, space: CodeSpace, windows: Windows | None) -> str | None:
        """A prior of windows is refused, and a region that is no part of the codes."""
        if windows is not None:
            size = "×".join(map(str, windows.size))
            return f"gives a part of whole images, and this prior models windows of {size} codes of them; leave the metric out"
        return self.config.region.refusal(space)

    def run(self, subject: PriorSubject) -> Sequence[Measurement]:
        """Measure a prior.

        Raises:
            TamingplatError: The region is no part of such codes, or the prior's images are not at hand.
        """
        if subject.tokenizer is None or subject.images is None:
            raise TamingplatError("completion-agreement needs the tokenizer and the images of the codes; they are not at hand")
        region = self.config.region
        if reason := region.refusal(subject.space):
            raise TamingplatError(f"completion-agreement: {reason}")
        split, images, tokenizer = subject.splits["validation"], subject.images("validation"), subject.tokenizer()
        count = len(split.codes)
        given = []
        for rows in in_slices(count, subject.batch_size):
            batch = torch.from_numpy(np.array(images[rows])).to(subject.device).float().div(127.5).sub(1)
            given.append(encode_given(tokenizer, batch, region)[0].cpu())
        given_nN, mask = torch.cat(given), torch.from_numpy(region.mask(subject.space)).to(subject.device)
        others = torch.from_numpy(shifted(count))

        def score(parts: Tensor) -> Floats:
            found = []
            for rows in in_slices(count, subject.batch_size):
                codes = torch.from_numpy(split.codes[rows].astype(np.int64)).to(subject.device)
                condition = torch.from_numpy(split.condition[rows].astype(np.int64)).to(subject.device)
                whole = torch.where(mask, parts[rows].to(subject.device), codes)
                nll = subject.prior.nll(whole, condition, subject.plan(range(rows.start, rows.stop)))
                found.append(nll[:, ~mask].double().mean(1).detach().cpu().numpy())
            return np.concatenate(found)

        what = f"NLL per code of the rest of an image of which the part at {region} is given"
        return measurements(
            "rest nll",
            score(given_nN),
            score(given_nN[others]),
            unit="nats/token",
            better="lower",
            what=what,
            condition="given part",
        )


class GivenRegion(Metric):
    """What becomes of the given part of a completed image: its distance from the original after encoding and decoding.

    Everything beside the region is the original's for both images, so that the perceptual distance is the region's alone.
    """

    measures: ClassVar[Measures] = "images"
    config: GivenRegionConfig

    def refusal(self, info: DatasetInfo, *, samples: int, reference: int) -> str | None:
        """Images too small for the network, or of other than three channels, are refused, and a single image."""
        network: Perceptual | None = self.parts.get("perceptual")
        if network is not None and self.config.perceptual is not None:
            if info.channels != 3:
                return f"{self.config.perceptual.use} looks at colour images, not at {info.channels} channels"
            if min(info.image_size) < network.minimum_size:
                return f"{self.config.perceptual.use} needs {network.minimum_size} pixels; leave perceptual out, or the metric"
        if reason := self.config.region.refusal(CodeSpace((info.image_size,), 1)):
            return reason
        return too_few(samples)

    def nothing_asked(self, samples: PlannedSamples) -> str | None:
        """A sampler that draws whole images is given none of them."""
        return "the sampler is given no part of an image" if samples.given is None else None

    def samples_refusal(self, samples: PlannedSamples) -> str | None:
        """A region other than the sampler's is refused."""
        region = self.config.region
        if reason := region.refusal(samples.space):
            return reason
        own = region.mask(samples.space)
        if samples.given is None or np.array_equal(own, samples.given):
            return None
        return (
            f"its region {region} has {int(own.sum())} codes, of which {int((own & samples.given).sum())} are among the "
            f"{int(samples.given.sum())} that the sampler is given; set its region to that of the sampler"
        )

    def run(self, subject: ImageSubject) -> Sequence[Measurement]:
        """Measure a set of images."""
        originals, count = column_of(subject, "image"), len(subject.images)
        found = np.concatenate([subject.images[rows] for rows in in_slices(count)])
        wanted = np.concatenate([originals[rows] for rows in in_slices(count)])
        size = (found.shape[2], found.shape[3])
        top, left, bottom, right = self.config.region.pixels(size, CodeSpace((size,), 1))
        inside = np.zeros(size, dtype=np.bool_)
        inside[top:bottom, left:right] = True
        others = shifted(count)

        def ratio(references: np.ndarray) -> Floats:
            pairs = zip(found[..., inside].astype(np.float64), references[..., inside].astype(np.float64), strict=True)
            return np.array([signal_to_noise(one, other) for one, other in pairs])

        where = f"the part at {self.config.region}, decoded, with the one that was given"
        told: list[Measurement] = measurements(
            "given PSNR",
            ratio(wanted),
            ratio(wanted[others]),
            unit="dB",
            better="higher",
            what=f"PSNR of {where}",
            condition="given part",
        )
        network: Perceptual | None = self.parts.get("perceptual")
        if network is None or self.config.perceptual is None:
            return told

        def distances(references: np.ndarray) -> Floats:
            values = []
            for rows in in_slices(count, self.config.batch_size):
                pair = (np.where(inside, found[rows], references[rows]), references[rows])
                one, other = (torch.from_numpy(part).to(subject.device).float().div(127.5).sub(1) for part in pair)
                values.append(network.distance(one, other).detach().double().cpu().numpy())
            return np.concatenate(values)

        name = self.config.perceptual.use
        return [
            *told,
            *measurements(
                f"given {name}",
                distances(wanted),
                distances(wanted[others]),
                unit="",
                better="lower",
                what=f"Distance by {name} of {where}",
                network=True,
                condition="given part",
            ),
        ]
