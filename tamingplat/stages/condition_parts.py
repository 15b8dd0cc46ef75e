"""What a condition is made of: conditioners inside each other, and their own tokenizers."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from tamingplat.interfaces import DatasetInfo
from tamingplat.interfaces.models import Conditioner
from tamingplat.manifest import ResolvedComponent
from tamingplat.stages.build import Builder
from tamingplat.stages.skeletons import without_memory
from tamingplat.stages.tokenizer_stage import TokenizerStage

ConditionTokenizers = tuple[tuple[str, TokenizerStage], ...]
"""The stages of a condition's own tokenizers, each with its place in the conditioner's settings."""


def conditioners_in(resolved: ResolvedComponent, path: str = "") -> Iterator[tuple[str, ResolvedComponent]]:
    """A conditioner and all that it is made of, each with its place in the settings: empty, or ending in a full stop."""
    yield path, resolved
    for field, part in resolved.parts.items():
        if part.kind == "conditioner":
            yield from conditioners_in(part, f"{path}{field}.")


def tokenizer_fields(conditioner: ResolvedComponent) -> list[str]:
    """The settings of a conditioner that refer to a tokenizer of its own."""
    return [field for field, part in conditioner.parts.items() if part.kind == "tokenizer"]


def conditioner_without_weights(
    builder: Builder, conditioner: ResolvedComponent, info: DatasetInfo, tokenizers: ConditionTokenizers
) -> Conditioner:
    """A conditioner whose own tokenizers have no memory for weights: it knows its layout and its null index, and makes maps."""
    with without_memory():
        skeletons = {path: stage.build(builder) for path, stage in tokenizers}
    return builder.conditioner(conditioner, info, skeletons)


def maps_identity(builder: Builder, conditioner: ResolvedComponent) -> dict[str, Any]:
    """What of a conditioner decides what its own tokenizer sees."""
    identity = builder.identity(conditioner)
    beside = {*builder.load_class(conditioner).settings_beside_maps, *tokenizer_fields(conditioner)}
    return {**identity, "config": {name: value for name, value in identity["config"].items() if name not in beside}}
