"""What a pickle that is read without executing anything from it is made of."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch


class Inert:
    """Accepts whatever a pickle does to an object, and does nothing."""

    __slots__ = ()

    def __setstate__(*arguments: Any) -> None:
        """Forgets the state; also when it is handed to the class itself."""

    def __setitem__(*arguments: Any) -> None:
        """Forgets an item."""

    def append(*arguments: Any) -> None:
        """Forgets an element."""

    def extend(*arguments: Any) -> None:
        """Forgets elements."""

    def add(*arguments: Any) -> None:
        """Forgets an element."""


class Placeholder(Inert):
    """Stands for an object of a class that was not looked for. Each name in a pickle has a class of its own below this one."""

    __slots__ = ()

    def __new__(cls, *arguments: Any, **named: Any) -> Placeholder:
        """An object that knows nothing of its arguments."""
        return super().__new__(cls)


@dataclass(frozen=True)
class StorageType(Inert):
    """Which numbers a storage holds."""

    dtype: torch.dtype


@dataclass(frozen=True)
class StorageReference(Inert):
    """Memory that lies outside the pickle.

    Attributes:
        key: Its name in the file.
        dtype: Of its numbers.
        numel: How many it is said to have.
        start: First number of a part of it that is meant, in files of the legacy format.
    """

    key: str
    dtype: torch.dtype
    numel: int
    start: int = 0


@dataclass(frozen=True)
class TensorReference(Inert):
    """A tensor as the file describes it. Nothing is known to be true of it but the types of its attributes."""

    storage: StorageReference
    offset: int
    size: tuple[int, ...]
    stride: tuple[int, ...]
    dtype: torch.dtype
