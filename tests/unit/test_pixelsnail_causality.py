"""PixelSNAIL predicts every code from the codes visited at an earlier step, from all of them, and from nothing else."""

from __future__ import annotations

import itertools

import pytest
import torch
from tamingplat_pixelsnail.config import PixelSNAILConfig
from tamingplat_pixelsnail.model import PixelSNAIL

from tamingplat.interfaces import CodeSpace, ConditionPart, TamingplatError
from tamingplat.interfaces.models import PriorBatch, VisitPlan

CLASS = (ConditionPart("class", 4),)
MAP = (ConditionPart("class", 4), ConditionPart("map", 6, (2, 3)))


def build(grids, *, vocab=5, layout=(), **settings):
    config = {"layers": 2, "residual_layers": 1, "width": 8, "heads": 2, "key_width": 3} | settings
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = PixelSNAIL(CodeSpace(grids, vocab), layout, PixelSNAILConfig(**config), {}).double().eval()
        with torch.no_grad():
            for parameter in model.parameters():
                parameter.add_(0.1 * torch.randn_like(parameter))
    return model


def seeded(seed):
    return torch.Generator().manual_seed(seed)


def tokens(layout, batch, seed=0):
    generator = seeded(seed)
    parts = [torch.randint(part.vocab_size, (batch, part.length), generator=generator) for part in layout]
    return torch.cat([torch.zeros(batch, 0, dtype=torch.int64), *parts], dim=1)


def orders(height, width):
    raster = torch.arange(height * width)
    snake = raster.view(height, width).clone()
    snake[1::2] = snake[1::2].flip(1)
    return {
        "raster": raster,
        "backwards": raster.flip(0),
        "columns": raster.view(height, width).T.flatten(),
        "snake": snake.flatten(),
        "random": torch.randperm(height * width, generator=seeded(0)),
        "other random": torch.randperm(height * width, generator=seeded(1)),
    }


def train_a_little(model, plan, codes, condition):
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)
    model.train()
    for step in range(5):
        loss = model(PriorBatch(codes, condition, plan), step=step, phase="main", generator=None)["total"]
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    model.eval()


def logits_of_all(model, codes, condition, plan):
    """(B, N, V) in one forward pass of the only stack."""
    (geometry,) = model._geometries(plan)
    return model.stacks[0](codes, condition, geometry).detach()


@pytest.mark.parametrize("name", orders(1, 1))
@pytest.mark.parametrize("layout", [(), MAP], ids=["plain", "conditions"])
@pytest.mark.parametrize("sizes", [None, [1, 4, 2, 5]], ids=["one by one", "grouped"])
def test_codes_not_yet_visited_leave_logits_bitwise_equal(name, layout, sizes):
    model = build(((3, 4),), layout=layout)
    order = orders(3, 4)[name]
    plan = VisitPlan.repeat(order, 3)
    if sizes is not None:
        plan = VisitPlan(plan.order, torch.tensor(sizes), shared=True)
    steps = plan.steps()[0]
    codes = torch.randint(5, (3, 12), generator=seeded(2))
    condition = tokens(layout, 3)
    train_a_little(model, plan, codes, condition)
    before = logits_of_all(model, codes, condition, plan)
    for step in range(int(steps.max()) + 1):
        changed = codes.clone()
        later = steps >= step
        changed[:, later] = (changed[:, later] + 1 + torch.randint(4, (3, int(later.sum())), generator=seeded(step))) % 5
        after = logits_of_all(model, changed, condition, plan)
        assert torch.equal(before[:, steps <= step], after[:, steps <= step])
        assert step == steps.max() or not torch.equal(before, after)


@pytest.mark.parametrize("sizes", [[1] * 9, [1, 3, 2, 3]])
@pytest.mark.parametrize("rows", ["shared", "apart"])
def test_each_prediction_depends_on_all_earlier_codes_and_no_other(sizes, rows):
    model = build(((3, 3),))
    order = torch.stack([torch.randperm(9, generator=seeded(seed)) for seed in range(2)])
    order = order[:1].expand(2, -1) if rows == "shared" else order
    plan = VisitPlan(order, torch.tensor(sizes), shared=rows == "shared")
    steps = plan.steps()
    caught = []
    model.stacks[0].embedding.register_forward_hook(lambda module, inputs, output: caught.append(output))
    codes = torch.randint(5, (2, 9), generator=seeded(3))
    (geometry,) = model._geometries(plan)
    logits = model.stacks[0](codes, tokens((), 2), geometry)
    weights = torch.randn(5, generator=seeded(4), dtype=torch.float64)
    for position in range(9):
        (gradient,) = torch.autograd.grad((logits[:, position] @ weights).sum(), caught[0], retain_graph=True)
        depends = gradient.abs().amax(2) > 0
        assert torch.equal(depends, steps < steps[:, position : position + 1])


