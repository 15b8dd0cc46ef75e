"""Promises of every prior: plain functions that raise ``AssertionError`` with what was promised, what was seen, where to look.

Shape letters: B batch, N code positions, V vocabulary, P condition positions, S steps, T visited, K targets.
"""

from __future__ import annotations

import copy
import itertools
from itertools import accumulate, pairwise

import torch
from torch import Tensor

from tamingplat.interfaces import CodeSpace
from tamingplat.interfaces.models import Prior, PriorState, VisitPlan
from tamingplat.testing.inputs import other_codes


def _steps(plan: VisitPlan) -> list[tuple[int, int]]:
    """First and last time of every step."""
    return list(pairwise([0, *accumulate(plan.sizes.tolist())]))


def _hide(codes: Tensor, visited: Tensor, vocab_size: int, seed: int) -> Tensor:
    """The codes with others written wherever a row has not visited yet; ``visited`` is int64 (B, T)."""
    seen = torch.zeros_like(codes, dtype=torch.bool).scatter_(1, visited, True)
    return torch.where(seen, codes, other_codes(codes, vocab_size, seed=seed))


def _sizes(prior: Prior, plan: VisitPlan) -> Tensor | None:
    """What a prior is told, as samplers tell it, of how many positions are visited together, where these are several."""
    return plan.sizes if prior.grouped and int(plan.sizes.max()) > 1 else None


def _assert_close(promise: str, look: str, seen: Tensor, expected: Tensor, tolerance: float) -> None:
    difference = (seen.double() - expected.double()).abs()
    allowed = tolerance * (1 + expected.double().abs())
    assert bool((difference <= allowed).all()), (
        f"{promise}: the largest difference is {float(difference.max()):.3g}, "
        f"at {(difference - allowed).nan_to_num(torch.inf).flatten().argmax().item()} of shape {tuple(expected.shape)}, and "
        f"{tolerance:.3g} relative to 1 + the value is allowed. Look at {look}"
    )


@torch.no_grad()
def check_chain_rule(
    prior: Prior, space: CodeSpace, codes: Tensor, condition: Tensor, plan: VisitPlan, *, tolerance: float = 1e-5
) -> None:
    """``logits`` step by step, with noise written into positions that are not visited, gives ``nll`` at every position.

    It is checked with and without incremental state, so that both ways of decoding sample the distribution that is scored.

    Args:
        prior: In eval mode.
        space: The codes it models; V of two or more.
        codes: int64 (B, N).
        condition: int64 (B, P).
        plan: Visiting plan of B rows.
        tolerance: Allowed difference relative to 1 + the value.
    """
    expected = prior.nll(codes, condition, plan)
    assert expected.shape == codes.shape and expected.dtype.itemsize >= 4, (
        f"nll is float (B, N), at least float32: it is {expected.dtype} {tuple(expected.shape)}. Look at nll's last lines"
    )
    for incremental in (True, False):
        seen, state = torch.full_like(expected, torch.nan), None
        for step, (start, stop) in enumerate(_steps(plan)):
            visited, targets = plan.order[:, :start], plan.order[:, start:stop]
            noisy = _hide(codes, visited, space.vocab_size, seed=step)
            kept: PriorState | None = state if incremental else None
            logits, state = prior.logits(noisy, visited, targets, condition, state=kept, sizes=_sizes(prior, plan))
            assert logits.shape == (*targets.shape, space.vocab_size), (
                f"logits are (B, K, V) = {(*targets.shape, space.vocab_size)}: they are {tuple(logits.shape)}"
            )
            true = codes.gather(1, targets)[..., None]
            seen.scatter_(1, targets, -logits.log_softmax(-1).gather(-1, true)[..., 0].to(seen.dtype))
        way = "with incremental state" if incremental else "without state"
        _assert_close(
            f"The chain rule: logits step by step, {way}, give nll",
            "the order in which nll returns positions, which must be canonical; at what a step reads besides visited "
            "codes; and at the state's bookkeeping, if it holds without state",
            seen,
            expected,
            tolerance,
        )


