"""What is to be examined, as its author says it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from torch import Tensor

    from tamingplat.interfaces import CodeSpace, DatasetInfo
    from tamingplat.interfaces.models import CheckpointRequest


@dataclass(frozen=True, kw_only=True)
class Request:
    """A component with the settings under which it is examined.

    Attributes:
        reference: ``kind:name``.
        config: Its settings; what is left out has its default. Small ones keep the examination short.
        parts: Built objects in place of what its ``Ref`` settings name, by the field's name, as the component gets them.
        known: Promises that it is known to break, each with the reason. One that it keeps is an error.
        image_size: Height and width in pixels. ``None`` takes the first of several sizes that it does not refuse.
        channels: Of the images; 3 where ``None``, or 1 where 3 are refused.
        spaces: For priors, orderings and samplers: code spaces in place of the kit's own.
        columns: For tokenizers and conditioners: a batch in place of random images and columns, as they get it.
        info: For conditioners and metrics: the dataset.
        checkpoint: For checkpoint formats: a checkpoint in the format.
        plugin: Where the component comes from if it is not installed: the module with the hooks, or its name.
    """

    reference: str
    config: Mapping[str, Any] = field(default_factory=dict)
    parts: Mapping[str, Any] = field(default_factory=dict)
    known: Mapping[str, str] = field(default_factory=dict)
    image_size: tuple[int, int] | None = None
    channels: int | None = None
    spaces: Sequence[CodeSpace] | None = None
    columns: Mapping[str, Tensor] | None = None
    info: DatasetInfo | None = None
    checkpoint: CheckpointRequest | None = None
    plugin: object | None = None
