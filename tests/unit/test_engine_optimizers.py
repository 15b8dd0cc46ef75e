"""Learning rates and optimizers."""

from __future__ import annotations

import math
from itertools import pairwise

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from tamingplat.engine.optimizers import learning_rate, make_optimizer
from tamingplat.interfaces import TrainingSettings
from tamingplat.interfaces.models import ParameterGroup


def test_constant_rate_after_a_linear_warm_up():
    settings = TrainingSettings(steps=10, learning_rate=1.0, warmup_steps=4)
    rates = [learning_rate(settings, step) for step in range(10)]
    assert rates == pytest.approx([0.2, 0.4, 0.6, 0.8, 1, 1, 1, 1, 1, 1])


def test_linear_decay_ends_at_its_share():
    settings = TrainingSettings(steps=10, learning_rate=2.0, schedule="linear", final_learning_rate_fraction=0.5)
    assert learning_rate(settings, 0) == 2.0
    assert learning_rate(settings, 5) == pytest.approx(1.5)
    assert learning_rate(settings, 10) == pytest.approx(1.0)


def test_cosine_decay():
    settings = TrainingSettings(steps=12, learning_rate=1.0, schedule="cosine", warmup_steps=2)
    assert learning_rate(settings, 2) == 1.0
    assert learning_rate(settings, 7) == pytest.approx(0.5)
    assert learning_rate(settings, 4) == pytest.approx(0.5 * (1 + math.cos(0.2 * math.pi)))
    assert learning_rate(settings, 12) == pytest.approx(0.0, abs=1e-12)


@given(
    steps=st.integers(1, 50),
    warmup=st.integers(0, 50),
    schedule=st.sampled_from(["constant", "cosine", "linear"]),
    final=st.floats(0, 1),
)
def test_rates_are_positive_and_never_above_the_peak(steps: int, warmup: int, schedule: str, final: float):
    settings = TrainingSettings(
        steps=steps,
        learning_rate=0.1,
        warmup_steps=min(warmup, steps),
        schedule=schedule,
        final_learning_rate_fraction=final,
    )
    rates = [learning_rate(settings, step) for step in range(steps)]
    assert all(0 < rate <= 0.1 + 1e-12 for rate in rates)
    after = rates[settings.warmup_steps :]
    assert all(later <= earlier for earlier, later in pairwise(after))


def test_weight_decay_applies_to_the_marked_group_alone():
    settings = TrainingSettings(optimizer="adamw", learning_rate=0.1, weight_decay=0.5)
    decayed, kept = nn.Parameter(torch.ones(3)), nn.Parameter(torch.ones(3))
    optimizer = make_optimizer(
        [ParameterGroup((decayed,)), ParameterGroup((kept,), decay=False)], settings, torch.device("cpu")
    )
    decayed.grad, kept.grad = torch.zeros(3), torch.zeros(3)
    optimizer.step()
    torch.testing.assert_close(decayed.detach(), torch.full((3,), 0.95))
    torch.testing.assert_close(kept.detach(), torch.ones(3))


@pytest.mark.parametrize("name", ["adam", "adamw"])
def test_first_step_is_adams(name: str):
    settings = TrainingSettings(optimizer=name, learning_rate=0.1, weight_decay=0.2, betas=(0.5, 0.9))
    parameter = nn.Parameter(torch.tensor([2.0]))
    optimizer = make_optimizer([ParameterGroup((parameter,))], settings, torch.device("cpu"))
    parameter.grad = torch.tensor([3.0])
    optimizer.step()
    # The first step of Adam goes by the learning rate against the gradient's sign; decoupled decay shrinks the weight besides.
    expected = 2.0 - 0.1 - (0.1 * 0.2 * 2.0 if name == "adamw" else 0.0)
    assert parameter.item() == pytest.approx(expected, rel=1e-6)
