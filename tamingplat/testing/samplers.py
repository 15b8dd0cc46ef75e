"""Promises of every sampler.

Shape letters: B batch, N code positions, V vocabulary.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from tamingplat.interfaces.models import Sampler, SampleRequest


def check_batch_independence(
    sampler: Sampler,
    make_request: Callable[[Tensor], SampleRequest],
    *,
    count: int = 32,
    batch_sizes: Sequence[int] = (1, 7, 32),
) -> Tensor:
    """Sample i is the same in batches of every size.

    Args:
        sampler: What is checked.
        make_request: Gives the request of some sample numbers, int64 (B,); its prior is float64, so that rounding, which may
            depend on the batch, does not reach the codes.
        count: How many samples are drawn.
        batch_sizes: In batches of which sizes.

    Returns:
        The codes, int64 (count, N).
    """
    drawn = {}
    for size in batch_sizes:
        batches = [torch.arange(start, min(start + size, count)) for start in range(0, count, size)]
        drawn[size] = torch.cat([sampler.sample(make_request(indices)) for indices in batches])
    first = drawn[batch_sizes[0]]
    for size, codes in drawn.items():
        rows = (codes != first).any(1).nonzero().flatten().tolist()
        assert not rows, (
            f"Samples do not depend on their batch: in batches of {size} samples {rows} differ from those in batches of "
            f"{batch_sizes[0]}. Look for noise that is not addressed by (seed, sample, position), and for anything computed "
            "over the batch"
        )
    return first


def check_fills_every_position(sampler: Sampler, request: SampleRequest) -> None:
    """Codes are int64 (B, N) in [0, V); every position is drawn; and what is given is kept.

    Args:
        sampler: What is checked.
        request: Of some dozens of samples without given codes, from a prior that is nearly uniform, as one with random weights
            is: each position then takes more than one code.
    """
    assert request.given is None, "this check gives codes itself"
    codes = sampler.sample(request)
    batch, length = request.plan.order.shape
    vocab_size = request.space.vocab_size
    assert codes.dtype == torch.int64 and codes.shape == (batch, length), (
        f"Samples are int64 (B, N) = ({batch}, {length}): they are {codes.dtype} {tuple(codes.shape)}"
    )
    assert int(codes.min()) >= 0 and int(codes.max()) < vocab_size, (
        f"Codes lie in [0, {vocab_size}): they lie in [{int(codes.min())}, {int(codes.max())}]"
    )
    constant = (codes == codes[:1]).all(0).nonzero().flatten().tolist()
    assert not constant, (
        f"Every position is drawn: positions {constant} hold the same code in all {batch} samples. Look at the steps of "
        "the plan"
    )
    half = int(request.plan.sizes[: (len(request.plan.sizes) + 1) // 2].sum())
    mask = torch.zeros_like(codes, dtype=torch.bool).scatter_(1, request.plan.order[:, :half], True)
    given = (codes + 1) % vocab_size
    completed = sampler.sample(dataclasses.replace(request, given=(given, mask)))
    assert torch.equal(completed[mask], given[mask]), "Given codes are kept: some were drawn anew. Look at how given enters"
    rest = completed.masked_fill(mask, -1)
    constant = ((rest == rest[:1]).all(0) & ~mask.all(0)).nonzero().flatten().tolist()
    assert not constant, (
        f"What is not given is drawn: positions {constant} hold the same code in all {batch} samples. Look at where "
        "drawing begins"
    )
