"""A dataset repository of the Hugging Face hub, at one commit.

Once a split was downloaded, a record in the cache says which Arrow files hold it, and the network is not asked again: a commit
never changes.
"""

from __future__ import annotations

import hashlib
import json
import os
import socket
import threading
import urllib.parse
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tamingplat.interfaces import DataError, Problem, ProblemsError, UnavailableError
from tamingplat_datasets.base import ImageDataset, Row
from tamingplat_datasets.cache import cache_root, kept
from tamingplat_datasets.columns import class_names, label_type, schema_problems, source_columns
from tamingplat_datasets.config import HubConfig
from tamingplat_datasets.labels import MOST_CLASSES, Classes, first_few
from tamingplat_datasets.tables import open_table

if TYPE_CHECKING:
    import datasets
    import pyarrow as pa

_LOCAL_ALTERNATIVE = (
    "download the images where there is a network and use the dataset parquet or imagefolder, or hub with folder"
)
_progress_bars = threading.Lock()


class HubDataset(ImageDataset):
    """Two splits of a repository."""

    config: HubConfig

    @property
    def _source(self) -> str:
        return str(self.config.folder) if self.config.folder is not None else str(self.config.path)

    def _names(self) -> dict[str, str]:
        """The repository's names of our splits."""
        return {"train": self.config.train, "validation": self.config.validation}

    def _describe(self) -> tuple[dict[str, int], Classes | None]:
        problems = list(self._limit_problems(tuple(self._names())))
        if self.config.folder is not None and not self.config.folder.is_dir():
            problems.append(Problem(str(self.config.folder), "no such folder", "name a downloaded copy of a repository"))
        if problems:
            raise ProblemsError(problems)
        counts: dict[str, int] = {}
        schemas: dict[str, pa.Schema] = {}
        for split, name in self._names().items():
            where = f"{self._source}: {name}"
            try:
                counts[split], schemas[split] = self._split_description(split)
            except ProblemsError as error:
                problems.extend(error.problems)
                continue
            problems.extend(schema_problems(schemas[split], self.config, where))
            if not counts[split]:
                problems.append(Problem(where, f"the {split} split is empty", "name another split"))
        if problems:
            raise ProblemsError(dict.fromkeys(problems))
        return counts, self._classes(schemas)

    def _split_description(self, split: str) -> tuple[int, pa.Schema]:
        """Rows and columns, from the repository's own description where it has one, else from the images."""
        if self.config.folder is not None or self._recorded(split) is None:
            if self.config.folder is None:
                _demand_network(self._source)
            info = describe(self._source, config=self.config.name, revision=self.config.revision)
            if info.features and info.splits:
                name = self._names()[split]
                if name not in info.splits:
                    what = f"no such split; there are {', '.join(info.splits)}"
                    raise ProblemsError([Problem(f"{self._source}: {name}", what, f"set {split} to one of them")])
                return info.splits[name].num_examples, info.features.arrow_schema
        table = self._table(split)
        return len(table), table.data.schema

    def _classes(self, schemas: dict[str, pa.Schema]) -> Classes | None:
        column = self.config.label_column
        if column is None:
            return None
        train, validation = schemas["train"], schemas["validation"]
        where = f"{self._source}: {self.config.validation}"
        names = class_names(train, column)
        if names != class_names(validation, column) or label_type(train, column) != label_type(validation, column):
            what = f"the classes of column {column} are not those of {self.config.train}"
            raise ProblemsError([Problem(where, what, 'name other splits, or set label_column to ""')])
        if names is not None:
            return Classes(names)
        values = {split: set(self._table(split).unique(column)) for split in self._names()}
        if None in values["train"] | values["validation"] or len(values["train"]) > MOST_CLASSES:
            what = f"column {column} has rows without a label, or more than {MOST_CLASSES} different ones"
            raise ProblemsError([Problem(self._source, what, 'set label_column to another column, or to ""')])
        classes = Classes.of_values(values["train"])
        unknown = classes.unknown(values["validation"])
        if unknown:
            what = f"labels of column {column} that {self.config.train} does not have: {first_few(unknown)}"
            raise ProblemsError([Problem(where, what, 'name other splits, or set label_column to ""')])
        return classes

    def _table(self, split: str) -> datasets.Dataset:
        if split not in self._tables:
            from datasets import Image, concatenate_datasets

            if self.config.folder is not None:
                table = load_split(self._source, self._names()[split], config=self.config.name)
            else:
                table = concatenate_datasets([open_table(file) for file in self._downloaded(split)])
            for column in source_columns(self.config).values():
                if isinstance(table.features.get(column), Image):
                    table = table.cast_column(column, Image(decode=False))
            self._tables[split] = table
        return self._tables[split]

    def _record(self, split: str) -> str:
        what = [self.config.path, self.config.revision, self.config.name, self._names()[split]]
        return f"hub/{hashlib.sha256(json.dumps(what).encode()).hexdigest()}.json"

    def _recorded(self, split: str) -> list[Path] | None:
        """The Arrow files of a split that was downloaded before, by this or another process."""
        try:
            files = [Path(file) for file in json.loads((cache_root() / self._record(split)).read_text())]
        except FileNotFoundError:
            return None
        return files if all(file.is_file() for file in files) else None

    def _downloaded(self, split: str) -> list[Path]:
        """The Arrow files of a split, which is downloaded once."""

        def download(draft: Path) -> None:
            _demand_network(self._source)
            table = load_split(self._source, self._names()[split], config=self.config.name, revision=self.config.revision)
            draft.write_text(json.dumps([file["filename"] for file in table.cache_files]))

        if self._recorded(split) is None:  # what a record speaks of may have been deleted
            (cache_root() / self._record(split)).unlink(missing_ok=True)
            kept(self._record(split), download)
        files = self._recorded(split)
        assert files is not None
        return files

    def _row(self, split: str, index: int) -> Row:
        row = self._table(split)[index]
        held = {name: row[column] for name, column in source_columns(self.config).items()}
        for name in ("segmentation", "depth"):
            if held.get(name) is not None:
                held[name] = self._encoded(split, index, name, held[name])
        return Row(**{**held, "image": self._encoded(split, index, "image", held["image"])})

    def _encoded(self, split: str, index: int, name: str, value: Any) -> bytes:
        """The bytes of an image that is in the table, or in a file that the table names."""
        if isinstance(value, bytes):
            return value
        if isinstance(value, Mapping) and value.get("bytes") is not None:
            return bytes(value["bytes"])
        path = value.get("path") if isinstance(value, Mapping) else None
        if not path:
            raise DataError(f"{self._place(split, index, name)}: no image")
        try:
            return Path(path).read_bytes()
        except OSError as error:
            raise DataError(f"{self._place(split, index, name)}: {path} cannot be read ({error.strerror})") from error

    def _place(self, split: str, index: int, column: str = "image") -> str:
        return f"{self._source}: {self._names()[split]}, row {index}, column {source_columns(self.config)[column]}"


