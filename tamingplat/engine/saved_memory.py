"""Memory that a forward pass keeps for the backward pass."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

import torch
from torch import Tensor


class _Kept:
    """A tensor that a graph keeps; its bytes are given back when the graph lets go of it."""

    def __init__(self, tensor: Tensor, memory: SavedMemory) -> None:
        self.tensor = tensor
        self._memory = memory

    def __del__(self) -> None:
        self._memory.release(self.tensor)


class SavedMemory:
    """Counts the bytes that are kept for gradients. Tensors that share memory count once, and ``besides`` not at all.

    Attributes:
        peak: The most bytes that were kept at once.
    """

    def __init__(self, besides: Iterable[Tensor]) -> None:
        self.peak = 0
        self._now = 0
        self._uses: Counter[int] = Counter()
        self._besides = {_memory_of(tensor) for tensor in besides}

    @contextmanager
    def counting(self) -> Iterator[None]:
        """Count what is kept inside."""
        with torch.autograd.graph.saved_tensors_hooks(self._keep, _give):
            yield

    def _keep(self, tensor: Tensor) -> Tensor | _Kept:
        memory = _memory_of(tensor)
        if memory in self._besides:
            return tensor
        if not self._uses[memory]:
            self._now += tensor.untyped_storage().nbytes()
            self.peak = max(self.peak, self._now)
        self._uses[memory] += 1
        # Detached: a node's own result would otherwise keep the node alive that keeps it.
        return _Kept(tensor.detach(), self)

    def release(self, tensor: Tensor) -> None:
        """One user of a tensor's memory less."""
        memory = _memory_of(tensor)
        self._uses[memory] -= 1
        if not self._uses[memory]:
            del self._uses[memory]
            self._now -= tensor.untyped_storage().nbytes()


def _give(kept: Tensor | _Kept) -> Tensor:
    return kept.tensor if isinstance(kept, _Kept) else kept


def _memory_of(tensor: Tensor) -> int:
    return int(tensor.untyped_storage()._cdata)
