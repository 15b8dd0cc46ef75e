"""What this plugin offers."""

from __future__ import annotations

from tamingplat.interfaces import Component, hookimpl
from tamingplat_datasets.config import HubConfig, ImageFolderConfig, ParquetConfig


@hookimpl
def tamingplat_components() -> list[Component]:
    """The three datasets."""
    return [
        Component(
            kind="dataset",
            name="parquet",
            factory="tamingplat_datasets.parquet:ParquetDataset",
            summary="Images in Parquet files, one or more per split, as Hugging Face datasets writes them",
            config=ParquetConfig,
        ),
        Component(
            kind="dataset",
            name="imagefolder",
            factory="tamingplat_datasets.imagefolder:ImageFolderDataset",
            summary="A folder of image files; its subfolders, where there are any, are the classes",
            config=ImageFolderConfig,
        ),
        Component(
            kind="dataset",
            name="hub",
            factory="tamingplat_datasets.hub:HubDataset",
            summary="A dataset repository of the Hugging Face hub at one commit, or a local copy of one",
            config=HubConfig,
        ),
    ]
