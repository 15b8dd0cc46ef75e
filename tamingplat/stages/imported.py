"""Imported models: artifacts that were made from checkpoints, as stages of a plan that are done."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, NoReturn

from tamingplat.interfaces import CodeSpace, ConditionLayout, DatasetInfo, TamingplatError
from tamingplat.interfaces.models import Prior, Tokenizer
from tamingplat.manifest import ResolvedComponent
from tamingplat.stages.build import Builder, initialise
from tamingplat.stages.model_record import ArtifactAddress, layout_json
from tamingplat.stages.prior_stage import PriorStage
from tamingplat.stages.stage import Stage, StageContext
from tamingplat.stages.tokenizer_stage import TokenizerStage


@dataclass(frozen=True, eq=False, repr=False)
class ImportedTokenizer(TokenizerStage):
    """A tokenizer from a checkpoint.

    Attributes:
        image_size: Height and width in pixels of the images that it was made for; it takes others too.
        channels: Their channels.
        digest: SHA-256 of its tensors.
    """

    image_size: tuple[int, int]
    channels: int
    digest: str

    kind = "import_tokenizer"
    imported: ClassVar[bool] = True

    @property
    def name(self) -> str:
        """The tokenizer's name in the manifest; it has no seed."""
        return self.tokenizer.label

    @property
    def label(self) -> str:
        return f"import {self.name}"

    def identity(self) -> dict[str, Any]:
        return {
            "tokenizer": self.builder.identity(self.tokenizer),
            "image_size": list(self.image_size),
            "channels": self.channels,
            "weights": self.digest,
        }

    def build(self, builder: Builder) -> Tokenizer:
        """The tokenizer with weights of no meaning, for images of the size that it was made for."""
        info = DatasetInfo(self.image_size, self.channels, {})
        return initialise(lambda: builder.tokenizer(self.tokenizer, info), seed=0, kind=self.kind)

    def run(self, context: StageContext) -> NoReturn:
        """It is made by ``tamingplat import``.

        Raises:
            TamingplatError: Always.
        """
        raise TamingplatError(f"{self.name}: the imported artifact is not in the store; import it again")


@dataclass(frozen=True)
class PriorOrigin:
    """What an imported prior is, whatever it is used with.

    Attributes:
        prior: The component with its settings.
        ordering: The order that it was trained under.
        space: The codes.
        layout: The parts of its condition.
        conditioner: Name of the conditioner that gives its condition; empty where that is unknown.
        tokenizer: The tokenizer that gave its codes; ``None`` where that is unknown.
        condition_tokenizer: The tokenizer that gave its condition, where it had one.
        digest: SHA-256 of its tensors.
    """

    prior: ResolvedComponent
    ordering: ResolvedComponent
    space: CodeSpace
    layout: ConditionLayout
    conditioner: str
    tokenizer: ArtifactAddress | None
    condition_tokenizer: ArtifactAddress | None
    digest: str

    def identity(self, builder: Builder) -> dict[str, Any]:
        """All that decides the artifact; JSON values."""
        return {
            "prior": builder.identity(self.prior),
            "ordering": builder.identity(self.ordering),
            "grids": [list(grid) for grid in self.space.grids],
            "vocab_size": self.space.vocab_size,
            "layout": layout_json(self.layout),
            "conditioner": self.conditioner,
            "tokenizer": self.tokenizer and self.tokenizer.key,
            "condition_tokenizer": self.condition_tokenizer and self.condition_tokenizer.key,
            "weights": self.digest,
        }


@dataclass(frozen=True, eq=False, repr=False)
class ImportPrior(Stage):
    """A prior from a checkpoint, as it is imported: without anything to use it with."""

    builder: Builder
    origin: PriorOrigin

    kind = "import_prior"
    imported: ClassVar[bool] = True

    @property
    def label(self) -> str:
        return f"import {self.origin.prior.label}"

    def identity(self) -> dict[str, Any]:
        return self.origin.identity(self.builder)

    def run(self, context: StageContext) -> NoReturn:
        """It is made by ``tamingplat import``.

        Raises:
            TamingplatError: Always.
        """
        raise TamingplatError(f"{self.origin.prior.label}: the imported artifact is not in the store; import it again")


@dataclass(frozen=True, eq=False, repr=False)
class ImportedPrior(PriorStage):
    """A prior from a checkpoint, with what it is used with: another one of these has the same artifact.

    Making it needs nothing; what is computed with it needs codes, conditions and a tokenizer.

    Attributes:
        origin: What it is.
    """

    origin: PriorOrigin

    kind = "import_prior"
    imported: ClassVar[bool] = True

    @property
    def label(self) -> str:
        return f"import {self.prior.label}"

    @property
    def sampled_with(self) -> tuple[Stage, ...]:
        return (self.codes.tokenizer,)

    @property
    def measured_with(self) -> tuple[Stage, ...]:
        return self.sources

    def identity(self) -> dict[str, Any]:
        return self.origin.identity(self.builder)

    def build(self, builder: Builder) -> Prior:
        """The prior with weights of no meaning."""
        return initialise(lambda: builder.prior(self.prior, self.space, self.layout), seed=0, kind=self.kind)

    def run(self, context: StageContext) -> NoReturn:
        """It is made by ``tamingplat import``.

        Raises:
            TamingplatError: Always.
        """
        raise TamingplatError(f"{self.prior.label}: the imported artifact is not in the store; import it again")
