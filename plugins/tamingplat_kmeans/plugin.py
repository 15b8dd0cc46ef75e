"""What this plugin offers."""

from __future__ import annotations

from tamingplat.interfaces import Component, hookimpl
from tamingplat_kmeans.config import KMeansConfig


@hookimpl
def tamingplat_components() -> list[Component]:
    """The palette tokenizer."""
    return [
        Component(
            kind="tokenizer",
            name="kmeans",
            factory="tamingplat_kmeans.kmeans:KMeans",
            summary="A palette of colours fitted by k-means, one code per pixel",
            config=KMeansConfig,
            paper="https://arxiv.org/abs/2012.09841",
        )
    ]
