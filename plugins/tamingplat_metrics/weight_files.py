"""Weight files of feature extractors: where they are, and what is in them.

Files are read as tensors alone; nothing in them is executed.
"""

from __future__ import annotations

import hashlib
import pickle
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.error import URLError

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from tamingplat.interfaces import DataError, UnavailableError
from tamingplat_metrics.config import WeightsConfig

# What torch.load raises for a file that is cut short, is no weight file, or holds more than tensors.
_UNREADABLE = (
    *(OSError, EOFError, RuntimeError, ValueError, KeyError, TypeError, AttributeError),
    *(pickle.UnpicklingError, SafetensorError),
)


@dataclass(frozen=True)
class WeightFile:
    """A published file of weights.

    Attributes:
        file: Its name in torch.hub's checkpoint folder.
        url: Where it is published.
        digest: How the SHA-256 of its content begins, in hexadecimal digits; empty where its publisher names none.
    """

    file: str
    url: str
    digest: str = ""

    @property
    def default_path(self) -> Path:
        """Where it is looked for when no file is named."""
        return Path(torch.hub.get_dir()) / "checkpoints" / self.file

    def missing(self, config: WeightsConfig) -> str | None:
        """Why the weights cannot be had here, and which file to put where; ``None`` where they can. Downloads nothing."""
        if config.weights is not None:
            return None if config.weights.is_file() else f"{config.weights}, which the setting weights names, is no file"
        if config.download or self.default_path.is_file():
            return None
        folder = self.default_path.parent
        return (
            f"the weights, {self.file}, are not on this machine; put that file, from {self.url}, into {folder}, "
            "or name it with the setting weights, or set download = true where there is a network"
        )

    def find(self, name: str, config: WeightsConfig) -> Path:
        """The file, downloaded if the settings say so.

        Raises:
            UnavailableError: It is not on this machine and not to be downloaded, or the download failed. The message begins
                with ``name``, that of the extractor.
            DataError: No file is named, and the one in torch.hub's folder is not the published one.
        """
        reason = self.missing(config)
        if reason is not None:
            raise UnavailableError(f"{name}: {reason}")
        if config.weights is not None:
            return config.weights
        path = self.default_path
        if not path.is_file():
            path.parent.mkdir(parents=True, exist_ok=True)
            try:
                # Written beside and renamed, so that a second process meets a whole file or none.
                torch.hub.download_url_to_file(self.url, str(path), hash_prefix=self.digest or None, progress=False)
            except (URLError, OSError, RuntimeError) as error:
                remedy = f"put the file into {path.parent}, or name it with the setting weights"
                raise UnavailableError(f"{self.url} could not be downloaded ({error}); {remedy}") from error
        if self.digest and not self.is_published(path):
            # Results are kept under the name of this file, so that it must be what the name says.
            raise DataError(
                f"{path}: its SHA-256 does not begin with {self.digest[:8]}, the published file's; take it from {self.url}, or "
                "name weights of your own with the setting weights"
            )
        return path

    def is_published(self, path: Path) -> bool:
        """Whether a file's content is the published one; never where the publisher names no digest.

        Raises:
            DataError: The file cannot be read.
        """
        return bool(self.digest) and sha256(path).startswith(self.digest)


def sha256(path: Path) -> str:
    """The digest of a file's content.

    Raises:
        DataError: The file cannot be read.
    """
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise DataError(f"{path}: not a readable weight file ({first_line(error)})") from error


def read_tensors(path: Path) -> dict[str, Tensor]:
    """The tensors of a safetensors file, or of one that torch wrote, on the CPU.

    Raises:
        DataError: The file cannot be read, or holds something other than named tensors.
    """
    try:
        if path.suffix == ".safetensors":
            return dict(load_file(path))
        with warnings.catch_warnings():
            # It announces that it would run a TorchScript archive, and then, asked for weights alone, refuses to.
            warnings.filterwarnings("ignore", category=UserWarning, message="'torch.load' received a zip file")
            state = torch.load(path, map_location="cpu", weights_only=True)
    except _UNREADABLE as error:
        raise DataError(f"{path}: not a readable weight file ({first_line(error)})") from error
    if not isinstance(state, Mapping) or not all(isinstance(value, Tensor) for value in state.values()):
        raise DataError(f"{path}: holds no state dict, a mapping of names to tensors")
    return dict(state)


def first_line(error: BaseException) -> str:
    """An error in one line."""
    return f"{type(error).__name__}: {str(error).partition(chr(10))[0]}"