@torch.no_grad()
def check_incremental(
    prior: Prior, space: CodeSpace, codes: Tensor, condition: Tensor, plan: VisitPlan, *, tolerance: float = 1e-5
) -> None:
    """Logits from a state that is extended by one, two, three, … steps at once equal those computed afresh.

    Arguments as above.
    """
    steps = _steps(plan)
    state: PriorState | None = None
    reached, stride = 0, 0
    while reached < len(steps):
        start, stop = steps[reached]
        visited, targets = plan.order[:, :start], plan.order[:, start:stop]
        noisy = _hide(codes, visited, space.vocab_size, seed=reached)
        extended, state = prior.logits(noisy, visited, targets, condition, state=state, sizes=_sizes(prior, plan))
        afresh, _ = prior.logits(noisy, visited, targets, condition, sizes=_sizes(prior, plan))
        _assert_close(
            f"Incremental decoding: logits after {start} positions, the last {stride} steps at once, equal those without state",
            "what the state keeps of earlier positions, and at the mask of several new ones",
            extended,
            afresh,
            tolerance,
        )
        stride += 1
        reached += stride


@torch.no_grad()
def check_state_rows(
    prior: Prior, space: CodeSpace, codes: Tensor, condition: Tensor, plan: VisitPlan, *, tolerance: float = 1e-5
) -> None:
    """Rows leave and join a batch: states of different lengths, joined by ``cat``, picked by ``select``, then extended.

    Arguments as above, with B of two or more and a plan that visits one position at a step.
    """
    assert len(plan.sizes) == space.length, "this check is for plans that visit one position at a step"
    batch, last = len(codes), space.length - 1
    # Rows begin with 1, 3, 5, … visited positions; then each goes on by one or two, and by two or three more.
    reached = [(1 + 2 * row) % max(1, space.length - 3) for row in range(batch)]
    states = []
    for row, length in enumerate(reached):
        one = slice(row, row + 1)
        _, state = prior.logits(codes[one], plan.order[one, :length], plan.order[one, length : length + 1], condition[one])
        states.append(state)
    state = type(states[0]).cat(states)
    rows = torch.tensor([*reversed(range(batch)), 0], device=codes.device)
    for extra in (1, 2):
        state = state.select(rows)
        codes, condition = codes[rows], condition[rows]
        plan = VisitPlan(plan.order[rows], plan.sizes, plan.shared)
        reached = [min(reached[row] + extra + at % 2, last) for at, row in enumerate(rows.tolist())]
        lengths = torch.tensor(reached, device=codes.device)
        visited, targets = plan.order[:, : max(reached)], plan.order.gather(1, lengths[:, None])
        seen, state = prior.logits(codes, visited, targets, condition, lengths=lengths, state=state)
        expected = [
            prior.logits(codes[r : r + 1], visited[r : r + 1, :length], targets[r : r + 1], condition[r : r + 1])[0]
            for r, length in enumerate(reached)
        ]
        _assert_close(
            f"State rows: rows of lengths {reached}, after cat and select, have the logits of each row alone",
            "state.select and state.cat, and at how lengths enter positions and masks",
            seen,
            torch.cat(expected),
            tolerance,
        )
        rows = torch.tensor([1, *range(len(reached))], device=codes.device)


@torch.no_grad()
def check_no_leakage(
    prior: Prior, space: CodeSpace, codes: Tensor, condition: Tensor, plan: VisitPlan, *, draws: int = 3
) -> None:
    """What is not visited yet has no influence at all: logits are bitwise equal, in float64 on the CPU, without tolerance.

    One forward of fixed shape holds a row for every step, each with the whole order as ``visited`` and its own length; codes
    that the row has not visited are then changed. In ``nll``, a code that is changed leaves all positions of earlier steps,
    and the others of its own, bitwise as they were. Arguments as above; the first row of codes, condition and plan is used.
    """
    prior = copy.deepcopy(prior).cpu().double().eval()
    plan = VisitPlan(plan.order[:1].cpu(), plan.sizes.cpu(), shared=True)
    codes, condition = codes[:1].cpu(), condition[:1].cpu()
    steps = _steps(plan)
    # Rows of one call have equally many targets.
    for size in sorted({stop - start for start, stop in steps}):
        starts = [start for start, stop in steps if stop - start == size]
        _check_logits_causal(prior, space, codes, condition, plan, starts, size, draws)
    _check_nll_causal(prior, space, codes, condition, plan, draws)


