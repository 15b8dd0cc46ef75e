"""Models without memory for their weights: enough to ask them for sizes, codes and parameters."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor
from torch.nn import init
from torch.overrides import TorchFunctionMode

_FILLING = frozenset(
    {Tensor.normal_, Tensor.uniform_, Tensor.zero_, Tensor.fill_, Tensor.random_}
    # What these do is not seen, but that they were called.
    | {init.normal_, init.uniform_, init.constant_, init.kaiming_uniform_}
)


class _WithoutFilling(TorchFunctionMode):
    """Leaves out what would fill tensors that hold nothing. It takes a large model's constructor most of its time.

    It sees functions and not, as a ``TorchDispatchMode`` would, operations: the first of these to be entered imports PyTorch's
    compiler, for seconds.
    """

    def __torch_function__(
        self, func: Any, types: Iterable[type], args: tuple[Any, ...] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        """Carry out one function."""
        kwargs = kwargs or {}
        if func in _FILLING:
            filled: Tensor = args[0] if args else kwargs["tensor"]
            if filled.is_meta:
                return filled
        return func(*args, **kwargs)


@contextmanager
def without_memory() -> Iterator[None]:
    """Models that are made inside are on the meta device."""
    with torch.device("meta"), _WithoutFilling():
        yield
