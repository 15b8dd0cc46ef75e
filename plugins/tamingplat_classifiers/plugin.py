"""Entry point of the classifiers."""

from __future__ import annotations

from tamingplat.interfaces import Component, TrainingSettings, hookimpl
from tamingplat_classifiers.config import ClassifierFeaturesConfig, ResidualConfig, TorchvisionConfig


@hookimpl
def tamingplat_components() -> list[Component]:
    """Two classifiers, and the features of any."""
    return [
        Component(
            kind="classifier",
            name="torchvision",
            factory="tamingplat_classifiers.pretrained:TorchvisionClassifier",
            config=TorchvisionConfig,
            summary="A pretrained network of torchvision, whose weights are a local file or a download",
            family="torchvision",
        ),
        Component(
            kind="classifier",
            name="residual",
            factory="tamingplat_classifiers.residual:ResidualClassifier",
            config=ResidualConfig,
            summary="A small residual network, trained as a stage on the labels of the manifest's own dataset",
            paper="https://arxiv.org/abs/1603.05027",
            training=TrainingSettings(
                steps=1000, batch_size=64, learning_rate=2e-3, weight_decay=0.05, warmup_steps=50, schedule="cosine"
            ),
        ),
        Component(
            kind="feature_extractor",
            name="classifier",
            factory="tamingplat_classifiers.features:ClassifierFeatures",
            config=ClassifierFeaturesConfig,
            summary="What the last layer of a classifier reads, for fd-classifier",
        ),
    ]
