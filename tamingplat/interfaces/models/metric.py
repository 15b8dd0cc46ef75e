"""Metrics: numbers about a tokenizer, a prior or a set of images.

Shape letters: B batch, C/H/W image, N code positions, P condition positions, D features.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal

import numpy as np
import numpy.typing as npt

from tamingplat.interfaces.config import Config
from tamingplat.interfaces.spaces import CodeSpace, DatasetInfo
from tamingplat.interfaces.windows import Windows

Measures = Literal["tokenizer", "prior", "images"]


@dataclass(frozen=True)
class Measurement:
    """One number with all that is needed to read it.

    Attributes:
        name: Column of the table, such as ``nll/token`` or ``fd-st-vgg (N=320)``.
        value: Finite.
        unit: ``nats``, ``bits``, ``dB``, … or empty.
        better: Which direction is better; empty where neither is.
        description: What it is, in one sentence.
        network: Whether it was computed by a network that the metric's settings refer to: it is not ranked where a relative of
            that network was in the tokenizer's loss.
        headline: Whether it is shown where there is room for a few columns only.
        values: float64 (n,), one number per image in the order of the split or of the samples, of which ``value`` is the mean;
            ``None`` where it is no mean over images. Rows are compared image by image with them.
        standard_error: Of the metric's own estimator, such as that over the subsets of a kernel distance; never of a bootstrap.
        ranks: Whether rows may be ranked by it; the same wherever the name is. A Fréchet distance of few images is shown and
            ranks nothing.
    """

    name: str
    value: float
    unit: str = ""
    better: Literal["lower", "higher", ""] = ""
    description: str = ""
    network: bool = False
    headline: bool = False
    values: npt.NDArray[np.float64] | None = field(default=None, compare=False, repr=False)
    standard_error: float | None = None
    ranks: bool = True


@dataclass(frozen=True)
class PlannedSamples:
    """What the samples of a cell will be made for, known before anything runs.

    Attributes:
        space: The codes of an image.
        conditions: The settings of every conditioner that the condition is made of, each with the name of its component.
        names_class: Whether the condition names the class of an image.
        given: The codes that the sampler takes from an image, bool (N,); ``None`` where it draws all of them.
    """

    space: CodeSpace
    conditions: tuple[tuple[str, Config], ...]
    names_class: bool
    given: npt.NDArray[np.bool_] | None


class Metric(ABC):
    """Measures one kind of subject."""

    measures: ClassVar[Measures]
    """What it depends on: it is computed once per such artifact and not again for every row that contains it."""

    extractor: ClassVar[str | None] = None
    """Name of the settings' field that names the feature extractor whose features of the images it reads, if any. The pipeline
    extracts them once per set of images and extractor."""

    distance: ClassVar[bool] = False
    """Of a metric of images: whether it is a distance to the reference. Reconstructions are then measured twice: beside the
    reference, as samples are, and, in columns with an ``r`` before their names, beside the images that they reconstruct."""

    reads_reference: ClassVar[bool] = True
    """Of a metric of images with an extractor: whether it reads features of the reference split. Else none are extracted."""

    looks_for_copies: ClassVar[bool] = False
    """Of a metric of images with an extractor: whether it also reads features of the training and of the evaluated split."""

    needs_labels: ClassVar[bool] = False
    """Of a metric of images: whether it reads their labels, so that a dataset without classes is refused."""

    symmetric: ClassVar[bool | None] = None
    """Of a metric of images: whether it stays the same where images and reference change places, which the conformance kit then
    looks for; ``None`` says nothing of it."""

    at_equality: ClassVar[float | Mapping[str, float] | None] = None
    """Value where images and reference are the same, or where a tokenizer reconstructs without error, which the conformance kit
    then looks for: of all measurements, or of some by name, without what follows in parentheses. ``None`` says nothing."""

    def __init__(self, config: Config, parts: Mapping[str, Any]) -> None:
        self.config = config
        self.parts = parts

    def refusal(self, info: DatasetInfo, *, samples: int, reference: int) -> str | None:
        """Why it cannot be computed, known before anything runs; ``None`` where it can.

        Weights that are not on this machine are no reason: a plan asks every network for them by itself.

        Args:
            info: The dataset.
            samples: How many images will be measured: of a metric of priors or tokenizers, all of the evaluated split.
            reference: How many images the reference split has.
        """
        return None

    def prior_refusal(self, space: CodeSpace, windows: Windows | None) -> str | None:
        """Of a metric of priors: why it cannot be computed of such codes, known before anything runs; ``None`` where it can.

        Args:
            space: The codes of an image.
            windows: Those that the prior models in their place; ``None`` for one of whole images.
        """
        return None

    def given_positions(self, space: CodeSpace) -> npt.NDArray[np.bool_] | None:
        """Of a metric of priors: the codes after which it measures the likelihood of all others, bool (N,); ``None`` for none.

        An ordering that does not visit all of these before all others is refused, as their likelihood would be another one.

        Args:
            space: The codes, which the metric does not refuse.
        """
        return None

    def nothing_asked(self, samples: PlannedSamples) -> str | None:
        """Of a metric of images: why nothing was asked of samples that it could measure; ``None`` where something was.

        It is left out for such samples, with a note: a cell without a class beside one with a class has no accuracy.
        """
        return None

    def samples_refusal(self, samples: PlannedSamples) -> str | None:
        """Of a metric of images: why its settings contradict what samples are made for, with the remedy; ``None`` where not."""
        return None

    @abstractmethod
    def run(self, subject: Any) -> Sequence[Measurement]:
        """Measure a ``TokenizerSubject``, ``PriorSubject`` or ``ImageSubject``, as ``measures`` says."""
