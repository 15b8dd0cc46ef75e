"""The reference's conditional stages: what stands before the codes.

Shape letters: P condition positions.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from tamingplat.interfaces import CodeSpace, ConditionLayout, ConditionPart, TamingplatError
from tamingplat.interfaces.models import CheckpointPrior, CheckpointTokenizer
from tamingplat_taming.section import Section
from tamingplat_taming.tokenizer_settings import CLASSES, class_name
from tamingplat_taming.tokenizers import TokenizerReader, write_tokenizer

PREFIX = "cond_stage_model."
FIRST_STAGE = "first_stage_model."

_UNCONDITIONAL, _FIRST_STAGE = "__is_unconditional__", "__is_first_stage__"
_KNOWN = ("Labelator", "CoordStage", "SOSProvider", "DummyCondStage", *CLASSES)
_SPATIAL = ("segmentation", "depth")
_SAME = "the first stage once more, which also gives the condition"


@dataclass(frozen=True)
class Condition:
    """What a conditional stage gives.

    Attributes:
        layout: The parts; their vocabularies have no room for a null index.
        conditioner: Name of ours that gives the same; empty where that is unknown.
        tokenizer: The stage's own tokenizer, if it has one.
        first_stage: Whether the first stage gives the condition.
        notes: What was left aside.
    """

    layout: ConditionLayout
    conditioner: str = ""
    tokenizer: CheckpointTokenizer | None = None
    first_stage: bool = False
    notes: tuple[str, ...] = ()


class ConditionReader:
    """Reads the conditional stage of a two-stage checkpoint.

    Args:
        params: The transformer's ``params``.
        tensors: The whole state dict.
        vocabulary: Rows of the transformer's embedding table.
        length: P, where the user gives it.
        dropped: Takes the names that are of no use, with the reasons.
        unknown: Takes the names that belong to nothing.
    """

    def __init__(
        self,
        params: Section,
        tensors: Mapping[str, Tensor],
        vocabulary: int,
        length: int | None,
        dropped: dict[str, str],
        unknown: list[str],
    ) -> None:
        self._params, self._tensors, self._vocabulary, self._length = params, tensors, vocabulary, length
        self._dropped, self._unknown = dropped, unknown

    def read(self, space: CodeSpace, first_stage: TokenizerReader | None) -> Condition | None:
        """The condition beside these codes; ``None`` where the configuration is wrong or says too little, which is noted."""
        stage = self._params.value("cond_stage_config")
        unconditional = self._params.boolean("unconditional") or stage in (_UNCONDITIONAL, None)
        if isinstance(stage, str) and stage not in (_UNCONDITIONAL, _FIRST_STAGE):
            self._params.wrong(
                "cond_stage_config", f"there is no {stage}", f"the texts are {_UNCONDITIONAL} and {_FIRST_STAGE}"
            )
            return None
        if unconditional:
            return self._unconditional()
        if stage == _FIRST_STAGE:
            return self._by_the_first_stage(space, first_stage)
        return self._by_a_stage(self._params.section("cond_stage_config"), space, first_stage)

    def _unconditional(self) -> Condition | None:
        start = self._params.integer("sos_token", 0, least=0)
        if start:
            self._params.wrong("sos_token", f"is {start}, and the start token of prior:gpt is 0")
        return Condition((), "none") if self._length is None else self._stated()

    def _stated(self) -> Condition:
        length = self._length or 0
        return Condition((ConditionPart("condition", self._vocabulary, (length,)),) if length else (), "" if length else "none")

    def _by_the_first_stage(self, space: CodeSpace, first_stage: TokenizerReader | None) -> Condition | None:
        for name, value in self._tensors.items():
            if name.startswith(PREFIX):
                other = self._tensors.get(f"{FIRST_STAGE}{name.removeprefix(PREFIX)}")
                if other is None or other.shape != value.shape or not torch.equal(other, value):
                    self._unknown.append(name)
                else:
                    self._dropped[name] = _SAME
        factor = first_stage.settings.factor if first_stage and first_stage.settings else 1
        grid = self._grid(space, factor, factor)
        return Condition((ConditionPart("condition", space.vocab_size, grid),), "", None, first_stage=True) if grid else None

    def _by_a_stage(self, section: Section, space: CodeSpace, first_stage: TokenizerReader | None) -> Condition | None:
        target = section.text("target")
        name, params = class_name(target), section.section("params")
        if name == "SOSProvider":
            return self._unconditional()
        if name == "DummyCondStage":
            if self._length is None:
                section.wrong("", "does not say how many tokens the condition has", "state it with --condition-length")
                return None
            return self._stated()
        if name not in _KNOWN:
            section.wrong(
                "target", f"there is no conditional stage {target}", f"those that can be read are {', '.join(_KNOWN)}"
            )
            return None
        if name == "Labelator":
            return Condition((ConditionPart("class", params.integer("n_classes")),), "class")
        side = first_stage.settings.factor if first_stage and first_stage.settings else None
        if name == "CoordStage":
            factor = params.integer("down_factor")
            grid = self._grid(space, side or factor, factor)
            return Condition((ConditionPart("coordinates", params.integer("n_embed"), grid),), "coordinates") if grid else None
        reader = TokenizerReader(section, self._tensors, PREFIX, self._dropped, self._unknown)
        if reader.settings is None:
            return None
        grid = self._grid(space, side or reader.settings.factor, reader.settings.factor)
        key = self._params.text("cond_stage_key", "depth")
        # The published tokenizer of S-FLCKR's segmentations is of the class for images.
        conditioner = "segmentation" if name == "VQSegmentationModel" else key if key in _SPATIAL else ""
        part = ConditionPart(key, reader.settings.config["codebook_size"], grid)
        return Condition((part,), conditioner, reader.read(), notes=tuple(reader.settings.notes)) if grid else None

    def _grid(self, space: CodeSpace, first: int, own: int) -> tuple[int, ...] | None:
        """The condition's grid where the codes' square of pixels has the side ``first`` and the condition's own ``own``."""
        smaller = self._params.value("downsample_cond_size")
        sides = [side * first for side in space.grids[0]]
        if isinstance(smaller, int) and smaller > 0:
            sides = [smaller] * len(sides)
        if any(side % own for side in sides):
            self._params.wrong(
                "cond_stage_config", f"sides of {' and '.join(map(str, sides))} pixels are not divisible by {own}"
            )
            return None
        return tuple(side // own for side in sides)


def write_condition(
    prior: CheckpointPrior, tokenizer: CheckpointTokenizer | None, first_stage: CheckpointTokenizer | None
) -> tuple[dict[str, Tensor], Any, int | None]:
    """Tensors and configuration of a conditional stage, and P where the configuration does not say it.

    Raises:
        TamingplatError: The reference has no such condition.
    """
    layout = prior.layout
    if not layout:
        return {}, _UNCONDITIONAL, None
    if len(layout) > 1:
        names = ", ".join(part.name for part in layout)
        raise TamingplatError(f"the reference implementation has one condition at a time, and this prior has {names}")
    part = layout[0]
    if tokenizer is not None and tokenizer is first_stage:
        tensors, _ = write_tokenizer(tokenizer, PREFIX)
        return tensors, _FIRST_STAGE, None
    if tokenizer is not None:
        tensors, table = write_tokenizer(tokenizer, PREFIX)
        return tensors, table, None
    if prior.conditioner == "class":
        return {}, {"target": "taming.modules.util.Labelator", "params": {"n_classes": part.vocab_size}}, None
    if prior.conditioner == "coordinates" and part.grid is not None:
        side = int(first_stage.config["downsampling"]) if first_stage is not None else 0
        factor = (prior.space.grids[0][0] << side) // part.grid[0]
        params = {"n_embed": part.vocab_size, "down_factor": factor}
        return {}, {"target": "taming.modules.misc.coord.CoordStage", "params": params}, None
    if prior.conditioner:
        raise TamingplatError(f"the reference implementation has no condition like {prior.conditioner}")
    dummy = {"target": "taming.models.dummy_cond_stage.DummyCondStage", "params": {"conditional_key": part.name}}
    return {}, dummy, part.length
