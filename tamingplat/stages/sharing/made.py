"""The part of a description that is for people: how a model was made, and what the table says of it."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict


class Entry(BaseModel):
    """A part of a description. Numbers that are not finite are kept: a loss that diverged is a result too."""

    model_config = ConfigDict(frozen=True, extra="forbid", ser_json_inf_nan="constants")


class OriginEntry(Entry):
    """How a model was made.

    Attributes:
        stage: Kind of the stage that left it.
        key: Its content key there.
        label: What that stage was called.
        created: When it was done, ISO 8601.
        identity: All that decided the result; a file is in it as the SHA-256 of its content.
        code: ``git``, ``packages``, ``python``, ``device``, ``threads`` and ``processes`` of the run.
        training: Its costs, and the terms of its last validation; ``None`` for what was not trained there.
        checkpoint: The file that it was imported from: ``format``, ``file``, ``sha256``, ``container``; ``None`` for others.
    """

    stage: str
    key: str
    label: str
    created: str
    identity: dict[str, Any]
    code: dict[str, Any]
    training: dict[str, Any] | None = None
    checkpoint: dict[str, Any] | None = None


class ColumnEntry(Entry):
    """How a column of the table is read."""

    name: str
    unit: str
    better: str
    description: str
    headline: bool


class RowEntry(Entry):
    """A row of the table; the attributes are those of a ``ResultRow``."""

    kind: str
    dataset: str
    tokenizer: str
    prior: str
    ordering: str
    conditioner: str
    sampler: str
    components: dict[str, str]
    seed: int | None
    tokenizer_seed: int | None
    status: str
    metrics: dict[str, float]
    sources: dict[str, str]
    trained_on: tuple[str, ...]
    cost: dict[str, float]
    evaluation: dict[str, Any]
    machine: dict[str, Any]
    artifacts: dict[str, str]


class DatasetEntry(Entry):
    """A dataset, known by its content.

    Attributes:
        component: What read it.
        fingerprint: SHA-256 of its settings with the content of its files in place of their paths.
        image_size: Height and width in pixels.
        channels: Channels.
        splits: Number of images by split.
    """

    component: str
    fingerprint: str
    image_size: tuple[int, int]
    channels: int
    splits: dict[str, int]


class ResultsEntry(Entry):
    """Rows of a manifest's table.

    Attributes:
        manifest: Its name.
        columns: How the rows' metrics are read.
        rows: Those that the model has a part in, and those of real images.
        datasets: By name.
        settings: Of every component that a row names, and of the metrics: by kind and name, every default spelled out.
        evaluate: The settings of the evaluation.
    """

    manifest: str
    columns: tuple[ColumnEntry, ...]
    rows: tuple[RowEntry, ...]
    datasets: dict[str, DatasetEntry]
    settings: dict[str, dict[str, Any]]
    evaluate: dict[str, Any]
