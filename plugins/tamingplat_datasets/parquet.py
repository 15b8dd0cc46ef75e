"""Images in Parquet files.

The images and labels of a split are copied once into an Arrow file in the cache, which is memory-mapped: any row is then read
without the ones before it, and memory does not grow with their number.
"""

from __future__ import annotations

import hashlib
import itertools
import json
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tamingplat.interfaces import DataError, Problem, ProblemsError
from tamingplat_datasets.base import ImageDataset, Row
from tamingplat_datasets.cache import kept
from tamingplat_datasets.columns import class_names, label_type, plain, plain_schema, schema_problems, source_columns
from tamingplat_datasets.config import ParquetConfig
from tamingplat_datasets.labels import MOST_CLASSES, Classes, Label, first_few
from tamingplat_datasets.tables import open_table, write_table

if TYPE_CHECKING:
    import datasets
    import pyarrow as pa

_TABLE_VERSION = 2
_ROWS_AT_A_TIME = 64
_BUFFER = 1 << 20


class ParquetDataset(ImageDataset):
    """One or more Parquet files for each split."""

    config: ParquetConfig

    def _paths(self) -> dict[str, Path]:
        return {"train": self.config.train, "validation": self.config.validation, **self.config.extra_splits}

    def _describe(self) -> tuple[dict[str, int], Classes | None]:
        problems = list(self._limit_problems(tuple(self._paths())))
        counts: dict[str, int] = {}
        schemas: dict[str, pa.Schema] = {}
        for split, path in self._paths().items():
            try:
                rows, schemas[split] = self._scan(split, path)
            except ProblemsError as error:
                problems.extend(error.problems)
                continue
            counts[split] = sum(rows)
            if not counts[split]:
                problems.append(Problem(str(path), f"the {split} split is empty", "name a file with images"))
        if problems:
            raise ProblemsError(problems)
        return counts, self._classes(schemas)

    def _scan(self, split: str, path: Path) -> tuple[list[int], pa.Schema]:
        """Rows of every file of a split, and the columns that all of them have; reads metadata alone."""
        import pyarrow as pa
        import pyarrow.parquet as pq

        rows, problems, schema = [], [], None
        for file in _files(split, path):
            try:
                metadata = pq.read_metadata(file)
                own = metadata.schema.to_arrow_schema()
            except (OSError, pa.ArrowException) as error:
                remedy = "name a Parquet file" if file.is_file() else "check the path"
                problems.append(Problem(str(file), f"cannot be read as Parquet ({_first_line(error)})", remedy))
                continue
            problems.extend(schema_problems(own, self.config, str(file)))
            rows.append(metadata.num_rows)
            schema = schema or own
        if problems:
            raise ProblemsError(problems)
        assert schema is not None
        return rows, schema

    def _classes(self, schemas: dict[str, pa.Schema]) -> Classes | None:
        column = self.config.label_column
        if column is None:
            return None
        paths, problems = self._paths(), []
        named = {split: class_names(schema, column) for split, schema in schemas.items()}
        kinds = {split: label_type(schema, column) for split, schema in schemas.items()}
        for split in paths:
            if kinds[split] != kinds["train"] or named[split] != named["train"]:
                what = f"the classes of column {column} are not those of the training split"
                problems.append(
                    Problem(str(paths[split]), what, "store both splits with the same ClassLabel, or both as strings")
                )
        if problems:
            raise ProblemsError(problems)
        if named["train"] is not None:
            return Classes(named["train"])
        classes = None
        for split, path in paths.items():
            values, problem = self._label_values(split, path, column)
            if problem is not None:
                problems.append(problem)
            elif classes is None and split == "train":
                classes = Classes.of_values(values)
            elif classes is not None and (unknown := classes.unknown(values)):
                what = f"labels of column {column} that the training split does not have: {first_few(unknown)}"
                problems.append(Problem(str(path), what, "add such images to the training split, or remove them here"))
        if problems:
            raise ProblemsError(problems)
        return classes

    def _label_values(self, split: str, path: Path, column: str) -> tuple[set[Label], Problem | None]:
        """The distinct labels of a split; reads that column alone, a batch at a time."""
        import pyarrow.parquet as pq

        values: set[Any] = set()
        for file in _files(split, path):
            with pq.ParquetFile(file, buffer_size=_BUFFER) as parquet:
                for batch in parquet.iter_batches(columns=[column]):
                    values.update(batch.column(0).unique().to_pylist())
                    if None in values:
                        return set(), Problem(str(file), f"column {column} has rows without a label", "remove them")
                    if len(values) > MOST_CLASSES:
                        what = f"column {column} has more than {MOST_CLASSES} different values, too many for classes"
                        return set(), Problem(str(file), what, 'set label_column to another column, or to ""')
        return values, None

    def _table(self, split: str) -> datasets.Dataset:
        if split not in self._tables:
            files = _files(split, self._paths()[split])
            described = [(str(file.resolve()), file.stat().st_size, file.stat().st_mtime_ns) for file in files]
            what = [_TABLE_VERSION, described, source_columns(self.config)]
            key = hashlib.sha256(json.dumps(what).encode()).hexdigest()
            self._tables[split] = open_table(kept(f"parquet/{key}.arrow", lambda draft: self._convert(files, draft)))
        return self._tables[split]

    def _convert(self, files: list[Path], draft: Path) -> None:
        import pyarrow as pa
        import pyarrow.parquet as pq

        schema = plain_schema(pq.read_schema(files[0]), self.config)
        write_table(draft, self._batches(files, schema), schema)
        pa.default_memory_pool().release_unused()

    def _batches(self, files: list[Path], schema: pa.Schema) -> Iterator[pa.RecordBatch]:
        import pyarrow as pa
        import pyarrow.parquet as pq

        columns = list(dict.fromkeys(source_columns(self.config).values()))
        for file in files:
            row = 0
            try:
                # Streamed through a buffer: a row group, which can be the whole file, is never in memory at once.
                with pq.ParquetFile(file, buffer_size=_BUFFER) as parquet:
                    for batch in parquet.iter_batches(_ROWS_AT_A_TIME, columns=columns):
                        yield plain(batch, self.config, schema)
                        row += batch.num_rows
            except (OSError, pa.ArrowException) as error:
                where = f"{file}: row {row} or one of the {_ROWS_AT_A_TIME} from there"
                raise DataError(f"{where}: corrupt Parquet file ({_first_line(error)})") from error

    def _row(self, split: str, index: int) -> Row:
        row = Row(**self._table(split)[index])
        if row.image is None:
            raise DataError(f"{self._place(split, index)}: no image bytes; store the images inside the Parquet file")
        return row

    def _place(self, split: str, index: int, column: str = "image") -> str:
        path = self._paths()[split]
        ends = list(itertools.accumulate(self._scan(split, path)[0]))
        shard = next(position for position, end in enumerate(ends) if index < end)
        row = index - (ends[shard - 1] if shard else 0)
        return f"{_files(split, path)[shard]}: row {row}, column {source_columns(self.config)[column]}"


def _files(split: str, path: Path) -> list[Path]:
    """The Parquet files of a split, in the order of their names."""
    if not path.exists():
        raise ProblemsError([Problem(str(path), f"no such file or folder, for the {split} split", "check the path")])
    if not path.is_dir():
        return [path]
    files = sorted(file for file in path.glob("*.parquet") if file.is_file() and not file.name.startswith("."))
    if not files:
        raise ProblemsError([Problem(str(path), f"no .parquet file in this folder, for the {split} split", "check the path")])
    return files


def _first_line(error: BaseException) -> str:
    return (str(error) or type(error).__name__).splitlines()[0]
