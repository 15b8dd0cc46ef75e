"""The vectors that a training step quantized, over all its parts and all processes.

Shape letters: D embedding, K codes, M vectors of a part of this process, R rows that are asked for.
"""

from __future__ import annotations

import torch
from torch import Tensor

from tamingplat.interfaces.models import process_count, process_index, sum_over_processes

# Vectors that clusters are looked for in, at most, unless there are more codes: the clusters of more are hardly better.
_SAMPLE = 2**16


class StepVectors:
    """Collects vectors and their codes during a step.

    All parts of a step, in all processes, have equally many vectors. Rows are numbered as one process with the whole batch
    would: by part, then by process, then as they lie in the part.

    Args:
        step: Number of the step.
        codes: K.
        like: float32 (M, D), vectors of the step, for size and device.
        keeping: Whether ``rows`` and ``sample`` will be asked for.
        summing: Whether ``sums`` will; it is empty otherwise.

    Attributes:
        counts: float32 (K,), how many vectors of this process have each code.
        sums: float32 (K, D), their sums.
    """

    def __init__(self, step: int, codes: int, like: Tensor, *, keeping: bool, summing: bool) -> None:
        self.step = step
        self.keeping = keeping
        self.summing = summing
        self.counts = torch.zeros(codes, device=like.device)
        self.sums = torch.zeros(codes if summing else 0, like.shape[1], device=like.device)
        self._parts: list[Tensor] = []

    def add(self, vectors: Tensor, codes: Tensor) -> None:
        """Take a part in, float32 (M, D), and its codes, int64 (M,)."""
        self.counts.index_add_(0, codes, torch.ones_like(codes, dtype=self.counts.dtype))
        if self.summing:
            self.sums.index_add_(0, codes, vectors)
        if self.keeping:
            assert not self._parts or len(self._parts[0]) == len(vectors), "the parts of a step differ in size"
            self._parts.append(vectors)

    @property
    def total(self) -> int:
        """How many vectors there are, over all parts and processes."""
        return sum(map(len, self._parts)) * process_count()

    def rows(self, indices: Tensor) -> Tensor:
        """Vectors by their numbers, int64 (R,) and the same on every process, as float32 (R, D)."""
        size, processes = len(self._parts[0]), process_count()
        own = torch.cat(self._parts)
        part, process, place = indices // (size * processes), indices // size % processes, indices % size
        here = (process == process_index())[:, None]
        return sum_over_processes(torch.where(here, own[part * size + place], 0.0))

    def sample(self, generator: torch.Generator) -> Tensor:
        """All vectors, or 65536 of them drawn at random where there are more (twice the codes where those are many)."""
        most = max(_SAMPLE, 2 * len(self.counts))
        device = self.counts.device
        if self.total <= most:
            return self.rows(torch.arange(self.total, device=device))
        return self.rows(torch.randperm(self.total, generator=generator, device=device)[:most])
