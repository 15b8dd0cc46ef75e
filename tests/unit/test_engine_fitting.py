"""Fitting tokenizers."""

from __future__ import annotations

from collections.abc import Iterator
from types import ModuleType
from typing import Any

import pytest
import torch
from torch import Tensor

from tamingplat.engine import Progress, fit_tokenizer, make_accelerator
from tamingplat.interfaces import DataError, TrainingSettings


def _fit(tokenizer: Any, batches: Any, *, seed: int = 0, report: Any = lambda progress: None) -> Any:
    accelerator = make_accelerator(TrainingSettings(), "cpu")
    return fit_tokenizer(tokenizer, batches, accelerator=accelerator, seed=seed, report=report)


def test_a_fit_is_recorded(toys: ModuleType):
    tokenizer = toys.MeanColour()
    seen: list[Progress] = []
    record = _fit(tokenizer, toys.colours, report=seen.append)
    assert tokenizer.mean.item() == pytest.approx(0.3) and not tokenizer.training
    assert record.steps == 6 and record.images == 24 and record.flops is None and record.parameters == 4
    assert [(point.split, point.step, point.images) for point in record.curve] == [
        ("train", step, 4 * step) for step in range(1, 7)
    ]
    assert record.curve[2].terms == {"mean": pytest.approx(0.3)}
    assert 0 < record.loading_seconds < record.seconds
    assert seen[0].stage == "fitting" and seen[0].step == 1 and seen[0].steps == 0


def test_a_fit_is_random_by_its_seed_and_leaves_the_default_generator_alone(toys: ModuleType):
    state = torch.get_rng_state()
    noises = []
    for seed in (1, 1, 2):
        tokenizer = toys.MeanColour()
        _fit(tokenizer, toys.colours, seed=seed)
        noises.append(tokenizer.noise.tolist())
    assert noises[0] == noises[1] != noises[2]
    assert torch.equal(torch.get_rng_state(), state)


def test_an_error_of_a_fit_arrives_as_it_is(toys: ModuleType):
    with pytest.raises(DataError, match=r"^cat\.png: not an image$"):
        _fit(toys.MeanColour(), toys.no_colours)


def test_an_interrupted_fit_passes_the_interruption_on(toys: ModuleType):
    def interrupted(epoch: int) -> Iterator[Tensor]:
        raise KeyboardInterrupt
        yield

    with pytest.raises(KeyboardInterrupt):
        _fit(toys.MeanColour(), interrupted)
