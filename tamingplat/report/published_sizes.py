"""Published numbers of parameters, beside which those of our models are shown: tables under ``experiments/references/``.

A row belongs to one published model. It names the blocks of manifests that mean to be that model, so that one table serves many
manifests: blocks that a manifest does not have are passed over.
"""

from __future__ import annotations

from typing import Literal

from pydantic import Field, PositiveInt, model_validator

from tamingplat.interfaces import Config

TOLERANCE = 0.01
"""The relative difference above which a count is marked as another one."""


class PublishedSize(Config):
    """One published model, or one part of it."""

    label: str = Field(min_length=1, description="The experiment, as published.")
    prior: str | tuple[str, ...] = Field((), description="The prior's block, or several of the same size.")
    tokenizer: str | tuple[str, ...] = Field((), description="The tokenizer's block, or several of the same size.")
    part: str = Field("", description="A part of the model, as the names of its parameters begin; empty for the whole model.")
    parameters: PositiveInt = Field(description="Published number of parameters.")
    layers: PositiveInt | None = Field(None, description="Published number of layers.")
    embedding_dim: PositiveInt | None = Field(None, description="Published size of codebook vectors, n_z.")
    codebook_size: PositiveInt | None = Field(None, description="Published number of codes, K.")
    dropout: float | None = Field(None, ge=0, lt=1, description="Published dropout.")
    length: PositiveInt | None = Field(None, description="Published length of the sequence.")
    downsampling: int | None = Field(None, ge=0, description="Published m, where f is 2^m.")
    width: PositiveInt | None = Field(None, description="Published width.")
    counted_width: PositiveInt | None = Field(
        None, description="The width that gives the published number of parameters, where it is another one."
    )
    note: str = Field("", description="Why the published figures do not agree with each other.")

    @model_validator(mode="after")
    def _one_model(self) -> PublishedSize:
        if bool(self.prior) == bool(self.tokenizer):
            raise ValueError("name the blocks that are this model: either prior, or tokenizer")
        return self

    @property
    def kind(self) -> Literal["prior", "tokenizer"]:
        """What the model is."""
        return "prior" if self.prior else "tokenizer"

    @property
    def blocks(self) -> tuple[str, ...]:
        """The blocks that are this model."""
        named = self.prior or self.tokenizer
        return (named,) if isinstance(named, str) else named

    def is_of(self, label: str) -> bool:
        """Whether a component with this label is this model; what an axis varies stands in brackets behind the block."""
        return label.partition("[")[0] in self.blocks


class PublishedSizes(Config):
    """A table of published numbers of parameters."""

    schema_version: Literal[1] = Field(alias="schema", description="Layout of this file.")
    table: Literal["parameters"] = Field(description="What tells this layout from that of published metrics.")
    title: str = Field(min_length=1, description="What the table shows.")
    source: str = Field(min_length=1, description="Publication and the number of its table or figure.")
    url: str = Field("", description="Address of the publication.")
    note: str = Field("", description="What has to be known to read it.")
    row: tuple[PublishedSize, ...] = Field(min_length=1, description="The published models.")

    @model_validator(mode="after")
    def _unique(self) -> PublishedSizes:
        named = [(row.kind, block, row.part) for row in self.row for block in row.blocks]
        twice = sorted({f"{kind} {block}" for kind, block, part in named if named.count((kind, block, part)) > 1})
        if twice:
            raise ValueError(f"more than one row is about {', '.join(twice)}; name each block once")
        return self

    def rows_of(self, kind: str, label: str) -> tuple[PublishedSize, ...]:
        """The rows about a component of a manifest: that of the whole model first, then those of its parts."""
        rows = [row for row in self.row if row.kind == kind and row.is_of(label)]
        return tuple(sorted(rows, key=lambda row: bool(row.part)))
