"""Which columns of a table can hold images and classes."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal

from tamingplat.interfaces import Problem
from tamingplat_datasets.labels import first_few

if TYPE_CHECKING:
    import pyarrow as pa

LabelType = Literal["int64", "bool", "string"]


def image_problem(schema: pa.Schema, column: str, where: str) -> Problem | None:
    """Why a column holds no encoded images; ``None`` where it does."""
    missing = _missing(schema, column, where, "image_column", "set image_column to the column of images")
    if missing is not None:
        return missing
    if _holds_images(schema.field(column).type):
        return None
    images = [field.name for field in schema if _holds_images(field.type)]
    remedy = (
        f"set image_column to {' or '.join(images)}" if images else "store images as Hugging Face Image or as encoded bytes"
    )
    return Problem(where, f"column {column} holds {schema.field(column).type}, not encoded images", remedy)


def _holds_images(kind: pa.DataType) -> bool:
    import pyarrow as pa

    if pa.types.is_struct(kind):
        names = [kind.field(position).name for position in range(kind.num_fields)]
        return "bytes" in names and _holds_images(kind.field(names.index("bytes")).type)
    return bool(pa.types.is_binary(kind) or pa.types.is_large_binary(kind))


def label_problem(schema: pa.Schema, column: str, where: str) -> Problem | None:
    """Why a column holds no classes; ``None`` where it does."""
    missing = _missing(
        schema, column, where, "label_column", 'set label_column to the column of classes, or to "" for images without labels'
    )
    if missing is not None or label_type(schema, column) is not None:
        return missing
    return Problem(
        where,
        f"column {column} holds {schema.field(column).type}, which cannot be classes",
        'set label_column to a column of integers or strings, or to "" for images without labels',
    )


def _missing(schema: pa.Schema, column: str, where: str, setting: str, remedy: str) -> Problem | None:
    count = schema.names.count(column)
    if count == 1:
        return None
    if count > 1:
        return Problem(where, f"has {count} columns named {column} ({setting})", "rename all but one")
    return Problem(where, f"has no column {column} ({setting}); its columns are {first_few(schema.names, 20)}", remedy)


def label_type(schema: pa.Schema, column: str) -> LabelType | None:
    """How the classes of a column are stored here; ``None`` for a type that cannot be classes."""
    import pyarrow as pa

    kind = schema.field(column).type
    if pa.types.is_dictionary(kind):
        kind = kind.value_type
    if pa.types.is_integer(kind):
        return "int64"
    if pa.types.is_boolean(kind):
        return "bool"
    return "string" if pa.types.is_string(kind) or pa.types.is_large_string(kind) else None


def class_names(schema: pa.Schema, column: str) -> tuple[str, ...] | None:
    """The names that the table itself gives to the classes (Hugging Face ClassLabel), if any."""
    try:
        feature = json.loads((schema.metadata or {})[b"huggingface"])["info"]["features"][column]
    except (KeyError, TypeError, ValueError):  # written by something else, which says nothing of classes
        return None
    if not isinstance(feature, dict) or feature.get("_type") != "ClassLabel" or not feature.get("names"):
        return None
    return tuple(str(name) for name in feature["names"])


def plain_schema(kind: LabelType | None) -> pa.Schema:
    """The columns ``image``, the encoded bytes, and ``label``, where there are classes."""
    import pyarrow as pa

    label = [] if kind is None else [("label", pa.type_for_alias(kind))]
    return pa.schema([("image", pa.large_binary()), *label])


def plain(batch: pa.RecordBatch, image: str, label: str | None, schema: pa.Schema) -> pa.RecordBatch:
    """A batch of ``plain_schema`` from one that has the columns ``image`` and ``label`` under other names."""
    import pyarrow as pa
    import pyarrow.compute as pc

    images = batch.column(image)
    if pa.types.is_struct(images.type):
        images = pc.struct_field(images, "bytes")
    labels = [] if label is None else [batch.column(label)]
    columns = [column.cast(field.type) for column, field in zip([images, *labels], schema, strict=True)]
    return pa.record_batch(columns, schema=schema)


def schema_problems(schema: pa.Schema, image: str, label: str | None, where: str) -> Sequence[Problem]:
    """Everything that is wrong with the columns of one table."""
    found = [image_problem(schema, image, where)]
    if label is not None:
        found.append(label_problem(schema, label, where))
    return [problem for problem in found if problem is not None]
