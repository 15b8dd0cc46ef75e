"""What a trained and an imported tokenizer have in common: a stage whose artifact holds a tokenizer's weights."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass

from tamingplat.engine import load_weights
from tamingplat.interfaces.models import Tokenizer
from tamingplat.manifest import ResolvedComponent
from tamingplat.stages.build import Builder
from tamingplat.stages.stage import Stage, StageContext

WEIGHTS = "weights.safetensors"


@dataclass(frozen=True, eq=False, repr=False)
class TokenizerStage(Stage):
    """A stage that leaves the weights of a tokenizer behind, in ``weights.safetensors``.

    Attributes:
        builder: Makes components.
        tokenizer: The component with its settings.
        seed: Of its training; of no meaning where it is imported.
    """

    builder: Builder
    tokenizer: ResolvedComponent
    seed: int

    @property
    def name(self) -> str:
        """The tokenizer's name in the manifest, with its seed where that is not 0."""
        return self.tokenizer.label + (f" (tokenizer seed {self.seed})" if self.seed else "")

    @abstractmethod
    def build(self, builder: Builder) -> Tokenizer:
        """The tokenizer, without what it learned."""


def load_tokenizer(stage: TokenizerStage, context: StageContext) -> Tokenizer:
    """A finished tokenizer in eval mode on the context's device."""
    tokenizer = stage.build(context.builder)
    tokenizer.tile = stage.tokenizer.tile
    load_weights(tokenizer, context.artifact(stage).path(WEIGHTS))
    return tokenizer.to(context.device).eval()