def _check_logits_causal(
    prior: Prior,
    space: CodeSpace,
    codes: Tensor,
    condition: Tensor,
    plan: VisitPlan,
    starts: list[int],
    size: int,
    draws: int,
) -> None:
    """Row i has visited ``starts[i]`` positions and predicts the next ``size``."""
    rows, lengths = len(starts), torch.tensor(starts)
    visited = plan.order.expand(rows, -1)
    targets = torch.cat([plan.order[:, start : start + size] for start in starts])
    given = condition.expand(rows, -1)
    seen = plan.ranks() < lengths[:, None]
    before, _ = prior.logits(codes.expand(rows, -1), visited, targets, given, lengths=lengths)
    for draw in range(draws):
        changed = torch.where(seen, codes, other_codes(codes.expand(rows, -1), space.vocab_size, seed=draw))
        after, _ = prior.logits(changed, visited, targets, given, lengths=lengths)
        leaks = [start for start, one, other in zip(starts, before, after, strict=True) if not torch.equal(one, other)]
        assert not leaks, (
            f"No leakage: logits after {leaks} visited positions change with codes that are not visited yet, by up to "
            f"{float((before - after).abs().max()):.3g}. Look at masks, at convolution taps, and at every place where codes "
            "are read"
        )


def _check_nll_causal(prior: Prior, space: CodeSpace, codes: Tensor, condition: Tensor, plan: VisitPlan, draws: int) -> None:
    """Row i of a batch of N has the code visited at time i changed."""
    length = space.length
    wide = VisitPlan(plan.order.expand(length, -1), plan.sizes, shared=True)
    step = wide.steps()
    touched = torch.zeros(length, length, dtype=torch.bool).scatter_(1, plan.order.T, True)
    step_changed = step.gather(1, plan.order.T)
    untouched = (step <= step_changed) & ~touched
    before = prior.nll(codes.expand(length, -1), condition.expand(length, -1), wide)
    for draw in range(draws):
        changed = torch.where(touched, other_codes(codes.expand(length, -1), space.vocab_size, seed=draw), codes)
        after = prior.nll(changed, condition.expand(length, -1), wide)
        leaks = ((before != after) & untouched).nonzero()
        assert not len(leaks), (
            f"No leakage: changing the code visited at time {int(leaks[0, 0])} changes the nll of position {int(leaks[0, 1])}, "
            "which is visited no later. Look at masks, at convolution taps, and at the shift between inputs and targets"
        )


@torch.no_grad()
def check_normalised(prior: Prior, space: CodeSpace, condition: Tensor, plan: VisitPlan, *, tolerance: float = 1e-5) -> None:
    """The probabilities of all V^N images sum to one, by enumeration.

    Args:
        prior: In eval mode.
        space: A small one: a 2×2 grid over a vocabulary of 3 has 81 images.
        condition: int64 (1, P).
        plan: Visiting plan of one row.
        tolerance: Allowed difference from one.
    """
    count = space.vocab_size**space.length
    assert count <= 100_000, f"{count} images are too many to enumerate; take a smaller space"
    every = torch.tensor(list(itertools.product(range(space.vocab_size), repeat=space.length)), device=condition.device)
    nll = prior.nll(every, condition.expand(count, -1), VisitPlan(plan.order.expand(count, -1), plan.sizes, shared=True))
    total = float((-nll.double().sum(1)).logsumexp(0).exp())
    assert abs(total - 1) <= tolerance, (
        f"Normalised: the probabilities of all {count} images sum to {total:.8f} and not to one. Look at what a position's "
        "logits read of itself and of later ones, and at a softmax over more or fewer than V codes"
    )


PRIOR_CHECKS = (check_chain_rule, check_incremental, check_state_rows, check_no_leakage)
"""The checks that take (prior, space, codes, condition, plan)."""
