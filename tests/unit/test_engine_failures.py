"""Training that diverges, cannot begin, or is asked to stop."""

from __future__ import annotations

import math
import threading
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from tamingplat.engine import TrainingDivergedError, make_accelerator, train
from tamingplat.engine.devices import check_division
from tamingplat.interfaces import TamingplatError, TrainingSettings
from tamingplat.interfaces.models import Trainable


class Diverging(Trainable):
    """Its loss becomes infinite at a step."""

    def __init__(self, at: int) -> None:
        super().__init__()
        self.at = at
        self.weight = nn.Parameter(torch.ones(2))

    def forward(self, batch: Any, *, step: int, phase: str, generator: torch.Generator | None) -> dict[str, Tensor]:
        total = self.weight.square().sum() * (math.inf if step >= self.at else 1.0)
        return {"total": total, "helper": torch.tensor(3.0)}


@pytest.mark.parametrize("log_every", [1, 4, 1000])
def test_a_loss_that_is_not_finite_ends_training(toys: ModuleType, tmp_path: Path, log_every: int):
    with pytest.raises(TrainingDivergedError, match=r"diverged at step 6, phase main: total inf, helper 3"):
        toys.train_here(Diverging(6), toys.Points(), tmp_path, log_every=log_every, checkpoint_every=4, steps=500)
    assert [path.name for path in tmp_path.glob("checkpoint-*")] == ["checkpoint-4"]


def test_weights_that_are_not_finite_are_never_written(toys: ModuleType, tmp_path: Path):
    class Broken(Diverging):
        def forward(self, batch: Any, *, step: int, phase: str, generator: torch.Generator | None) -> dict[str, Tensor]:
            # The loss is finite, its gradient is not.
            return {"total": (self.weight - self.weight.detach()).abs().sqrt().sum()}

    with pytest.raises(TrainingDivergedError, match=r"after step 1 these weights are not finite: weight"):
        toys.train_here(Broken(0), toys.Points(), tmp_path, steps=1)
    assert not list(tmp_path.glob("checkpoint-*"))


@pytest.mark.parametrize(("batch_size", "accumulation_steps"), [(9, 3), (8, 1)])
def test_a_batch_that_processes_cannot_share_is_refused(batch_size: int, accumulation_steps: int):
    settings = TrainingSettings(batch_size=batch_size, accumulation_steps=accumulation_steps)
    check_division(settings, 1)
    with pytest.raises(TamingplatError, match=rf"{batch_size} is not divisible by 5 processes × {accumulation_steps} acc"):
        check_division(settings, 5)


def test_no_examples_are_refused(toys: ModuleType, tmp_path: Path):
    with pytest.raises(TamingplatError, match="no training examples"):
        toys.train_here(toys.build("regressor"), toys.Points(length=0), tmp_path)


def test_training_works_in_another_thread_and_stops_when_asked(toys: ModuleType, tmp_path: Path):
    caught: list[BaseException] = []
    asked = threading.Event()
    settings = TrainingSettings(batch_size=8, steps=10**6, log_every=1, checkpoint_every=10**6)

    def work() -> None:
        try:
            train(
                toys.build("regressor"),
                toys.Points(),
                settings,
                accelerator=make_accelerator(settings, "cpu"),
                seed=0,
                work=tmp_path,
                report=lambda progress: asked.set() if progress.step >= 5 else None,
                stop=asked.is_set,
            )
        except BaseException as error:
            caught.append(error)

    thread = threading.Thread(target=work)
    thread.start()
    thread.join(timeout=60)
    assert not thread.is_alive()
    assert isinstance(caught[0], KeyboardInterrupt)
    assert [path.name for path in tmp_path.glob("checkpoint-*")] == ["checkpoint-6"]