def test_a_finer_grid_sees_all_of_the_coarser_one_and_not_the_reverse():
    model = build(((1, 2), (2, 3)))
    order = torch.tensor([1, 0, 5, 3, 7, 2, 6, 4])
    plan = VisitPlan.repeat(order, 2)
    codes = torch.randint(5, (2, 8), generator=seeded(5))
    before = model.nll(codes, tokens((), 2), plan)
    for position in range(8):
        changed = codes.clone()
        changed[:, position] = (changed[:, position] + 1) % 5
        after = model.nll(changed, tokens((), 2), plan)
        time = order.tolist().index(position)
        earlier, later = order[:time], order[time + 1 :]
        assert torch.equal(before[:, earlier], after[:, earlier])
        assert (before[:, later] != after[:, later]).all()


def test_a_plan_that_mixes_grids_is_refused():
    model = build(((1, 2), (2, 2)))
    for order, sizes in (([0, 2, 1, 3, 4, 5], [1] * 6), ([0, 1, 2, 3, 4, 5], [1, 2, 3])):
        plan = VisitPlan(torch.tensor([order]), torch.tensor(sizes))
        with pytest.raises(TamingplatError, match="mixes grids"):
            model.nll(torch.zeros(1, 6, dtype=torch.int64), tokens((), 1), plan)


@pytest.mark.parametrize(
    ("order", "sizes", "layout"),
    [
        ([0, 1, 2, 3], [1, 1, 1, 1], ()),
        ([2, 0, 3, 1], [1, 1, 1, 1], CLASS),
        ([3, 1, 0, 2], [1, 2, 1], ()),
        ([1, 0, 2, 3], [4], CLASS),
    ],
)
def test_probabilities_of_all_images_sum_to_one(order, sizes, layout):
    model = build(((2, 2),), vocab=3, layout=layout)
    codes = torch.tensor(list(itertools.product(range(3), repeat=4)))
    plan = VisitPlan(torch.tensor(order).expand(81, -1), torch.tensor(sizes), shared=True)
    condition = tokens(layout, 1).expand(81, -1)
    total = (-model.nll(codes, condition, plan).sum(1)).exp().sum()
    torch.testing.assert_close(total, torch.ones((), dtype=torch.float64), rtol=0, atol=1e-12)


def test_probabilities_over_two_grids_sum_to_one():
    model = build(((1, 1), (1, 3)), vocab=3)
    codes = torch.tensor(list(itertools.product(range(3), repeat=4)))
    plan = VisitPlan.repeat(torch.tensor([0, 2, 3, 1]), 81)
    total = (-model.nll(codes, tokens((), 81), plan).sum(1)).exp().sum()
    torch.testing.assert_close(total, torch.ones((), dtype=torch.float64), rtol=0, atol=1e-12)


@pytest.mark.parametrize("grid", [(2, 3), (4, 6), (1, 1), (3, 2), (5,)])
def test_every_condition_token_changes_every_prediction(grid):
    layout = (ConditionPart("class", 4), ConditionPart("map", 6, grid))
    model = build(((2, 3),), layout=layout, condition_layers=4)
    plan = VisitPlan.repeat(torch.randperm(6, generator=seeded(6)), 2)
    codes = torch.randint(5, (2, 6), generator=seeded(7))
    condition = tokens(layout, 2)
    before = model.nll(codes, condition, plan)
    for place in range(condition.shape[1]):
        changed = condition.clone()
        changed[0, place] = (changed[0, place] + 1) % 4
        after = model.nll(codes, changed, plan)
        assert (after[0] != before[0]).all()
        # One image's condition does not reach another image.
        assert torch.equal(after[1], before[1])


def test_the_null_index_has_an_embedding_of_its_own():
    model = build(((2, 2),), layout=CLASS)
    plan = VisitPlan.repeat(torch.arange(4), 4)
    codes = torch.randint(5, (1, 4), generator=seeded(8)).expand(4, -1)
    nll = model.nll(codes, torch.arange(4)[:, None], plan)
    assert len(torch.unique(nll, dim=0)) == 4
