"""PixelSNAIL step by step gives what it gives at once, however the steps are taken."""

from __future__ import annotations

import pytest
import torch
from tamingplat_pixelsnail import together
from tamingplat_pixelsnail.config import PixelSNAILConfig
from tamingplat_pixelsnail.model import PixelSNAIL
from tamingplat_pixelsnail.stack import GridStack

from tamingplat.interfaces import CodeSpace, ConditionPart
from tamingplat.interfaces.models import VisitPlan

LAYOUTS = {
    "none": (),
    "class": (ConditionPart("class", 4),),
    "maps": (ConditionPart("map", 6, (2, 3)), ConditionPart("class", 4), ConditionPart("line", 3, (5,))),
}
GRIDS = {
    "square": ((3, 3),),
    "flat": ((2, 5),),
    "sequence": ((6,),),
    "two grids": ((1, 2), (2, 3)),
    "three": ((1, 1), (1, 2), (2, 2)),
}


def build(grids, *, vocab=5, layout=(), dtype=torch.float64, noise=0.1, **settings):
    config = {"layers": 2, "residual_layers": 1, "width": 8, "heads": 2, "key_width": 3} | settings
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = PixelSNAIL(CodeSpace(grids, vocab), layout, PixelSNAILConfig(**config), {}).to(dtype).eval()
        with torch.no_grad():
            for parameter in model.parameters():
                parameter.add_(noise * torch.randn_like(parameter))
    return model


def seeded(seed):
    return torch.Generator().manual_seed(seed)


def tokens(layout, batch, seed=0):
    generator = seeded(seed)
    parts = [torch.randint(part.vocab_size, (batch, part.length), generator=generator) for part in layout]
    return torch.cat([torch.zeros(batch, 0, dtype=torch.int64), *parts], dim=1)


def random_order(space, seed):
    generator = seeded(seed)
    ends = (*space.offsets[1:], space.length)
    return torch.cat(
        [start + torch.randperm(end - start, generator=generator) for start, end in zip(space.offsets, ends, strict=True)]
    )


def plans(space, batch, rows):
    if rows == "raster":
        return VisitPlan.repeat(torch.arange(space.length), batch)
    if rows == "shared":
        return VisitPlan.repeat(random_order(space, 0), batch)
    order = torch.stack([random_order(space, seed) for seed in range(batch)])
    return VisitPlan(order, torch.ones(space.length, dtype=torch.int64))


def only_visited(codes, visited, lengths=None, seed=0):
    """The codes with everything else replaced by noise, numbers that are no codes among them."""
    noise = torch.randint(-3, 9, codes.shape, generator=seeded(seed))
    for row in range(len(codes)):
        places = visited[row, : visited.shape[1] if lengths is None else lengths[row]]
        noise[row, places] = codes[row, places]
    return noise


def scores(logits, codes, targets):
    return -logits.log_softmax(-1).gather(2, codes.gather(1, targets)[:, :, None])[:, :, 0]


def step_by_step(model, codes, condition, plan, *, incremental, told=False):
    nll = torch.zeros(codes.shape, dtype=next(model.parameters()).dtype)
    state, time = None, 0
    for step, size in enumerate(plan.sizes.tolist()):
        visited, targets = plan.order[:, :time], plan.order[:, time : time + size]
        logits, state = model.logits(
            only_visited(codes, visited, seed=step),
            visited,
            targets,
            condition,
            state=state if incremental else None,
            **({"sizes": plan.sizes} if told else {}),
        )
        nll.scatter_(1, targets, scores(logits, codes, targets))
        time += size
    return nll


@pytest.mark.parametrize("incremental", [True, False], ids=["incremental", "full"])
@pytest.mark.parametrize("rows", ["raster", "shared", "apart"])
@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("grids", GRIDS)
def test_chain_rule(grids, layout, rows, incremental):
    model = build(GRIDS[grids], layout=LAYOUTS[layout])
    codes = torch.randint(5, (3, model.space.length), generator=seeded(1))
    condition = tokens(LAYOUTS[layout], 3)
    plan = plans(model.space, 3, rows)
    expected = model.nll(codes, condition, plan)
    assert expected.std() > 0.05
    torch.testing.assert_close(
        step_by_step(model, codes, condition, plan, incremental=incremental), expected.detach(), rtol=0, atol=1e-12
    )


