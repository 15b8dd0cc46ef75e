"""The conditions of a plan: their parts, their own tokenizers, and why a condition cannot be made."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from tamingplat.interfaces import ConditionLayout, DatasetInfo, Problem, TamingplatError
from tamingplat.manifest import Cell, ResolvedComponent
from tamingplat.stages.condition_parts import (
    ConditionTokenizers,
    conditioner_without_weights,
    conditioners_in,
    tokenizer_fields,
)
from tamingplat.stages.encode import EncodeConditions
from tamingplat.stages.planned_models import ModelPlanner
from tamingplat.stages.refusals import refuse


@dataclass(frozen=True)
class PlannedCondition:
    """The condition of a cell.

    Attributes:
        conditioner: What makes it.
        layout: Its parts; empty without a condition, and where it is refused.
        tokenizers: The stages of its own tokenizers.
        dropout: Share of training examples that have the absent condition instead.
        class_tokens: The token of each of the dataset's classes, int64 (L,), where it names the class.
    """

    conditioner: ResolvedComponent
    layout: ConditionLayout = ()
    tokenizers: ConditionTokenizers = ()
    class_tokens: Tensor | None = None
    dropout: float = 0.0

    def encoded(self, models: ModelPlanner, cell: Cell, splits: tuple[str, ...], views: int) -> EncodeConditions | None:
        """The stage that encodes it for some splits; ``None`` without a condition."""
        if not self.layout:
            return None
        return EncodeConditions(models.builder, cell.dataset, self.conditioner, splits, views, self.tokenizers)


def plan_condition(models: ModelPlanner, cell: Cell, info: DatasetInfo, refusals: list[Problem]) -> PlannedCondition:
    """The condition of a cell; without parts, and with the reasons among ``refusals``, where it is impossible."""
    builder, conditioner = models.builder, cell.conditioner
    problems: list[Problem] = []
    for _, part in conditioners_in(conditioner):
        if reason := builder.load_class(part).refusal(part.config, info):
            problems.append(refuse(part, reason))
    tokenizers = [] if problems else list(_tokenizers(models, cell, info, problems))
    layout: ConditionLayout = ()
    class_tokens, dropout = None, 0.0
    if not problems:
        try:
            built = conditioner_without_weights(builder, conditioner, info, tuple(tokenizers))
            layout = built.layout(info.image_size)
            class_tokens, dropout = built.class_tokens(), built.dropout
        except TamingplatError as error:
            problems.append(refuse(conditioner, str(error)))
    refusals += problems
    if problems:
        return PlannedCondition(conditioner)
    return PlannedCondition(conditioner, layout, tuple(tokenizers), class_tokens, dropout)


def _tokenizers(models: ModelPlanner, cell: Cell, info: DatasetInfo, problems: list[Problem]) -> ConditionTokenizers:
    """The stages of a condition's own tokenizers; why there can be none is added to ``problems``."""
    found = []
    for path, conditioner in conditioners_in(cell.conditioner):
        for field in tokenizer_fields(conditioner):
            own: list[Problem] = []
            maps = models.builder.maps_info(conditioner, info)
            tokenized = models.tokenizer(cell, maps, own, of_condition=(conditioner, field))
            if tokenized is not None:
                found.append((path + field, tokenized[0]))
            height, width = maps.image_size
            seen = f"{height}×{width} pixels and {maps.channels} channel{'s' * (maps.channels != 1)}"
            reference = conditioner.component.reference
            told = f"{reference}, whose maps have {seen}"
            problems += [Problem(problem.where, f"{told}: {problem.what}", problem.remedy) for problem in own]
    return tuple(found)
