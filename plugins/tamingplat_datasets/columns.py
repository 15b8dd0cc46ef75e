"""Which columns of a table can hold images, classes, maps and keypoints."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal

from tamingplat.interfaces import Problem
from tamingplat_datasets.config import TableConfig
from tamingplat_datasets.labels import first_few

if TYPE_CHECKING:
    import pyarrow as pa

LabelType = Literal["int64", "bool", "string"]


def image_problem(schema: pa.Schema, column: str, where: str, setting: str = "image_column") -> Problem | None:
    """Why a column, which ``setting`` names, holds no encoded images; ``None`` where it does."""
    what = "images" if setting == "image_column" else "maps"
    missing = _missing(schema, column, where, setting, f"set {setting} to the column of {what}")
    if missing is not None:
        return missing
    if _holds_images(schema.field(column).type):
        return None
    images = [field.name for field in schema if _holds_images(field.type)]
    remedy = f"set {setting} to {' or '.join(images)}" if images else f"store {what} as Hugging Face Image or as encoded bytes"
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


def keypoints_problem(schema: pa.Schema, column: str, where: str) -> Problem | None:
    """Why a column holds no keypoints; ``None`` where it does."""
    missing = _missing(schema, column, where, "keypoints.column", "set keypoints.column to the column of keypoints")
    if missing is not None or _holds_numbers(schema.field(column).type):
        return missing
    return Problem(
        where,
        f"column {column} holds {schema.field(column).type}, not lists of numbers",
        "store x, y and visibility of each joint, one after the other",
    )


def _holds_numbers(kind: pa.DataType, inside: bool = False) -> bool:
    import pyarrow as pa

    if pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind):
        return _holds_numbers(kind.value_type, inside=True)
    return inside and bool(pa.types.is_integer(kind) or pa.types.is_floating(kind))


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


def plain_schema(schema: pa.Schema, config: TableConfig) -> pa.Schema:
    """The columns that are kept of a table, under our names: ``image``, encoded, ``label``, and what comes with the image."""
    import pyarrow as pa

    fields = [("image", pa.large_binary())]
    if config.label_column is not None:
        fields.append(("label", pa.type_for_alias(label_type(schema, config.label_column))))
    for name, column in config.condition_columns.items():
        fields.append((name, schema.field(column).type if name == "keypoints" else pa.large_binary()))
    return pa.schema(fields)


def source_columns(config: TableConfig) -> dict[str, str]:
    """The table's column for each of ours, in the order of ``plain_schema``."""
    label = {} if config.label_column is None else {"label": config.label_column}
    return {"image": config.image_column, **label, **config.condition_columns}


def plain(batch: pa.RecordBatch, config: TableConfig, schema: pa.Schema) -> pa.RecordBatch:
    """A batch of ``plain_schema`` from one that has its columns under other names."""
    import pyarrow as pa
    import pyarrow.compute as pc

    columns = []
    for field, source in zip(schema, source_columns(config).values(), strict=True):
        column = batch.column(source)
        if pa.types.is_struct(column.type):
            column = pc.struct_field(column, "bytes")
        columns.append(column.cast(field.type))
    return pa.record_batch(columns, schema=schema)


def schema_problems(schema: pa.Schema, config: TableConfig, where: str) -> Sequence[Problem]:
    """Everything that is wrong with the columns of one table."""
    found = [image_problem(schema, config.image_column, where)]
    if config.label_column is not None:
        found.append(label_problem(schema, config.label_column, where))
    for name, column in config.condition_columns.items():
        if name == "keypoints":
            found.append(keypoints_problem(schema, column, where))
        else:
            found.append(image_problem(schema, column, where, f"{name}.column"))
    return [problem for problem in found if problem is not None]
