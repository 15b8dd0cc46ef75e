"""What the kit knows of a kind of component."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from tamingplat.interfaces import Config
from tamingplat.testing.subject import Subject
from tamingplat.testing.verdicts import Promise, promise_of

Check = Callable[[Subject], None]


@dataclass(frozen=True, kw_only=True)
class KindOfComponent:
    """A kind.

    Attributes:
        promises: What every component of the kind promises, in the order in which it is examined.
        make: Builds a component of its class, settings and parts.
        result: What a built component makes of the kit's inputs.
        trained: Whether it has parameters that are trained.
    """

    promises: tuple[Promise, ...]
    make: Callable[[Subject, Any, Config, Mapping[str, Any]], Any]
    result: Callable[[Subject, Any], list[Tensor]]
    trained: bool = False


def make_plainly(subject: Subject, cls: Any, config: Config, parts: Mapping[str, Any]) -> Any:
    """Build a component that takes nothing but its settings and its parts."""
    return cls(config, parts)


def promises_of(*groups: Sequence[Check]) -> tuple[Promise, ...]:
    """Functions as promises, in order."""
    promises = tuple(promise_of(check) for group in groups for check in group)
    assert len({promise.name for promise in promises}) == len(promises), "two promises have one name"
    return promises


def close(seen: Tensor, expected: Tensor, tolerance: float) -> bool:
    """Whether tensors are equal up to ``tolerance`` relative to 1 + the value."""
    if seen.shape != expected.shape or seen.dtype != expected.dtype:
        return False
    seen, expected = seen.double(), expected.double()
    return bool(((seen - expected).abs() <= tolerance * (1 + expected.abs())).all())


def difference(seen: Tensor, expected: Tensor) -> str:
    """How two tensors differ, in words."""
    if seen.shape != expected.shape or seen.dtype != expected.dtype:
        return f"{seen.dtype} {tuple(seen.shape)} and not {expected.dtype} {tuple(expected.shape)}"
    unequal = int((seen != expected).sum())
    largest = float((seen.double() - expected.double()).abs().max()) if unequal else 0.0
    return f"{unequal} of {seen.numel()} numbers differ, by up to {largest:.3g}"


def check_same(seen: Sequence[Tensor], expected: Sequence[Tensor], what: str, look: str) -> None:
    """Hold two results to be the same, bit by bit."""
    import torch

    for one, other in zip(seen, expected, strict=True):
        assert torch.equal(one, other) and one.dtype == other.dtype, f"{what}: {difference(one, other)}. Look {look}"


def check_refusal(reason: object, of: str) -> None:
    """Hold a refusal to be ``None`` or a sentence."""
    assert reason is None or (isinstance(reason, str) and reason.strip()), (
        f"refusal gives None or a sentence with the remedy: of {of} it gives {reason!r}. Look at what refusal returns"
    )
