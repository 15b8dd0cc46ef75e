"""Datasets: images by split and index.

Shape letters: C/H/W image.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from tamingplat.interfaces.config import Config
from tamingplat.interfaces.spaces import DatasetInfo

Example = dict[str, np.ndarray[Any, Any]]


class Dataset(ABC):
    """Images of a fixed size, read one at a time; memory does not grow with their number.

    The settings, with files by their content, identify the data: two datasets with equal settings hold equal images.
    Objects can be sent to worker processes.
    """

    def __init__(self, config: Config, parts: Mapping[str, Any]) -> None:
        self.config = config
        self.parts = parts

    @property
    @abstractmethod
    def info(self) -> DatasetInfo:
        """Size, channels, splits and classes.

        Raises:
            DataError: The data cannot be read.
            ProblemsError: A split, a column or a class of the settings does not exist; all of it at once.
            UnavailableError: It would have to be downloaded and cannot be.
        """

    def only(self, columns: Collection[str]) -> Dataset:
        """The same examples for whoever reads these columns alone: others may be left out, and need not be decoded.

        By default the dataset itself.
        """
        return self

    def source(self) -> Mapping[str, Any] | None:
        """The distribution that the images are drawn from, in JSON's types, for records; ``None``, as by default, where it is
        not known exactly.
        """
        return None

    def convert(self, files: Mapping[str, Path], image_size: tuple[int, int]) -> Example | None:
        """What the user's own files hold, brought to a size as the dataset's own images are, as ``read`` returns it.

        Args:
            files: A file for each of some columns. Files of one example are equally large.
            image_size: Height and width in pixels to which they are brought.

        Returns:
            ``None``, as by default, where the dataset has no files of its own that would say how: files are then taken as they
            are, where they have that size.

        Raises:
            DataError: A file cannot be read, or is not what the dataset's settings say; the message names it.
        """
        return None

    @abstractmethod
    def read(self, split: str, index: int, view: int = 0) -> Example:
        """One example.

        Args:
            split: One of ``info.splits``.
            index: In ``[0, info.splits[split])``.
            view: 0 is the plain image; any other number addresses one random crop and flip, always the same one.

        Returns:
            ``image``, uint8 (C, H, W); ``label``, int64 (), where there are classes; and the other columns of ``info``. What
            belongs to the image's places is cropped and mirrored as the image is:

            * ``segmentation``, an integer class map (H, W) below ``info.segmentation_classes``;
            * ``depth``, float32 (1, H, W) in [0, 1];
            * ``keypoints``, float32 (M, J, 3): x and y in pixels, 0 being the centre of the first one, and whether the joint
              is seen (above 0) or absent (0), for M figures of the J joints of ``info.joints``;
            * ``coordinates``, float32 (1, H, W) in [0, 1): each pixel's raster index in the image that this one was cropped
              from, divided by the number of its pixels.

            And what belongs to the whole plain image:

            * ``log_probability``, float64 (): the exact natural logarithm of its probability under ``source()``.

        Raises:
            DataError: The example is corrupt; the message names its file or row.
        """