@pytest.mark.parametrize("rows", ["raster", "apart"])
def test_incremental_equals_full_in_float32(rows):
    model = build(((6, 6),), vocab=50, dtype=torch.float32, noise=0.02, width=32, layers=3, residual_layers=2)
    with torch.no_grad():
        # As large as logits are after training.
        model.stacks[0].head.weight.mul_(30)
    codes = torch.randint(50, (4, 36), generator=seeded(2))
    plan = plans(model.space, 4, rows)
    state = None
    for time in range(36):
        visited, target = plan.order[:, :time], plan.order[:, time : time + 1]
        logits, state = model.logits(codes, visited, target, tokens((), 4), state=state)
        full, _ = model.logits(codes, visited, target, tokens((), 4))
        torch.testing.assert_close(logits, full, rtol=0, atol=1e-5)
    assert logits.std() > 0.5


def test_codes_not_visited_leave_full_logits_bitwise_equal():
    model = build(((3, 4),))
    plan = plans(model.space, 2, "apart")
    codes = torch.randint(5, (2, 12), generator=seeded(3))
    for time in range(12):
        visited, target = plan.order[:, :time], plan.order[:, time : time + 1]
        results = [
            model.logits(only_visited(codes, visited, seed=seed), visited, target, tokens((), 2))[0] for seed in range(3)
        ]
        assert torch.equal(results[0], results[1])
        assert torch.equal(results[0], results[2])


GROUPS = [[1] * 9, [1, 3, 2, 3], [9], [4, 5]]


@pytest.mark.parametrize("sizes", GROUPS, ids=str)
@pytest.mark.parametrize("rows", ["shared", "apart"])
def test_chain_rule_where_positions_are_visited_together(sizes, rows):
    model = build(((3, 3),))
    codes = torch.randint(5, (3, 9), generator=seeded(4))
    order = plans(model.space, 3, rows)
    plan = VisitPlan(order.order, torch.tensor(sizes), order.shared)
    expected = model.nll(codes, tokens((), 3), plan).detach()
    grown = step_by_step(model, codes, tokens((), 3), plan, incremental=True)
    torch.testing.assert_close(grown, expected, rtol=0, atol=1e-12)
    told = step_by_step(model, codes, tokens((), 3), plan, incremental=False, told=True)
    torch.testing.assert_close(told, expected, rtol=0, atol=1e-12)
    if max(sizes) > 1 and len(sizes) > 1:
        # Untold, the same positions one by one are another factorisation.
        untold = step_by_step(model, codes, tokens((), 3), plan, incremental=False)
        assert (untold - expected).abs().max() > 1e-3


def test_next_scale_grids():
    model = build(((1, 1), (2, 2), (3, 3)))
    codes = torch.randint(5, (3, 14), generator=seeded(5))
    plan = VisitPlan(torch.arange(14).expand(3, -1), torch.tensor([1, 4, 9]), shared=True)
    expected = model.nll(codes, tokens((), 3), plan).detach()
    for incremental in (True, False):
        nll = step_by_step(model, codes, tokens((), 3), plan, incremental=incremental, told=not incremental)
        torch.testing.assert_close(nll, expected, rtol=0, atol=1e-12)


def test_a_state_can_be_any_prefix():
    model = build(((3, 4),))
    codes = torch.randint(5, (2, 12), generator=seeded(6))
    plan = plans(model.space, 2, "apart")
    state = None
    for time in (0, 1, 4, 5, 6, 11):
        visited, target = plan.order[:, :time], plan.order[:, time : time + 1]
        logits, state = model.logits(only_visited(codes, visited), visited, target, tokens((), 2), state=state)
        expected, _ = model.logits(codes, visited, target, tokens((), 2))
        torch.testing.assert_close(logits, expected, rtol=0, atol=1e-12)


@pytest.mark.parametrize("rows", ["raster", "shared", "apart"])
@pytest.mark.parametrize("known", [0, 1, 7, 18, 29])
def test_decoding_goes_on_from_a_pass_over_any_prefix_to_the_end(known, rows):
    # Of the pass, only columns beside a position yet to be visited are kept: at 18 of 30 some are, and some are not.
    model = build(((5, 6),))
    codes = torch.randint(5, (3, 30), generator=seeded(8))
    plan, state = plans(model.space, 3, rows), None
    expected = model.nll(codes, tokens((), 3), plan)
    for time in range(known, 30):
        visited, target = plan.order[:, :time], plan.order[:, time : time + 1]
        logits, state = model.logits(only_visited(codes, visited), visited, target, tokens((), 3), state=state)
        torch.testing.assert_close(scores(logits, codes, target), expected.gather(1, target).detach(), rtol=0, atol=1e-12)


