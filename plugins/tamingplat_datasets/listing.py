"""The list of a folder's image files, made in one pass and kept as one memory-mapped table per split."""

from __future__ import annotations

import contextlib
import hashlib
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from tamingplat.interfaces import DataError
from tamingplat_datasets.cache import cache_root, drafts, keep

if TYPE_CHECKING:
    import pyarrow as pa

SUFFIXES = frozenset(
    {".bmp", ".gif", ".jfif", ".jpeg", ".jpg", ".pbm", ".pgm", ".png", ".pnm", ".ppm", ".tga", ".tif", ".tiff", ".webp"}
)
_NAMES_AT_A_TIME = 4096


@dataclass
class Listing:
    """What was found below a folder.

    Attributes:
        counts: Images of each split.
        folders: For each split, the folders directly inside that have images.
        loose: The first few images that lie in none of them.
        tables: For each split, an Arrow file with the column ``path``: file-system bytes, relative to the folder.
    """

    counts: dict[str, int]
    folders: dict[str, set[str]]
    loose: list[str] = field(default_factory=list)
    tables: dict[str, Path] = field(default_factory=dict)

    @property
    def total(self) -> int:
        """Images of all splits."""
        return sum(self.counts.values())


def is_validation(name: bytes, fraction: float) -> bool:
    """Whether a file is in the validation split: its relative path decides, and nothing else."""
    return int.from_bytes(hashlib.sha256(name).digest()[:8], "big") < fraction * 2**64


def list_images(root: Path, splits: Sequence[str], validation_fraction: float) -> Listing:
    """List the image files below a folder.

    Args:
        root: Where to look.
        splits: One split, which gets everything, or two, of which the second gets ``validation_fraction``.
        validation_fraction: In (0, 1).

    Raises:
        DataError: A folder cannot be listed.
    """
    found = Listing(dict.fromkeys(splits, 0), {split: set() for split in splits})
    with drafts() as folder:
        with contextlib.ExitStack() as stack:
            files = {split: stack.enter_context(_NameFile(folder / split)) for split in splits}
            for name in image_files(root):
                encoded = os.fsencode(name)
                split = splits[len(splits) > 1 and is_validation(encoded, validation_fraction)]
                files[split].add(encoded)
                found.counts[split] += 1
                inside, slash, _ = name.partition("/")
                if slash:
                    found.folders[split].add(inside)
                elif len(found.loose) < 3:
                    found.loose.append(name)
        for split, file in files.items():
            kept_as = f"imagefolder/{file.digest.hexdigest()}.arrow"
            place = cache_root() / kept_as
            found.tables[split] = place if place.is_file() else keep(folder / split, kept_as)
    return found


class _NameFile:
    """Writes names to an Arrow file, a few thousand at a time, and digests them."""

    def __init__(self, path: Path) -> None:
        import pyarrow as pa

        self.digest = hashlib.sha256()
        self._names: list[bytes] = []
        self._schema = pa.schema([("path", pa.binary())])
        self._path = path

    def __enter__(self) -> _NameFile:
        import pyarrow as pa

        self._file = pa.OSFile(str(self._path), "wb")
        self._writer: pa.RecordBatchStreamWriter = pa.ipc.new_stream(self._file, self._schema)
        return self

    def __exit__(self, *_: object) -> None:
        self._flush()
        self._writer.close()
        self._file.close()

    def add(self, name: bytes) -> None:
        self._names.append(name)
        self.digest.update(name + b"\0")
        if len(self._names) == _NAMES_AT_A_TIME:
            self._flush()

    def _flush(self) -> None:
        import pyarrow as pa

        self._writer.write_batch(pa.record_batch([pa.array(self._names, pa.binary())], schema=self._schema))
        self._names = []


def image_files(root: Path) -> Iterator[str]:
    """Paths of all image files below a folder, relative to it and with slashes, sorted within each folder.

    A file is an image by its suffix; other files, hidden files and hidden folders are passed over. Links are followed, a
    folder that contains itself through a link only once.

    Raises:
        DataError: A folder cannot be listed; the message names it.
    """
    yield from _below(root, "", frozenset())


def _below(root: Path, prefix: str, parents: frozenset[tuple[int, int]]) -> Iterator[str]:
    folder = root / prefix
    try:
        status = folder.stat()
        with os.scandir(folder) as found:
            entries = sorted((entry.name, entry.is_dir()) for entry in found if not entry.name.startswith("."))
    except OSError as error:
        raise DataError(f"{folder}: cannot be listed ({error.strerror})") from error
    identity = (status.st_dev, status.st_ino)
    if identity in parents:
        return
    for name, is_folder in entries:
        if is_folder:
            yield from _below(root, f"{prefix}{name}/", parents | {identity})
        elif Path(name).suffix.lower() in SUFFIXES:
            yield prefix + name