def load_split(source: str, split: str, *, config: str | None, revision: str | None = None) -> datasets.Dataset:
    """One split of a repository, on the hub or in a folder, as memory-mapped Arrow files.

    Raises:
        ProblemsError: There is no such split or configuration.
        UnavailableError: It cannot be downloaded.
        DataError: Its files cannot be read.
    """
    import datasets

    with _explained(f"{source}: {split}"), _quiet():
        return datasets.load_dataset(source, name=config, split=split, revision=revision, cache_dir=str(cache_root() / "hub"))


def describe(source: str, *, config: str | None, revision: str | None = None) -> datasets.DatasetInfo:
    """What a repository says of itself, without its images; raises as ``load_split``."""
    import datasets

    with _explained(source), _quiet():
        return datasets.load_dataset_builder(source, name=config, revision=revision, cache_dir=str(cache_root() / "hub")).info


@contextmanager
def _explained(where: str) -> Iterator[None]:
    """The library's errors as ours."""
    from datasets.exceptions import DatasetGenerationError, DatasetNotFoundError
    from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError

    try:
        yield
    except DatasetGenerationError as error:
        raise DataError(f"{where}: its files cannot be read ({error.__cause__ or error})") from error
    except DatasetNotFoundError as error:
        raise UnavailableError(f"{where}: {error}; a private repository needs a token in HF_TOKEN") from error
    except (ConnectionError, HfHubHTTPError, LocalEntryNotFoundError) as error:
        raise UnavailableError(f"{where}: cannot be downloaded ({error}); {_LOCAL_ALTERNATIVE}") from error
    except (ValueError, FileNotFoundError) as error:  # an unknown split or configuration, or nothing that can be loaded
        raise ProblemsError([Problem(where, str(error), "check path, name, train and validation")]) from error


def _demand_network(source: str) -> None:
    """Find out in a second what the client would take half a minute of retries to report."""
    from huggingface_hub import constants

    if constants.HF_HUB_OFFLINE:
        raise UnavailableError(f"{source}: was not downloaded before, and HF_HUB_OFFLINE is set; {_LOCAL_ALTERNATIVE}")
    if any(os.environ.get(name) for name in ("HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy")):
        return  # the client goes through the proxy, where a direct connection says nothing
    address = urllib.parse.urlsplit(constants.ENDPOINT)
    try:
        socket.create_connection(
            (address.hostname, address.port or (80 if address.scheme == "http" else 443)), timeout=3
        ).close()
    except OSError as error:
        message = f"{source}: was not downloaded before, and {address.hostname} cannot be reached ({error.strerror or error})"
        raise UnavailableError(f"{message}; {_LOCAL_ALTERNATIVE}") from error


@contextmanager
def _quiet() -> Iterator[None]:
    """Without the progress bars of ``datasets``, which would run through ours; as they were afterwards."""
    from datasets.utils import are_progress_bars_disabled, disable_progress_bars, enable_progress_bars

    with _progress_bars:
        before = are_progress_bars_disabled()
        disable_progress_bars()
        try:
            yield
        finally:
            if not before:
                enable_progress_bars()
