"""Tables as memory-mapped Arrow files."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import datasets
    import pyarrow as pa


def write_table(path: Path, batches: Iterable[pa.RecordBatch], schema: pa.Schema) -> None:
    """Write an Arrow stream file, batch by batch; no more than one batch is in memory."""
    import pyarrow as pa

    with pa.OSFile(str(path), "wb") as file, pa.ipc.new_stream(file, schema) as writer:
        for batch in batches:
            writer.write_batch(batch)


def open_table(path: Path) -> datasets.Dataset:
    """An Arrow stream file, memory-mapped: opening reads no rows, and an indexed row is a dictionary."""
    from datasets import Dataset

    return Dataset.from_file(str(path))
