"""Costs that are found out on the meta device beside those of real trainings and real tensors."""

from __future__ import annotations

import copy
from pathlib import Path
from types import ModuleType

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from tamingplat.engine import KnownOperations, TrainingEstimate, estimate_training, make_accelerator, part_size, train
from tamingplat.engine.flops import FlopMeter
from tamingplat.engine.meta_arithmetic import MetaArithmetic
from tamingplat.engine.operation_counter import OperationCounter
from tamingplat.engine.saved_memory import SavedMemory
from tamingplat.interfaces import TamingplatError, TrainingSettings
from tamingplat.interfaces.models import Trainable, without_autocast

META = torch.device("meta")


def estimate(toys: ModuleType, settings: TrainingSettings, processes: int = 1, kind: str = "adversarial") -> TrainingEstimate:
    model = toys.build(kind).to(META)
    batch = {name: tensor.to(META) for name, tensor in toys.Points().load(range(part_size(settings, processes)), 0).items()}
    return estimate_training(model, batch, settings, processes=processes)


@pytest.mark.parametrize("accumulation", [1, 2])
def test_operations_are_those_that_a_training_records(toys: ModuleType, tmp_path: Path, accumulation: int) -> None:
    # The critic begins at step 5, so that there are two sets of phases.
    settings = TrainingSettings(steps=8, batch_size=8, accumulation_steps=accumulation)
    record = train(
        toys.build("adversarial"),
        toys.Points(),
        settings,
        accelerator=make_accelerator(settings, "cpu"),
        seed=0,
        work=tmp_path,
        report=lambda progress: None,
    )
    assert estimate(toys, settings).flops == record.flops


def test_operations_grow_with_steps_and_batch_and_not_with_the_number_of_parts(toys: ModuleType) -> None:
    plain = estimate(toys, TrainingSettings(steps=4, batch_size=8))
    assert estimate(toys, TrainingSettings(steps=4, batch_size=32)).flops == 4 * plain.flops
    assert estimate(toys, TrainingSettings(steps=4, batch_size=8, accumulation_steps=4)).flops == plain.flops
    assert estimate(toys, TrainingSettings(steps=4, batch_size=8), processes=2).flops == plain.flops
    # One set of phases up to step 5, another one from there on.
    early, late = (estimate(toys, TrainingSettings(steps=steps, batch_size=8)).flops for steps in (5, 6))
    assert early == 5 * plain.flops // 4 and late - early > plain.flops // 4
    assert estimate(toys, TrainingSettings(steps=0, batch_size=8)).flops == 0


def test_memory_grows_with_the_images_that_are_in_it_at_once(toys: ModuleType) -> None:
    sizes = [estimate(toys, TrainingSettings(steps=8, batch_size=size)) for size in (4, 8, 16)]
    assert sizes[0].memory_bytes < sizes[1].memory_bytes < sizes[2].memory_bytes
    assert sizes[2].saved_bytes - sizes[1].saved_bytes == 2 * (sizes[1].saved_bytes - sizes[0].saved_bytes)
    assert estimate(toys, TrainingSettings(steps=8, batch_size=16, accumulation_steps=2)).memory_bytes == sizes[1].memory_bytes
    assert estimate(toys, TrainingSettings(steps=8, batch_size=16), processes=4).memory_bytes == sizes[0].memory_bytes
    averaged = estimate(toys, TrainingSettings(steps=8, batch_size=8, ema_decay=0.9))
    parameters = sum(parameter.numel() for parameter in toys.build("adversarial").parameters())
    assert averaged.memory_bytes - sizes[1].memory_bytes == 4 * parameters


def test_a_batch_that_cannot_be_divided_is_refused() -> None:
    with pytest.raises(TamingplatError, match="not divisible"):
        part_size(TrainingSettings(batch_size=8), processes=3)