def test_a_group_stays_a_group_when_more_is_visited_at_once():
    model = build(((3, 3),))
    codes = torch.randint(5, (2, 9), generator=seeded(7))
    order = plans(model.space, 2, "apart").order
    sizes = torch.tensor([2, 3, 1, 1, 2])
    _, state = model.logits(codes, order[:, :0], order[:, :2], tokens((), 2))
    _, state = model.logits(codes, order[:, :2], order[:, 2:5], tokens((), 2), state=state)
    _, state = model.logits(codes, order[:, :5], order[:, 5:6], tokens((), 2), state=state)
    logits, _ = model.logits(codes, order[:, :7], order[:, 7:], tokens((), 2), state=state)
    expected, _ = model.logits(codes, order[:, :7], order[:, 7:], tokens((), 2), sizes=sizes)
    torch.testing.assert_close(logits, expected, rtol=0, atol=1e-12)


def test_asking_for_other_targets_does_not_spoil_a_state():
    model = build(((3, 3),))
    codes = torch.randint(5, (2, 9), generator=seeded(8))
    order = plans(model.space, 2, "apart").order
    state = None
    for time in range(9):
        visited = order[:, :time]
        for target in (order[:, 8:], order[:, time : time + 1], order[:, time : time + 1]):
            logits, state = model.logits(codes, visited, target, tokens((), 2), state=state)
            expected, _ = model.logits(codes, visited, target, tokens((), 2))
            torch.testing.assert_close(logits, expected, rtol=0, atol=1e-12)
        if time % 2:
            _, state = model.logits(codes, visited, order[:, 8:], tokens((), 2), state=state)


@pytest.mark.parametrize("layout", ["none", "maps"])
@pytest.mark.parametrize("grids", ["square", "two grids", "three"])
def test_rows_of_different_lengths(grids, layout):
    model = build(GRIDS[grids], layout=LAYOUTS[layout])
    N = model.space.length
    codes = torch.randint(5, (4, N), generator=seeded(9))
    condition = tokens(LAYOUTS[layout], 4)
    order = plans(model.space, 4, "apart").order
    nll = model.nll(codes, condition, plans(model.space, 4, "apart")).detach()
    state = None
    # Some rows wait while others go on, and one jumps.
    for lengths in ([0, 0, 0, 0], [1, 0, 1, 1], [1, 1, 2, 1], [2, 2, 2, 2], [3, 3, 2, 3], [4, 3, 2, 4], [4, 4, 3, 6]):
        longest = max(lengths)
        visited = torch.full((4, longest), -1)
        for row, length in enumerate(lengths):
            visited[row, :length] = order[row, :length]
        counts = torch.tensor(lengths)
        targets = order.gather(1, counts[:, None])
        shown = only_visited(codes, visited, lengths)
        for kept in (state, None):
            logits, new_state = model.logits(shown, visited, targets, condition, lengths=counts, state=kept)
            torch.testing.assert_close(scores(logits, codes, targets), nll.gather(1, targets), rtol=0, atol=1e-12)
            state = new_state if kept is not None or state is None else state


@pytest.mark.parametrize(
    "lengths", [[3, 3, 25, 25, 11, 10], [0, 28, 7, 7, 7, 1], [14] * 6, [1, 2, 3, 4, 5, 6], [28, 0, 28, 0, 9, 9]]
)
@pytest.mark.parametrize("slack", [0, 4, 1000])
def test_rows_in_order_are_computed_as_far_as_they_were_visited_and_go_on_from_there(monkeypatch, lengths, slack):
    model = build(((5, 6),))
    codes = torch.randint(5, (6, 30), generator=seeded(16))
    nll = model.nll(codes, tokens((), 6), plans(model.space, 6, "raster")).detach()
    passes, recompute = [], GridStack.recompute

    def noted(stack, codes, tokens, steps, visited, targets, known, *, even):
        passes.append((len(codes), known + 1))
        return recompute(stack, codes, tokens, steps, visited, targets, known, even=even)

    monkeypatch.setattr(together, "PASS_OVERHEAD", slack)
    monkeypatch.setattr(GridStack, "recompute", noted)
    state = None
    for counts in (torch.tensor(lengths), torch.tensor(lengths) + 1):
        visited = torch.arange(int(counts.max())).expand(6, -1)
        shown = only_visited(codes, visited, counts.tolist())
        logits, state = model.logits(shown, visited, counts[:, None], tokens((), 6), lengths=counts, state=state)
        torch.testing.assert_close(scores(logits, codes, counts[:, None]), nll.gather(1, counts[:, None]), rtol=0, atol=1e-12)
    assert sum(rows for rows, _ in passes) == 6, "the second step goes on from the first"
    needed = sum(length + 1 for length in lengths)
    assert needed <= sum(rows * positions for rows, positions in passes) <= needed + slack * len(passes)
    assert slack < 1000 or len(passes) == 1


