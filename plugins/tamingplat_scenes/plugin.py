"""What this plugin offers."""

from __future__ import annotations

from tamingplat.interfaces import Component, hookimpl
from tamingplat_scenes.config import ScenesConfig


@hookimpl
def tamingplat_components() -> list[Component]:
    """One dataset."""
    return [
        Component(
            kind="dataset",
            name="scenes",
            factory="tamingplat_scenes.dataset:ScenesDataset",
            summary="Synthetic landscapes with shapes and a figure, with exact class, segmentation, depth and keypoints",
            config=ScenesConfig,
        )
    ]
