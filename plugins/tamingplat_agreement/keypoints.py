"""Agreement with poses.

Shape letters: n images, H/W image, M figures, J joints.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from tamingplat.interfaces import DatasetInfo, TamingplatError
from tamingplat.interfaces.models import ImageSubject, Measurement, Measures, Metric
from tamingplat_agreement.config import KeypointAgreementConfig
from tamingplat_agreement.estimator import PixelEstimator
from tamingplat_agreement.scores import column_of, in_slices, measurements, too_few, with_others

_SEEN = 2
_NEAR_A_JOINT = 3


def detected(responses: npt.NDArray[np.float32]) -> npt.NDArray[np.float64]:
    """Column and row of the strongest response, (J, H, W) to float64 (J, 2)."""
    places = responses.reshape(len(responses), -1).argmax(1)
    return np.stack([places % responses.shape[2], places // responses.shape[2]], axis=1).astype(np.float64)


def distance(found: npt.NDArray[np.float64], figures: npt.NDArray[np.floating[Any]]) -> float:
    """Mean over the seen joints of all figures (M, J, 3) of the pixels between them and those found (J, 2)."""
    seen = figures[..., 2] >= _SEEN
    apart = np.sqrt(np.square(figures[..., :2] - found[None]).sum(-1))
    return float(apart[seen].mean())


class KeypointAgreement(Metric):
    """Where an estimator finds the joints in an image, beside where they are in the pose that it was made for.

    The estimator answers to each joint; the pixel with the strongest answer is where it is found. Only joints that are seen in
    the condition count, hidden ones do not. An image whose own condition has none, or whose neighbour's, cannot be scored; it
    is given the mean of the others, so that it changes nothing.
    """

    measures: ClassVar[Measures] = "images"
    config: KeypointAgreementConfig

    def refusal(self, info: DatasetInfo, *, samples: int, reference: int) -> str | None:
        """A dataset without keypoints is refused, and a single image."""
        if "keypoints" not in info.columns:
            return "the dataset gives no keypoints; set the dataset's setting keypoints, or leave the metric out"
        return too_few(samples)

    def run(self, subject: ImageSubject) -> Sequence[Measurement]:
        """Measure a set of images.

        Raises:
            TamingplatError: No image's condition has a seen joint, or none does in the reference split.
        """
        estimator = self._fitted(subject)
        found = [
            detected(estimator.estimate(image)) for rows in in_slices(len(subject.images)) for image in subject.images[rows]
        ]
        column = column_of(subject, "keypoints")
        wanted = np.concatenate([column[rows] for rows in in_slices(len(found))])
        seen = (wanted[..., 2] >= _SEEN).any((1, 2))
        scored = seen & np.roll(seen, -1)
        if not scored.any():
            raise TamingplatError("no image was made for a pose of which a joint is seen; nothing can be scored")

        def score(image: int, condition: int) -> float:
            return distance(found[image], wanted[condition]) if scored[image] else float("nan")

        own, other = (np.where(scored, values, values[scored].mean()) for values in with_others(len(found), score))
        what = f"Distance of the joints that an estimator fitted to the {subject.reference} split finds, to those of the pose"
        return measurements(
            "joint distance", own, other, unit="pixels", better="lower", what=what, condition="pose", scored=scored
        )

    def _fitted(self, subject: ImageSubject) -> PixelEstimator:
        """Fitted to the seen joints of the reference split: to pixels near them, and to as many anywhere."""
        poses = column_of(subject, "keypoints", reference=True)
        height, width = subject.reference_images[0:1].shape[2:]
        spread = max(1.0, self.config.spread * height)
        rows, columns = np.divmod(np.arange(height * width), width)

        def joints(number: int) -> npt.NDArray[np.float64]:
            figures: npt.NDArray[np.float64] = poses[number : number + 1][0].astype(np.float64)
            return figures

        def places(number: int, random: np.random.Generator) -> npt.NDArray[np.int64]:
            anywhere = random.choice(height * width, min(self.config.fit_pixels, height * width), replace=False)
            figures = joints(number)
            seen = figures[figures[..., 2] >= _SEEN][:, :2]
            around = np.repeat(seen, _NEAR_A_JOINT, axis=0)
            around = np.rint(around + random.normal(0, spread, around.shape)).astype(np.int64)
            x, y = around[:, 0].clip(0, width - 1), around[:, 1].clip(0, height - 1)
            return np.concatenate([anywhere, y * width + x])

        def targets(number: int, chosen: npt.NDArray[np.int64]) -> npt.NDArray[np.float64]:
            figures = joints(number)
            x, y = columns[chosen][:, None, None], rows[chosen][:, None, None]
            squares = np.square(figures[..., 0] - x) + np.square(figures[..., 1] - y)
            answers = np.exp(-squares / (2 * spread**2)) * (figures[..., 2] >= _SEEN)
            strongest: npt.NDArray[np.float64] = answers.max(1)
            return strongest

        estimator = PixelEstimator(self.config, subject.device)
        estimator.fit(subject.reference_images, places, targets)
        return estimator