def test_elsewhere_than_on_a_cpu_all_rows_are_one_pass():
    (stack,) = build(((5, 6),)).stacks
    lengths = torch.empty(3, dtype=torch.int64, device="meta")
    assert together.passes_over(stack, lengths, None, 7) == [(slice(3), None, False)]
    assert together.passes_over(stack, lengths, 9, None) == [(slice(3), 9, False)]
    # As many as all have visited, also where more room was given; and the last target still has a place.
    assert together.passes_over(stack, lengths, 9, 7) == [(slice(3), 7, True)]
    assert together.passes_over(stack, lengths, 30, 30) == [(slice(3), 29, True)]


@pytest.mark.parametrize("grids", ["square", "two grids", "three"])
def test_lengths_may_be_named_or_not_and_targets_may_lie_anywhere_in_memory(grids):
    model = build(GRIDS[grids], layout=LAYOUTS["maps"])
    codes = torch.randint(5, (3, model.space.length), generator=seeded(15))
    condition = tokens(LAYOUTS["maps"], 3)
    plan = plans(model.space, 3, "apart")
    nll = model.nll(codes, condition, plan).detach()
    buffer = torch.empty(3, 1, dtype=torch.int64)
    state = None
    for time in range(model.space.length):
        visited, targets = plan.order[:, :time], plan.order[:, time : time + 1]
        shown = (targets, targets.clone(), buffer.copy_(targets))[time % 3]
        named = torch.full((3,), time) if time // 3 % 2 else None
        logits, state = model.logits(only_visited(codes, visited), visited, shown, condition, lengths=named, state=state)
        torch.testing.assert_close(scores(logits, codes, targets), nll.gather(1, targets), rtol=0, atol=1e-12)


def test_targets_in_another_grid_than_the_next_position_are_an_error():
    model = build(GRIDS["two grids"])
    codes = torch.zeros(1, model.space.length, dtype=torch.int64)
    with pytest.raises(AssertionError, match="mixes grids"):
        model.logits(codes, codes[:, :0], torch.tensor([[5]]), tokens((), 1))


def test_a_row_that_has_visited_nothing_beside_one_that_has():
    model = build(((3, 3),))
    codes = torch.randint(5, (2, 9), generator=seeded(14))
    order = plans(model.space, 2, "apart").order
    nll = model.nll(codes, tokens((), 2), plans(model.space, 2, "apart")).detach()
    lengths = torch.tensor([0, 4])
    targets = order.gather(1, lengths[:, None])
    state = None
    # First by a full pass, then from its state.
    for _ in range(2):
        logits, state = model.logits(codes, order[:, :4], targets, tokens((), 2), lengths=lengths, state=state)
        torch.testing.assert_close(scores(logits, codes, targets), nll.gather(1, targets), rtol=0, atol=1e-12)


