"""Where published weight files are on this machine, and why one is not to be taken."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from urllib.error import URLError

import torch

from tamingplat.interfaces.errors import DataError, UnavailableError
from tamingplat.interfaces.models.weight_files import file_digest, unreadable


@dataclass(frozen=True)
class PublishedWeights:
    """A weight file that is published: the one in torch.hub's checkpoint folder, unless the settings name another.

    For components with the settings ``weights``, a file of one's own or none, and ``download``, of which messages speak.

    Attributes:
        url: Where it is published.
        what: What messages call it, such as ``the weights of resnet101``.
        name: Of the file in torch.hub's folder; the last part of the address unless given.
        digest: How the SHA-256 of its content begins, in hexadecimal digits. Unless given, the address ends in these, as
            torchvision's do.
        only: Why no other content will do, not that of a file that the settings name either; empty where they may name another.
    """

    url: str
    what: str = "the weights"
    name: str = ""
    digest: str = ""
    only: str = ""

    @property
    def file(self) -> Path:
        """Where it is looked for, and downloaded to, when no file is named."""
        return Path(torch.hub.get_dir()) / "checkpoints" / (self.name or PurePosixPath(self.url).name)

    @property
    def digits(self) -> str:
        """How the SHA-256 of its content begins, in hexadecimal digits."""
        return self.digest or PurePosixPath(self.url).stem.rpartition("-")[2]

    def is_published(self, path: Path) -> bool:
        """Whether a file's content is the published one, whatever its name.

        Raises:
            DataError: The file cannot be read.
        """
        return file_digest(path).startswith(self.digits)

    def why_missing(self, weights: Path | None, *, download: bool) -> str | None:
        """Why the weights cannot be had, and which file to put where; ``None`` where they can. Downloads nothing."""
        return self._why_absent(weights, download) or self._why_wrong(weights)

    def find(self, weights: Path | None, *, download: bool) -> Path:
        """The file with the weights, downloaded if the settings say so.

        Raises:
            UnavailableError: It is not on this machine and not to be downloaded, or the download failed.
            DataError: No file is named, or ``only`` the published one will do, and it is another one; or the file that is named
                cannot be read.
        """
        if reason := self._why_absent(weights, download):
            raise UnavailableError(reason)
        path = weights or self.file
        if not path.is_file():
            self._download(path)
        if reason := self._why_wrong(weights):
            raise DataError(reason)
        return path

    def _why_absent(self, weights: Path | None, download: bool) -> str | None:
        if weights is not None:
            return None if weights.is_file() else f"{weights}, which the setting weights names, is no file"
        if download or self.file.is_file():
            return None
        return (
            f"{self.what}, {self.file.name}, are not on this machine; put that file, from {self.url}, into {self.file.parent}, "
            "or name it with the setting weights, or set download = true where there is a network"
        )

    def _why_wrong(self, weights: Path | None) -> str | None:
        """Why the file that is there is not to be taken; ``None`` where it is, or is still to be downloaded."""
        path = weights or self.file
        try:
            if not path.is_file() or self.is_published(path):
                return None
        except DataError as error:
            return str(error)
        if weights is not None and not self.only:
            return unreadable(weights)
        # Results are kept under the name of this file, so that it must be what the name says.
        what = f"{path}: its SHA-256 does not begin with {self.digits[:8]}, the published file's"
        if self.only:
            return f"{what}; {self.only}; take it from {self.url}"
        return f"{what}; take it from {self.url}, or name weights of your own with the setting weights"

    def _download(self, path: Path) -> None:
        # It is written beside and renamed, so that a second process meets a whole file or none.
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            torch.hub.download_url_to_file(self.url, str(path), hash_prefix=self.digits, progress=False)
        except (URLError, OSError, RuntimeError) as error:
            remedy = f"put the file into {path.parent}, or name it with the setting weights"
            raise UnavailableError(f"{self.url} could not be downloaded ({error}); {remedy}") from error
