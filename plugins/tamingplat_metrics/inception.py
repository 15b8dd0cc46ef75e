"""torch-fidelity's Inception v3, whose features define the Fréchet inception distance and whose classes the Inception score.

Szegedy et al., "Rethinking the Inception Architecture for Computer Vision", CVPR 2016, in TensorFlow's version of 2015-12-05.

Shape letters: B batch, H/W image, D features.
"""

from __future__ import annotations

import io
from typing import ClassVar

import torch
from torch import nn

from tamingplat.interfaces import DataError
from tamingplat.interfaces.models import PublishedWeights, read_tensors
from tamingplat_metrics.config import WeightsConfig
from tamingplat_metrics.extractor import FileExtractor, FirstFeatures, first_line

DIGEST = "6726825d"
"""How the SHA-256 of the published weights begins; their file's name says so too."""
FILE = f"weights-inception-2015-12-05-{DIGEST}.pth"
URL = f"https://github.com/toshas/torch-fidelity/releases/download/v0.2.0/{FILE}"


class _Inception(FileExtractor):
    """One layer of the network, on images that are resized to 299 × 299 as TensorFlow 1 did it."""

    layer: ClassVar[str]
    """As torch-fidelity names it."""

    measure: ClassVar[str]
    """What is measured with it, which is defined by these weights."""

    config: WeightsConfig

    @property
    def published(self) -> PublishedWeights:
        """The file that torch-fidelity publishes."""
        return PublishedWeights(
            URL, f"{self.name}: the weights", digest=DIGEST, only=f"with other weights it would not be {self.measure}"
        )

    def load(self) -> nn.Module:
        """The network with the published weights and no others; errors as in ``FileExtractor.load``."""
        from torch_fidelity.feature_extractor_inceptionv3 import FeatureExtractorInceptionV3

        path = self.find()
        # The constructor unpickles whatever its file holds. What it gets is the tensors that were read without executing
        # anything, written again, in memory.
        buffer = io.BytesIO()
        torch.save(read_tensors(path), buffer)
        buffer.seek(0)
        try:
            network = FeatureExtractorInceptionV3("inception-v3-compat", [self.layer], feature_extractor_weights_path=buffer)
        except RuntimeError as error:
            raise DataError(f"{path}: not the weights of this network ({first_line(error)})") from error
        return FirstFeatures(network)


class InceptionFeatures(_Inception):
    """The 2048 features before the classifier."""

    layer = "2048"
    measure = "FID"

    @property
    def name(self) -> str:
        """``inception``."""
        return "inception"

    @property
    def dimensions(self) -> int:
        """2048."""
        return 2048


class InceptionLogits(_Inception):
    """The 1008 logits of the classifier without its biases, of which the Inception score is made."""

    layer = "logits_unbiased"
    measure = "the Inception score"

    @property
    def name(self) -> str:
        """``inception-logits``."""
        return "inception-logits"

    @property
    def dimensions(self) -> int:
        """1008: the classes of ImageNet and eight that were never trained."""
        return 1008
