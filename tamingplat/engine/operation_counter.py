"""Counting the operations of what is run on the meta device, without working out the same shapes again and again."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor
from torch._ops import OpOverload
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import flop_registry

from tamingplat.engine.flops import FUSED_ATTENTION

_PLAIN = (int, float, bool, str, torch.dtype, torch.device, torch.layout, torch.memory_format, type(None))


class _UnknownError(Exception):
    """Of such a value nothing is remembered."""


@dataclass(frozen=True)
class _Outcome:
    """What an operation gave, and how many floating-point operations it was."""

    result: Any
    flops: int


@dataclass
class KnownOperations:
    """What operations on meta tensors of certain shapes gave. Models repeat their layers, and working a shape out is slow."""

    outcomes: dict[Hashable, _Outcome] = field(default_factory=dict)
    functional: dict[OpOverload, bool] = field(default_factory=dict)


class OperationCounter(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Counts operations as FlopMeter does, in total alone; PyTorch's own counter also counts by module, and is slow.

    Args:
        known: Taken from and added to; may be shared by counters.
    """

    def __init__(self, known: KnownOperations) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.total = 0
        self._known = known

    def __torch_dispatch__(
        self, func: OpOverload, types: Iterable[type], args: tuple[Any, ...] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        """Carry out one operation, and count it."""
        kwargs = kwargs or {}
        key = self._key(func, args, kwargs)
        found = None if key is None else self._known.outcomes.get(key)
        if found is not None:
            self.total += found.flops
            return _again(found.result)
        result = func(*args, **kwargs)
        flops = _operations(func, args, kwargs, result)
        if key is not None and _all_meta(result):
            self._known.outcomes[key] = _Outcome(_remembered(result), flops)
        self.total += flops
        return result

    def _key(self, func: OpOverload, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Hashable:
        """What an operation's outcome is known by; ``None`` where it cannot be."""
        functional = self._known.functional.get(func)
        if functional is None:
            functional = self._known.functional[func] = _is_functional(func)
        if not functional:
            return None
        try:
            return func, _signature(args), _signature(kwargs)
        except _UnknownError:
            return None


def _operations(func: OpOverload, args: tuple[Any, ...], kwargs: Mapping[str, Any], result: Any) -> int:
    packet = func._overloadpacket
    if (of_shapes := FUSED_ATTENTION.get(packet)) is not None:
        return of_shapes(*(value.shape if isinstance(value, Tensor) else value for value in args))
    formula: Callable[..., int] | None = flop_registry.get(packet)
    return 0 if formula is None else formula(*args, **kwargs, out_val=result)


def _is_functional(func: OpOverload) -> bool:
    """Whether it writes to nothing that it is given, and returns no view of it."""
    schema = func._schema
    return all(value.alias_info is None for value in (*schema.arguments, *schema.returns))


def _all_meta(result: Any) -> bool:
    tensors = result if isinstance(result, list | tuple) else (result,)
    return all(tensor is None or (isinstance(tensor, Tensor) and tensor.is_meta) for tensor in tensors)


def _signature(value: Any) -> Hashable:
    """All that a result's shape can depend on."""
    if isinstance(value, Tensor):
        if not value.is_meta:
            raise _UnknownError
        return value.shape, value.stride(), value.dtype
    if isinstance(value, _PLAIN):
        return type(value), value
    if isinstance(value, list | tuple):
        return tuple(map(_signature, value))
    if isinstance(value, Mapping):
        return tuple((name, _signature(item)) for name, item in value.items())
    raise _UnknownError


def _remembered(result: Any) -> Any:
    if isinstance(result, Tensor):
        return result.shape, result.stride(), result.dtype
    if isinstance(result, list | tuple):
        return [_remembered(item) for item in result]
    return None


def _again(remembered: Any) -> Any:
    if isinstance(remembered, tuple):
        shape, stride, dtype = remembered
        return torch.empty_strided(shape, stride, dtype=dtype, device="meta")
    if isinstance(remembered, list):
        return tuple(map(_again, remembered))
    return None
