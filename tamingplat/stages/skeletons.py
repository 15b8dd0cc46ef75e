"""Models without memory for their weights: enough to ask them for sizes, codes and parameters."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode

_aten = torch.ops.aten
_FILLING = frozenset(
    {_aten.normal_.default, _aten.uniform_.default, _aten.zero_.default, _aten.fill_.Scalar, _aten.random_.default}
)


class _WithoutFilling(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Leaves out what would fill tensors that hold nothing. It takes a large model's constructor most of its time."""

    def __torch_dispatch__(
        self, func: Any, types: Iterable[type], args: tuple[Any, ...] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        """Carry out one operation."""
        if func in _FILLING and args[0].is_meta:
            return args[0]
        return func(*args, **(kwargs or {}))


@contextmanager
def without_memory() -> Iterator[None]:
    """Models that are made inside are on the meta device."""
    with torch.device("meta"), _WithoutFilling():  # type: ignore[no-untyped-call]
        yield
