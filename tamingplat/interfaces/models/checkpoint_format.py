"""Checkpoint formats: how others write models to files, in terms of the components that can hold them.

A format is pure data: it renames tensors and translates settings, and builds nothing. What reads files, builds components,
compares tensors with them and writes to a store is not its business.

Shape letters: N code positions, P condition positions.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from torch import Tensor

from tamingplat.interfaces.config import Config
from tamingplat.interfaces.spaces import CodeSpace, ConditionLayout


@dataclass(frozen=True, kw_only=True)
class CheckpointModel:
    """One model of a checkpoint.

    Attributes:
        component: Name of the component that holds it.
        config: The component's settings, as JSON knows them. Those that are left out have their defaults.
        tensors: By the names of the component's own state.
        prefix: What comes before those names in the file.
        renamed: Names of the file, prefix included, of tensors that have another name in it than ``prefix`` and their own.
        changed: When written: the settings of ``config``, which then has all of them, that differ from their defaults.
    """

    component: str
    config: Mapping[str, Any]
    tensors: Mapping[str, Tensor]
    prefix: str = ""
    renamed: Mapping[str, str] = field(default_factory=dict)
    changed: frozenset[str] = frozenset()

    def file_name(self, name: str) -> str:
        """What a tensor of the component's state is called in the file."""
        return self.renamed.get(name, f"{self.prefix}{name}")


@dataclass(frozen=True, kw_only=True)
class CheckpointTokenizer(CheckpointModel):
    """A tokenizer.

    Attributes:
        image_size: Height and width of the images that it was made for, in pixels.
        channels: Their channels.
    """

    image_size: tuple[int, int]
    channels: int


@dataclass(frozen=True, kw_only=True)
class CheckpointPrior(CheckpointModel):
    """A prior.

    Attributes:
        space: The codes.
        layout: The parts of its condition. A vocabulary need not have room for the null index, if no condition was dropped.
        conditioner: Name of the conditioner that gives the condition; empty where that is unknown.
        ordering: Name of the ordering that it was trained under; empty where ``order`` alone says it.
        order: int64 (N,), the position visited at each time; ``None`` where ``ordering`` says it. Always there when written.
    """

    space: CodeSpace
    layout: ConditionLayout
    conditioner: str
    ordering: str
    order: Tensor | None = None


@dataclass(frozen=True, kw_only=True)
class CheckpointModels:
    """The models of one checkpoint: a tokenizer alone, or a prior with what came with it.

    Attributes:
        tokenizer: The tokenizer, or the one that gives the prior's codes; ``None`` where the checkpoint lacks it.
        prior: The prior.
        condition_tokenizer: The tokenizer that gives the prior's condition, where it has one of its own. The same object as
            ``tokenizer`` where one does both.
        dropped: Names of the file that are of no use, each with the reason.
        unknown: Names of the file that belong to nothing that is known.
        notes: What a person should know, such as settings that were left aside.
        information: What the configuration says and no component has a setting for, as JSON knows it.
    """

    tokenizer: CheckpointTokenizer | None = None
    prior: CheckpointPrior | None = None
    condition_tokenizer: CheckpointTokenizer | None = None
    dropped: Mapping[str, str] = field(default_factory=dict)
    unknown: Sequence[str] = ()
    notes: Sequence[str] = ()
    information: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class CheckpointRequest:
    """A checkpoint that is to be read.

    Attributes:
        tensors: Its state dict.
        configuration: What stands in its configuration file.
        codes: Shape of the code grid, where the user gives it.
        condition_length: P, where the user gives it.
    """

    tensors: Mapping[str, Tensor]
    configuration: Mapping[str, Any]
    codes: tuple[int, ...] | None = None
    condition_length: int | None = None


class CheckpointFormat(ABC):
    """One way of writing models to files. Every name of a file is in a model's tensors, dropped with a reason, or unknown."""

    def __init__(self, config: Config, parts: Mapping[str, Any]) -> None:
        self.config = config

    @abstractmethod
    def read(self, request: CheckpointRequest) -> CheckpointModels:
        """The models of a checkpoint. Sizes are not compared with components here.

        Raises:
            ProblemsError: The configuration is of no model that a component can hold, with every reason; places begin with the
                names of the configuration's fields.
        """

    @abstractmethod
    def write(self, models: CheckpointModels) -> tuple[dict[str, Tensor], dict[str, Any]]:
        """A state dict and a configuration as JSON knows it, from which ``read`` makes the same models again.

        Raises:
            TamingplatError: The format has no such model.
        """
