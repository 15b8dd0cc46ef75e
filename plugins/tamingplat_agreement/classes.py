"""Agreement with the class.

Shape letters: n images, L classes.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

import numpy as np
import torch

from tamingplat.interfaces import DatasetInfo, TamingplatError
from tamingplat.interfaces.models import Classifier, ImageSubject, Measurement, Measures, Metric, PlannedSamples
from tamingplat_agreement.config import ClassAgreementConfig
from tamingplat_agreement.scores import in_slices, measurements, shifted, too_few


class ClassAgreement(Metric):
    """Whether a classifier finds an image's own class most likely: 1 or 0 for each image, the accuracy in the mean."""

    measures: ClassVar[Measures] = "images"
    needs_labels: ClassVar[bool] = True
    config: ClassAgreementConfig

    def refusal(self, info: DatasetInfo, *, samples: int, reference: int) -> str | None:
        """A dataset without classes, or with others than the classifier's, is refused, and a single image."""
        if not info.label_names:
            return "the dataset gives no classes; set the dataset's label column, or leave the metric out"
        classifier: Classifier = self.parts["classifier"]
        if classifier.label_names != info.label_names:
            told, has = _few(classifier.label_names), _few(info.label_names)
            return f"the classifier tells {told} apart, and the dataset's classes are {has}; take one of these classes"
        return too_few(samples)

    def nothing_asked(self, samples: PlannedSamples) -> str | None:
        """A condition that names no class asks for none."""
        return None if samples.names_class else "the condition names no class"

    def run(self, subject: ImageSubject) -> Sequence[Measurement]:
        """Measure a set of images.

        Raises:
            TamingplatError: The images have no classes.
        """
        labels = subject.labels()
        if labels is None:
            raise TamingplatError("these images were made for no class; class-agreement needs a condition that names one")
        classifier: Classifier = self.parts["classifier"]
        found = []
        for rows in in_slices(len(subject.images), self.config.batch_size):
            batch = torch.from_numpy(np.array(subject.images[rows])).to(subject.device)
            found.append(classifier.log_probabilities(batch).argmax(1).detach().cpu().numpy())
        chosen = np.concatenate(found)
        own = (chosen == labels).astype(np.float64)
        other = (chosen == labels[shifted(len(labels))]).astype(np.float64)
        what = f"Accuracy of {self.config.classifier.use} for the class that an image was made for"
        return measurements("class accuracy", own, other, unit="", better="higher", what=what, network=True, condition="class")


def _few(names: Sequence[str]) -> str:
    return ", ".join(names[:5]) + (", …" if len(names) > 5 else "")
