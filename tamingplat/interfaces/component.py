"""What a plugin says about a component before anything heavy is imported."""

from __future__ import annotations

import re
from dataclasses import dataclass

from tamingplat.interfaces.config import Config, NoConfig
from tamingplat.interfaces.kinds import KINDS, Kind
from tamingplat.interfaces.training import TrainingSettings
from tamingplat.interfaces.versions import Interface

_NAME = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")
_TARGET = re.compile(r"[A-Za-z_][\w.]*:[A-Za-z_]\w*")


@dataclass(frozen=True, kw_only=True)
class Component:
    """One tokenizer, prior, ordering, … that a plugin offers.

    Attributes:
        kind: What it is; decides which interface its class has to implement.
        name: Lower-case words joined by hyphens, unique within the kind.
        factory: ``module:object`` of the class, imported only when the component is built.
        summary: One line for listings.
        config: Settings class.
        revision: Raised when a fix changes results; part of every content key.
        paper: Address of the publication that it implements, if any.
        family: Components with the same family share weights or training data. A metric whose network has the family
            of a tokenizer's loss is marked "trained on" and is not ranked.
        training: Defaults of the ``train`` block, for what is trained.
        illustration: ``module:function`` that imports no torch and returns a picture in text, for ``plugins show``.
        interface: The version of the interfaces that it supports, or the oldest and the newest: ``(1, 2)``.

    Raises:
        ValueError: An attribute is malformed; the message names the component.
    """

    kind: Kind
    name: str
    factory: str
    summary: str
    config: type[Config] = NoConfig
    revision: int = 1
    paper: str = ""
    family: str = ""
    training: TrainingSettings | None = None
    illustration: str = ""
    interface: Interface = 1

    def __post_init__(self) -> None:
        label = f"component {self.kind}:{self.name}"
        if self.kind not in KINDS:
            raise ValueError(f"{label}: unknown kind; the kinds are {', '.join(KINDS)}")
        if not _NAME.fullmatch(self.name):
            raise ValueError(f"{label}: a name is lower-case letters and digits, joined by single hyphens")
        for field, target in (("factory", self.factory), ("illustration", self.illustration)):
            if (target or field == "factory") and not _TARGET.fullmatch(target):
                raise ValueError(f"{label}: {field} must read 'module:object', not {target!r}")
        if not (isinstance(self.config, type) and issubclass(self.config, Config)):
            raise ValueError(f"{label}: config must be a subclass of tamingplat.interfaces.Config")
        if not self.summary.strip() or "\n" in self.summary:
            raise ValueError(f"{label}: summary must be one line")
        if self.revision < 1:
            raise ValueError(f"{label}: revision starts at 1")
        undescribed = [name for name, field in self.config.model_fields.items() if not field.description]
        if undescribed:
            raise ValueError(f"{label}: fields without a description: {', '.join(undescribed)}")

    @property
    def reference(self) -> str:
        """``kind:name``, as registry.toml and the command line write it."""
        return f"{self.kind}:{self.name}"