class Attention(nn.Module):
    """What models are made of: attention, normalisations, convolutions, a perceptron with a residual connection."""

    def __init__(self) -> None:
        super().__init__()
        self.norm, self.qkv, self.out = nn.LayerNorm(16), nn.Linear(16, 48), nn.Linear(16, 16)
        self.group, self.conv = nn.GroupNorm(4, 16), nn.Conv1d(16, 16, 3, padding=1)

    def forward(self, x: torch.Tensor, mask: torch.Tensor | None = None) -> torch.Tensor:
        parts = self.qkv(self.norm(x)).view(len(x), -1, 3, 2, 8).permute(2, 0, 3, 1, 4)
        attended = F.scaled_dot_product_attention(*parts, attn_mask=mask, is_causal=mask is None)
        x = x + self.out(attended.transpose(1, 2).flatten(2))
        return (x + F.gelu(self.conv(self.group(x.transpose(1, 2)))).transpose(1, 2)).softmax(-1)


# Of three sequences of 12: the projections and the convolution, twice as much again backward; two products of all pairs in each
# of two heads of 8 values, and five such products backward, of which one works the weights out again.
DENSE = 2 * 3 * 12 * (16 * 48 + 16 * 16 + 3 * 16 * 16)
ATTENTION = (2 + 5) * 2 * 3 * 2 * 12 * 12 * 8


@pytest.mark.parametrize("masked", [False, True])
def test_operations_and_memory_are_those_of_real_tensors(masked: bool) -> None:
    layer, x = Attention(), torch.randn(3, 12, 16)
    mask = torch.ones(12, 12, dtype=torch.bool).tril() if masked else None
    memory = SavedMemory(layer.parameters())
    meter = FlopMeter(processes=1)
    with meter.step(()), memory.counting():
        layer(x, mask).square().sum().backward()
    known = KnownOperations()
    for _ in range(2):  # the second time everything is known
        skeleton = copy.deepcopy(layer).to(META)
        saved = SavedMemory(skeleton.parameters())
        with OperationCounter(known) as counted, MetaArithmetic(), saved.counting():
            skeleton(x.to(META), None if mask is None else mask.to(META)).square().sum().backward()
        assert counted.total == meter.total == 3 * DENSE + ATTENTION
        assert saved.peak == pytest.approx(memory.peak, rel=0.02)
        assert all(one.grad is not None and one.grad.shape == one.shape for one in skeleton.parameters())
    assert len(known.outcomes) > 20


def test_the_meta_device_follows_autocast() -> None:
    x, weight = torch.empty(4, 8, device=META), torch.empty(8, 8, device=META)
    with MetaArithmetic(), torch.autocast("cpu", dtype=torch.bfloat16):
        low = F.linear(x, weight)
        assert low.dtype == (x @ weight).dtype == torch.bfloat16
        assert F.layer_norm(low, (8,)).dtype == low.softmax(-1).dtype == torch.float32
        assert (low + x).dtype == torch.float32
        with without_autocast(META):
            assert F.linear(x, weight).dtype == torch.float32
    with MetaArithmetic():
        assert F.linear(x, weight).dtype == torch.float32


def test_what_is_kept_is_counted_once_and_given_back() -> None:
    weight = torch.ones(100, requires_grad=True)
    memory = SavedMemory([weight])
    with memory.counting():
        product = weight * torch.full((100,), 2.0)  # keeps the factor, and not the weight
        assert memory.peak == 400
        product = product.view(10, 10).sigmoid()  # keeps its result
        product = product.view(100) * product.view(100)  # keeps it once more, and twice
        assert memory.peak == 800
        del product
        (weight * torch.full((200, 100), 2.0)[0]).sum()
    assert memory.peak == 200 * 400


class Peeking(Trainable):
    """Looks at a value, which nothing on the meta device has."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(2, device=META))

    def forward(self, batch: torch.Tensor, **_: object) -> dict[str, torch.Tensor]:
        return {"total": self.weight.sum() * float(batch.sum())}


def test_a_model_that_looks_at_values_cannot_be_estimated() -> None:
    with pytest.raises(RuntimeError):
        estimate_training(Peeking(), torch.empty(2, device=META), TrainingSettings(steps=1, batch_size=2))