@pytest.mark.parametrize("grids", ["square", "two grids", "three"])
def test_rows_join_and_leave(grids):
    model = build(GRIDS[grids], layout=LAYOUTS["maps"])
    N = model.space.length
    codes = torch.randint(5, (5, N), generator=seeded(10))
    condition = tokens(LAYOUTS["maps"], 5)
    plan = plans(model.space, 5, "apart")
    nll = model.nll(codes, condition, plan).detach()

    def advance(rows, lengths, state):
        """One step for each of some rows, checked; returns the new state."""
        visited = torch.zeros(len(rows), max(lengths), dtype=torch.int64)
        for index, (row, length) in enumerate(zip(rows, lengths, strict=True)):
            visited[index, :length] = plan.order[row, :length]
        counts = torch.tensor(lengths)
        targets = plan.order[rows].gather(1, counts[:, None])
        logits, state = model.logits(
            only_visited(codes[rows], visited, lengths), visited, targets, condition[rows], lengths=counts, state=state
        )
        torch.testing.assert_close(scores(logits, codes[rows], targets), nll[rows].gather(1, targets), rtol=0, atol=1e-12)
        return state

    first = None
    for time in range(4):
        first = advance([0, 1, 2], [time] * 3, first)
    second = advance([3, 4], [0, 0], None)
    second = advance([3, 4], [1, 1], second)
    both = type(first).cat([first, second])
    both = advance([0, 1, 2, 3, 4], [4, 4, 4, 2, 2], both)
    fewer = both.select(torch.tensor([4, 1, 2]))
    fewer = advance([4, 1, 2], [3, 5, 5], fewer)
    fewer = advance([4, 1, 2], [4, 5, 5], fewer)
    twice = fewer.select(torch.tensor([0, 0]))
    twice = advance([4, 4], [5, 5], twice)
    assert (twice.common, len(twice.lengths)) == (5, 2)


def test_columns_are_found_and_take_no_more_room_than_two_grids_however_many_steps_visit_nothing():
    (stack,) = build(((3, 4),)).stacks
    lane, generator = stack.lane(tokens((), 2)), seeded(3)
    known = torch.zeros(2, 13, lane.columns.shape[2], dtype=torch.float64)
    order = torch.stack([torch.randperm(12, generator=generator) for _ in range(2)])
    for step in range(300):
        column = torch.randn(2, 1, known.shape[2], generator=generator, dtype=torch.float64)
        positions = torch.full((2, 1), 12)
        for row in range(2):
            # The rows visit their positions at different times, and mostly none at all.
            if step % 25 == 10 * row:
                positions[row] = order[row, step // 25]
                known[row, positions[row]] = column[row]
        lane.keep(positions, column)
        assert lane.columns.shape[1] <= 26
        targets = torch.arange(12).expand(2, -1)
        near = known[torch.arange(2)[:, None, None], lane.table[targets]]
        around, taps = lane.around(targets)
        near = near.flatten(0, 1)
        assert torch.equal(around, near[:, taps.start : taps.stop])
        assert 4 in taps and not near[:, : taps.start].any() and not near[:, taps.stop :].any()
    assert bool(known[:, :12].any(2).all())


def test_a_selected_state_is_a_copy():
    model = build(((3, 3),))
    codes = torch.randint(5, (2, 9), generator=seeded(11))
    order = plans(model.space, 2, "shared").order
    _, state = model.logits(codes, order[:, :0], order[:, :1], tokens((), 2))
    _, state = model.logits(codes, order[:, :1], order[:, 1:2], tokens((), 2), state=state)
    copied = state.select(torch.arange(2))
    expected, _ = model.logits(codes, order[:, :2], order[:, 2:3], tokens((), 2), state=state)
    other = (codes + 1) % 5
    model.logits(other, order[:, :2], order[:, 2:3], tokens((), 2), state=state)
    logits, _ = model.logits(codes, order[:, :2], order[:, 2:3], tokens((), 2), state=copied)
    assert torch.equal(logits, expected)


def test_a_step_computes_only_the_new_columns(monkeypatch):
    model = build(((3, 4),))
    codes = torch.randint(5, (2, 12), generator=seeded(12))
    order = plans(model.space, 2, "shared").order
    _, state = model.logits(codes, order[:, :5], order[:, 5:6], tokens((), 2))
    passes = []
    monkeypatch.setattr(GridStack, "recompute", lambda *arguments: passes.append(arguments))
    widths = []
    hook = torch.nn.modules.module.register_module_forward_hook(
        lambda module, inputs, output: widths.append(output.shape[1]) if isinstance(module, torch.nn.Linear) else None
    )
    for time in range(6, 12):
        _, state = model.logits(codes, order[:, :time], order[:, time : time + 1], tokens((), 2), state=state)
    hook.remove()
    assert not passes
    assert set(widths) == {1}


def test_logits_record_no_gradient_and_need_no_evaluation_mode():
    model = build(((2, 2),), dropout=0.5).train()
    codes = torch.randint(5, (2, 4), generator=seeded(13))
    order = plans(model.space, 2, "shared").order
    first, _ = model.logits(codes, order[:, :2], order[:, 2:3], tokens((), 2))
    second, _ = model.logits(codes, order[:, :2], order[:, 2:3], tokens((), 2))
    assert not first.requires_grad
    assert torch.equal(first, second)
