"""Weight files of feature extractors: where they are, and which content they have to have."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from urllib.error import URLError

import torch

from tamingplat.interfaces import DataError, UnavailableError
from tamingplat.interfaces.models import file_digest, unreadable
from tamingplat_metrics.config import WeightsConfig


@dataclass(frozen=True)
class WeightFile:
    """A published file of weights.

    Attributes:
        file: Its name in torch.hub's checkpoint folder.
        url: Where it is published.
        digest: How the SHA-256 of its content begins, in hexadecimal digits.
        only: Why no other content will do, not that of a file that the settings name either; empty where they may name another.
    """

    file: str
    url: str
    digest: str
    only: str = ""

    @property
    def default_path(self) -> Path:
        """Where it is looked for when no file is named."""
        return Path(torch.hub.get_dir()) / "checkpoints" / self.file

    def missing(self, config: WeightsConfig) -> str | None:
        """Why the weights cannot be had here, and which file to put where; ``None`` where they can. Downloads nothing."""
        return self._absent(config) or self._wrong(config)

    def find(self, name: str, config: WeightsConfig) -> Path:
        """The file, downloaded if the settings say so.

        Raises:
            UnavailableError: It is not on this machine and not to be downloaded, or the download failed. The message begins
                with ``name``, that of the extractor.
            DataError: It is not the published one, and has to be, or it cannot be read.
        """
        if reason := self._absent(config):
            raise UnavailableError(f"{name}: {reason}")
        path = config.weights or self.default_path
        if not path.is_file():
            path.parent.mkdir(parents=True, exist_ok=True)
            try:
                # Written beside and renamed, so that a second process meets a whole file or none.
                torch.hub.download_url_to_file(self.url, str(path), hash_prefix=self.digest, progress=False)
            except (URLError, OSError, RuntimeError) as error:
                remedy = f"put the file into {path.parent}, or name it with the setting weights"
                raise UnavailableError(f"{self.url} could not be downloaded ({error}); {remedy}") from error
        if reason := self._wrong(config):
            raise DataError(reason)
        return path

    def is_published(self, path: Path) -> bool:
        """Whether a file's content is the published one.

        Raises:
            DataError: The file cannot be read.
        """
        return file_digest(path).startswith(self.digest)

    def _absent(self, config: WeightsConfig) -> str | None:
        if config.weights is not None:
            return None if config.weights.is_file() else f"{config.weights}, which the setting weights names, is no file"
        if config.download or self.default_path.is_file():
            return None
        folder = self.default_path.parent
        return (
            f"the weights, {self.file}, are not on this machine; put that file, from {self.url}, into {folder}, "
            "or name it with the setting weights, or set download = true where there is a network"
        )

    def _wrong(self, config: WeightsConfig) -> str | None:
        """Why the file that is there is not to be taken; ``None`` where it is, or is still to be downloaded."""
        path = config.weights or self.default_path
        if not path.is_file():
            return None
        try:
            if self.is_published(path):
                return None
        except DataError as error:
            return str(error)
        if config.weights is not None and not self.only:
            return unreadable(path)
        # Results are kept under the name of this file, so that it must be what the name says.
        what = f"{path}: its SHA-256 does not begin with {self.digest[:8]}, the published file's"
        if self.only:
            return f"{what}; {self.only}; take it from {self.url}"
        return f"{what}; take it from {self.url}, or name weights of your own with the setting weights"


def first_line(error: BaseException) -> str:
    """An error in one line."""
    return f"{type(error).__name__}: {str(error).partition(chr(10))[0]}"
