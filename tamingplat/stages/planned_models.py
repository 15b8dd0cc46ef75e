"""The trained models of a plan: their stages, their sizes, and why a model cannot be made."""

from __future__ import annotations

from dataclasses import dataclass, field

import torch

from tamingplat.interfaces import CodeSpace, ConditionLayout, DatasetInfo, Problem, TamingplatError
from tamingplat.interfaces.models import Tokenizer
from tamingplat.manifest import Cell, Manifest
from tamingplat.stages.build import Builder
from tamingplat.stages.encode import EncodeConditions, EncodeDataset
from tamingplat.stages.refusals import refuse
from tamingplat.stages.train_prior import TrainPrior
from tamingplat.stages.train_tokenizer import TrainTokenizer

_NOT_IMPORTED = "imported artifacts cannot be used yet; remove the setting artifact to train it"
_NOT_TRAINED = "its plugin gives no training settings, so that it cannot be trained"


@dataclass
class ModelPlanner:
    """Makes the stages of tokenizers and priors, and builds each model once without memory for its weights.

    Attributes:
        manifest: The request.
        builder: Makes components.
        parameters: Number of parameters by the key of the stage that makes the model.
    """

    manifest: Manifest
    builder: Builder
    parameters: dict[str, int] = field(default_factory=dict)
    _tokenizers: dict[str, Tokenizer] = field(default_factory=dict)

    def tokenizer(self, cell: Cell, info: DatasetInfo, refusals: list[Problem]) -> tuple[TrainTokenizer, CodeSpace] | None:
        """The stage of a cell's tokenizer and its codes, or ``None`` with the reason among ``refusals``."""
        resolved, builder = cell.tokenizer, self.builder
        if resolved.artifact is not None:
            refusals.append(refuse(resolved, _NOT_IMPORTED))
            return None
        tokenizer_class = builder.load_class(resolved)
        reason = tokenizer_class.refusal(resolved.config, image_size=info.image_size, channels=info.channels)
        if reason:
            refusals.append(refuse(resolved, reason))
            return None
        if resolved.train is None and not tokenizer_class.fitted:
            refusals.append(refuse(resolved, _NOT_TRAINED))
            return None
        split = self.manifest.evaluate.split
        stage = TrainTokenizer(builder, cell.dataset, resolved, cell.tokenizer_seed, split, resolved.train)
        if stage.key not in self._tokenizers:
            try:
                with torch.device("meta"):
                    skeleton = builder.tokenizer(resolved, info)
            except TamingplatError as error:
                refusals.append(refuse(resolved, str(error)))
                return None
            self._tokenizers[stage.key] = skeleton
            self.parameters[stage.key] = sum(parameter.numel() for parameter in skeleton.parameters())
        return stage, self._tokenizers[stage.key].code_space(info.image_size)

    def check_prior(self, cell: Cell, refusals: list[Problem]) -> None:
        """Add to ``refusals`` why a cell's prior can be neither trained nor taken from the store."""
        if cell.prior.artifact is not None:
            refusals.append(refuse(cell.prior, _NOT_IMPORTED))
        elif cell.prior.train is None:
            refusals.append(refuse(cell.prior, _NOT_TRAINED))

    def prior(
        self,
        cell: Cell,
        codes: EncodeDataset,
        conditions: EncodeConditions | None,
        space: CodeSpace,
        layout: ConditionLayout,
        refusals: list[Problem],
    ) -> TrainPrior | None:
        """The stage of a cell's prior, for one that ``check_prior`` let pass; ``None`` with the reason among ``refusals``."""
        assert cell.prior.train is not None, cell.prior.label
        stage = TrainPrior(
            builder=self.builder,
            codes=codes,
            conditions=conditions,
            prior=cell.prior,
            ordering=cell.ordering,
            conditioner=cell.conditioner,
            seed=cell.seed,
            validation_split=self.manifest.evaluate.split,
            settings=cell.prior.train,
            space=space,
            layout=layout,
        )
        if stage.key not in self.parameters:
            try:
                with torch.device("meta"):
                    skeleton = self.builder.prior(cell.prior, space, layout)
            except TamingplatError as error:
                refusals.append(refuse(cell.prior, str(error)))
                return None
            self.parameters[stage.key] = sum(parameter.numel() for parameter in skeleton.parameters())
        return stage
