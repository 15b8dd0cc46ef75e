"""The trained models of a plan: their stages, their sizes, and why a model cannot be made."""

from __future__ import annotations

from dataclasses import dataclass, field

from tamingplat.interfaces import CodeSpace, ConditionLayout, DatasetInfo, MapsInfo, Problem, TamingplatError, Windows
from tamingplat.interfaces.models import Tokenizer
from tamingplat.manifest import Cell, Manifest, ResolvedComponent, TokenizerCell
from tamingplat.stages.build import Builder
from tamingplat.stages.encode import EncodeConditions, EncodeDataset
from tamingplat.stages.planned_imports import ImportPlanner, RefusedError
from tamingplat.stages.prior_stage import PriorStage
from tamingplat.stages.refusals import refuse
from tamingplat.stages.skeletons import without_memory
from tamingplat.stages.tokenizer_stage import TokenizerStage
from tamingplat.stages.train_prior import TrainPrior
from tamingplat.stages.train_tokenizer import TrainTokenizer

_NOT_TRAINED = "its plugin gives no training settings, so that it cannot be trained"


@dataclass
class ModelPlanner:
    """Makes the stages of tokenizers and priors, and builds each model once without memory for its weights.

    Attributes:
        manifest: The request.
        builder: Makes components.
        imports: Makes the stages of imported models.
        parameters: Number of parameters by the key of the stage that makes the model.
    """

    manifest: Manifest
    builder: Builder
    imports: ImportPlanner
    parameters: dict[str, int] = field(default_factory=dict)
    _tokenizers: dict[str, Tokenizer] = field(default_factory=dict)

    def tokenizer(
        self,
        cell: Cell | TokenizerCell,
        info: DatasetInfo | MapsInfo,
        refusals: list[Problem],
        of_condition: tuple[ResolvedComponent, str] | None = None,
    ) -> tuple[TokenizerStage, CodeSpace] | None:
        """The stage of a cell's tokenizer and its codes, or ``None`` with the reason among ``refusals``.

        Args:
            cell: The cell.
            info: What the tokenizer sees.
            refusals: Where reasons are added.
            of_condition: A conditioner and the setting that refers to its own tokenizer, which is then meant.
        """
        builder, conditioner = self.builder, of_condition[0] if of_condition else None
        resolved = cell.tokenizer if of_condition is None else of_condition[0].parts[of_condition[1]]
        if resolved.artifact is not None:
            return self._imported_tokenizer(resolved, info, refusals)
        tokenizer_class = builder.load_class(resolved)
        reason = tokenizer_class.refusal(resolved.config, image_size=info.image_size, channels=info.channels)
        if reason:
            refusals.append(refuse(resolved, reason))
            return None
        if resolved.train is None and not tokenizer_class.fitted:
            refusals.append(refuse(resolved, _NOT_TRAINED))
            return None
        if resolved.tile is not None and not tokenizer_class.tiles:
            refusals.append(refuse(resolved, "works on whole images and knows no tiles; remove tile"))
            return None
        split = self.manifest.evaluate.split
        stage = TrainTokenizer(builder, resolved, cell.tokenizer_seed, cell.dataset, split, resolved.train, conditioner)
        if stage.key not in self._tokenizers:
            try:
                with without_memory():
                    skeleton = builder.tokenizer(resolved, info)
            except TamingplatError as error:
                refusals.append(refuse(resolved, str(error)))
                return None
            self._tokenizers[stage.key] = skeleton
            self.parameters[stage.key] = sum(parameter.numel() for parameter in skeleton.parameters())
        return stage, self._tokenizers[stage.key].code_space(info.image_size)

    def check_prior(self, cell: Cell, refusals: list[Problem]) -> None:
        """Add to ``refusals`` why a cell's prior can be neither trained nor taken from the store."""
        if cell.prior.artifact is None and cell.prior.train is None:
            refusals.append(refuse(cell.prior, _NOT_TRAINED))

    def prior(
        self,
        cell: Cell,
        codes: EncodeDataset,
        conditions: EncodeConditions | None,
        space: CodeSpace,
        layout: ConditionLayout,
        refusals: list[Problem],
        windows: Windows | None = None,
    ) -> PriorStage | None:
        """The stage of a cell's prior, for one that ``check_prior`` let pass; ``None`` with the reason among ``refusals``.

        Space and layout are those of the prior, of one of the ``windows`` where there are any.
        """
        if cell.prior.artifact is not None:
            return self._imported_prior(cell, codes, conditions, space, layout, refusals, windows)
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
            windows=windows,
        )
        if stage.key not in self.parameters:
            try:
                with without_memory():
                    skeleton = self.builder.prior(cell.prior, space, layout)
            except TamingplatError as error:
                refusals.append(refuse(cell.prior, str(error)))
                return None
            self.parameters[stage.key] = sum(parameter.numel() for parameter in skeleton.parameters())
        return stage

    def _imported_tokenizer(
        self, resolved: ResolvedComponent, info: DatasetInfo | MapsInfo, refusals: list[Problem]
    ) -> tuple[TokenizerStage, CodeSpace] | None:
        try:
            stage = self.imports.tokenizer(resolved, info)
            if stage.key not in self._tokenizers:
                with without_memory():
                    skeleton = stage.build(self.builder)
                self._tokenizers[stage.key] = skeleton
                self.parameters[stage.key] = sum(parameter.numel() for parameter in skeleton.parameters())
            return stage, self._tokenizers[stage.key].code_space(info.image_size)
        except (RefusedError, TamingplatError) as error:
            refusals.append(refuse(resolved, str(error)))
            return None

    def _imported_prior(
        self,
        cell: Cell,
        codes: EncodeDataset,
        conditions: EncodeConditions | None,
        space: CodeSpace,
        layout: ConditionLayout,
        refusals: list[Problem],
        windows: Windows | None,
    ) -> PriorStage | None:
        try:
            stage = self.imports.prior(cell, codes, conditions, space, layout, windows)
            if stage.key not in self.parameters:
                with without_memory():
                    skeleton = stage.build(self.builder)
                self.parameters[stage.key] = sum(parameter.numel() for parameter in skeleton.parameters())
        except (RefusedError, TamingplatError) as error:
            refusals.append(refuse(cell.prior, str(error)))
            return None
        return stage
