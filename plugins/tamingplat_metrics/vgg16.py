"""torch-fidelity's VGG16, whose features define precision and recall.

Simonyan and Zisserman, "Very Deep Convolutional Networks for Large-Scale Image Recognition", ICLR 2015.

Shape letters: B batch, H/W image, D features.
"""

from __future__ import annotations

import io
import warnings

import torch
from torch import nn

from tamingplat.interfaces import DataError
from tamingplat.interfaces.models import PublishedWeights, read_tensors
from tamingplat_metrics.extractor import FileExtractor, FirstFeatures, first_line

FILE = "vgg16-397923af.pth"


class Vgg16Features(FileExtractor):
    """The 4096 features after the second fully connected layer and its ReLU, of images resized to 224 × 224."""

    @property
    def name(self) -> str:
        """``vgg16``."""
        return "vgg16"

    @property
    def dimensions(self) -> int:
        """4096."""
        return 4096

    @property
    def published(self) -> PublishedWeights:
        """The file of torchvision, which LPIPS with VGG16 takes, too."""
        return PublishedWeights(f"https://download.pytorch.org/models/{FILE}", f"{self.name}: the weights")

    def load(self) -> nn.Module:
        """The network with its weights; errors as in ``FileExtractor.load``."""
        from torch_fidelity.feature_extractor_vgg16 import FeatureExtractorVGG16

        path = self.find()
        # The constructor unpickles whatever its file holds; it gets tensors alone, written again, in memory.
        buffer = io.BytesIO()
        torch.save(read_tensors(path), buffer)
        buffer.seek(0)
        try:
            with warnings.catch_warnings():
                warnings.filterwarnings("ignore", category=UserWarning, module=r"torchvision\.models\._utils")
                network = FeatureExtractorVGG16("vgg16", ["fc2_relu"], feature_extractor_weights_path=buffer)
        except RuntimeError as error:
            raise DataError(f"{path}: not the weights of this network ({first_line(error)})") from error
        return FirstFeatures(network)
