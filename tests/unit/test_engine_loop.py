"""The training loop on small models."""

from __future__ import annotations

import json
import math
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from tamingplat.engine import CurvePoint, Progress, TrainingRecord
from tamingplat.interfaces.models import Trainable


def weights(model: nn.Module) -> dict[str, Tensor]:
    return {name: value.clone() for name, value in model.state_dict().items()}


def terms(record: TrainingRecord, split: str = "train") -> list[dict[str, float]]:
    return [dict(point.terms) for point in record.curve if point.split == split]


def test_a_small_problem_is_learned(toys: ModuleType, tmp_path: Path):
    model = toys.build("regressor")
    record = toys.train_here(model, toys.Points(8), tmp_path, steps=300, learning_rate=1e-2, schedule="cosine", log_every=100)
    losses = [point["total"] for point in terms(record)]
    assert len(losses) == 3 and losses[-1] < 0.02 < losses[0]
    assert not model.training and all(parameter.grad is None for parameter in model.parameters())


def test_the_record_tells_steps_images_and_costs(toys: ModuleType, tmp_path: Path):
    model = toys.build("regressor")
    record = toys.train_here(model, toys.Points(), tmp_path, steps=10, log_every=4, validate_every=5, ema_decay=0.9)
    assert [(point.split, point.step, point.images) for point in record.curve] == [
        ("train", 4, 32),
        ("validation", 5, 40),
        ("train", 8, 64),
        ("train", 10, 80),
        ("validation", 10, 80),
    ]
    assert record.steps == 10 and record.images == 80 and record.parameters == 7 * 24 + 25
    assert record.averaged and record.precision == "float32" and record.processes == 1 and record.resumptions == 0
    assert record.threads == torch.get_num_threads()
    # Forward and both halves of backward of the second layer; the first needs no gradient of its input.
    assert record.flops == 10 * 8 * 2 * (2 * 6 * 24 + 3 * 24)
    assert 0 < record.loading_seconds + record.logging_seconds < record.seconds
    assert record.cpu_seconds > 0 and record.peak_memory_bytes > 2**20
    assert sorted(point.seconds for point in record.curve) == [point.seconds for point in record.curve]
    assert record.validation_terms == record.curve[-1].terms
    assert TrainingRecord.from_json(json.loads(json.dumps(record.to_json()))) == record
    assert [json.loads(line)["terms"] for line in (tmp_path / "curve.jsonl").read_text().splitlines()] == [
        point.terms for point in record.curve
    ]


def test_logged_terms_are_means_over_the_steps_between(toys: ModuleType, tmp_path: Path):
    each = toys.train_here(toys.build("regressor"), toys.Points(), tmp_path / "a", steps=6)
    some = toys.train_here(toys.build("regressor"), toys.Points(), tmp_path / "b", steps=6, log_every=3)
    losses = [point["total"] for point in terms(each)]
    assert [point["total"] for point in terms(some)] == [math.fsum(losses[:3]) / 3, math.fsum(losses[3:]) / 3]


def test_phases_step_their_own_parameters_alone(toys: ModuleType, tmp_path: Path):
    model = toys.build("adversarial")
    before = weights(model)
    toys.train_here(model, toys.Points(), tmp_path / "early", steps=5)
    early = weights(model)
    changed = {name for name in before if not torch.equal(before[name], early[name])}
    assert changed == {"encoder.0.weight", "encoder.0.bias", "decoder.weight", "decoder.bias"}

    model = toys.build("adversarial")
    record = toys.train_here(model, toys.Points(), tmp_path / "late", steps=6)
    late = weights(model)
    # The hinge loss gives the critic's last bias a gradient of exactly zero as long as no margin is reached.
    assert {name for name in before if torch.equal(before[name], late[name])} <= {"critic.3.bias"}
    assert [set(point) for point in terms(record)[4:]] == [
        {"autoencoder/total", "autoencoder/reconstruction"},
        {"autoencoder/total", "autoencoder/reconstruction", "autoencoder/weight", "critic/total", "critic/real"},
    ]
    assert all(parameter.requires_grad for parameter in model.parameters())


class Watched(Trainable):
    """Notes in every phase which parameters take gradients."""

    phases = ("one", "two")

    def __init__(self) -> None:
        super().__init__()
        self.one, self.two, self.neither = nn.Linear(6, 1), nn.Linear(6, 1), nn.Linear(6, 1)
        self.seen: set[tuple[str, bool, bool, bool]] = set()

    def phase_parameters(self, phase: str) -> Any:
        from tamingplat.interfaces.models import ParameterGroup

        return (ParameterGroup(tuple((self.one if phase == "one" else self.two).parameters())),)

    def forward(self, batch: Any, *, step: int, phase: str, generator: torch.Generator | None) -> dict[str, Tensor]:
        if self.training:
            modules = (self.one, self.two, self.neither)
            self.seen.add((phase, *(module.weight.requires_grad for module in modules)))
        x = batch["x"]
        return {"total": (self.one(x) * self.two(x) + self.neither(x)).square().mean()}


def test_only_the_running_phase_takes_gradients(toys: ModuleType, tmp_path: Path):
    model = Watched()
    before = weights(model)
    toys.train_here(model, toys.Points(), tmp_path, steps=2)
    assert model.seen == {("one", True, False, False), ("two", False, True, False)}
    assert torch.equal(before["neither.weight"], model.neither.weight)
    assert model.neither.weight.requires_grad


@pytest.mark.parametrize("clip", [None, 0.1])
def test_accumulating_changes_nothing(toys: ModuleType, tmp_path: Path, clip: float | None):
    whole, parts = toys.build("regressor"), toys.build("regressor")
    one = toys.train_here(whole, toys.Points(), tmp_path / "a", gradient_clip=clip)
    other = toys.train_here(parts, toys.Points(), tmp_path / "b", gradient_clip=clip, accumulation_steps=2)
    for name, value in weights(whole).items():
        torch.testing.assert_close(parts.state_dict()[name], value, rtol=1e-4, atol=1e-6)
    for first, second in zip(one.curve, other.curve, strict=True):
        assert second.terms == pytest.approx(first.terms, rel=1e-4)
    assert one.flops == other.flops


def test_clipping_bounds_the_step_of_a_phase(toys: ModuleType, tmp_path: Path):
    norms = []

    class Probe(toys.Regressor):
        def phase_parameters(self, phase: str) -> Any:
            groups = tuple(super().phase_parameters(phase))
            for parameter in groups[0].parameters:
                parameter.register_post_accumulate_grad_hook(lambda p: norms.append(p.grad.norm().item()))
            return groups

    clipped, free = Probe(), Probe()
    free.load_state_dict(clipped.state_dict())
    toys.train_here(free, toys.Points(), tmp_path / "a", steps=1, betas=(0.0, 0.0), optimizer="adam")
    assert math.hypot(*norms) > 1e-3
    toys.train_here(clipped, toys.Points(), tmp_path / "b", steps=1, betas=(0.0, 0.0), optimizer="adam", gradient_clip=1e-12)
    # Adam divides by the gradient's size plus 1e-8: a gradient clipped far below that hardly moves anything.
    assert (clipped.hidden.weight - free.hidden.weight).abs().max() > 1e-5


def test_averaged_weights_are_the_result(toys: ModuleType, tmp_path: Path):
    trace: list[dict[str, Tensor]] = []
    plain = toys.build("regressor")
    trace.append(weights(plain))
    toys.train_here(plain, toys.Points(), tmp_path / "a", steps=5, report=lambda progress: trace.append(weights(plain)))
    expected = trace[0]
    for step in range(1, 6):
        expected = {name: 0.8 * expected[name] + 0.2 * trace[step][name] for name in expected}
    averaged = toys.build("regressor")
    record = toys.train_here(averaged, toys.Points(), tmp_path / "b", steps=5, ema_decay=0.8)
    torch.testing.assert_close(weights(averaged), expected)
    with torch.no_grad():
        batch = toys.Points().load_validation(range(11))
        found = averaged(batch, step=5, phase="main", generator=None)["total"].item()
    assert record.validation_terms["total"] == pytest.approx(found, rel=1e-5)


def test_validation_counts_every_example_alike(toys: ModuleType, tmp_path: Path):
    model = toys.build("noisy")
    data = toys.Points(validation_length=11)
    record = toys.train_here(model, data, tmp_path, steps=3, validation_images=9, accumulation_steps=2)
    with torch.no_grad():
        expected = model(data.load_validation(range(9)), step=3, phase="main", generator=None)
    assert record.validation_terms == pytest.approx({name: value.item() for name, value in expected.items()}, rel=1e-5)
    validated = [address for address in data.addresses if address[0] < 0]
    assert validated == [(-1, (0, 4), 4), (-2, (0, 4), 4), (-3, (0, 1), 1)]


def test_batches_are_addressed_by_step_and_rows(toys: ModuleType, tmp_path: Path):
    data = toys.Points(validation_length=0)
    record = toys.train_here(toys.build("regressor"), data, tmp_path, steps=2, accumulation_steps=2)
    assert data.addresses == [(0, (0, 4), 8), (0, (4, 8), 8), (1, (0, 4), 8), (1, (4, 8), 8)]
    assert terms(record, "validation") == [] and record.validation_terms == {}


def test_randomness_comes_from_the_seed_alone_and_is_given_back(toys: ModuleType, tmp_path: Path):
    torch.manual_seed(5)
    expected = torch.rand(3)
    results = []
    for turn, (seed, before) in enumerate([(1, 5), (1, 6), (2, 5)]):
        torch.manual_seed(before)
        model = toys.build("noisy")
        results.append(terms(toys.train_here(model, toys.Points(), tmp_path / str(turn), seed=seed)))
        if before == 5:
            assert torch.equal(torch.rand(3), expected)
    assert results[0] == results[1] != results[2]


def test_parts_and_phases_draw_their_own_randomness(toys: ModuleType, tmp_path: Path):
    draws: list[tuple[float, float]] = []

    class Drawing(toys.Adversarial):
        def forward(self, batch: Any, *, step: int, phase: str, generator: torch.Generator | None) -> dict[str, Tensor]:
            if generator is not None:
                draws.append((torch.rand(()).item(), torch.rand((), generator=generator).item()))
            return super().forward(batch, step=step, phase=phase, generator=generator)

    toys.train_here(Drawing(start=0), toys.Points(), tmp_path, steps=3, accumulation_steps=2)
    numbers = [number for pair in draws for number in pair]
    assert len(numbers) == len(set(numbers)) == 3 * 2 * 2 * 2


def test_bfloat16_then_float32_in_one_process(toys: ModuleType, tmp_path: Path):
    types: list[torch.dtype] = []

    class Typed(toys.Regressor):
        def forward(self, batch: Any, *, step: int, phase: str, generator: torch.Generator | None) -> dict[str, Tensor]:
            types.append(self.hidden(batch["x"]).dtype)
            return super().forward(batch, step=step, phase=phase, generator=generator)

    records = []
    for precision in ("bfloat16", "float32", "float16", "float32"):
        torch.manual_seed(0)
        model = Typed()
        records.append(toys.train_here(model, toys.Points(), tmp_path / str(len(records)), precision=precision))
        assert all(parameter.dtype == torch.float32 for parameter in model.parameters())
    per_run = len(types) // 4
    assert [set(types[start : start + per_run]) for start in range(0, len(types), per_run)] == [
        {torch.bfloat16},
        {torch.float32},
        {torch.float16},
        {torch.float32},
    ]
    half, single, scaled, again = ([point["total"] for point in terms(record)] for record in records)
    assert single == again and half != single
    assert half == pytest.approx(single, rel=0.05) and scaled == pytest.approx(single, rel=0.05)


def test_terms_other_than_the_total_may_be_infinite(toys: ModuleType, tmp_path: Path):
    class Odd(toys.Regressor):
        def forward(self, batch: Any, *, step: int, phase: str, generator: torch.Generator | None) -> dict[str, Tensor]:
            result = super().forward(batch, step=step, phase=phase, generator=generator)
            return {**result, "ratio": torch.tensor(math.inf if step % 4 == 2 else 1.0)}

    record = toys.train_here(Odd(), toys.Points(), tmp_path, steps=8, log_every=2, checkpoint_every=3)
    assert ["ratio" in point for point in terms(record)] == [True, False, True, False]


def test_no_steps_leave_the_initial_weights(toys: ModuleType, tmp_path: Path):
    model = toys.build("regressor")
    before = weights(model)
    record = toys.train_here(model, toys.Points(), tmp_path, steps=0)
    torch.testing.assert_close(weights(model), before, rtol=0, atol=0)
    assert [point.split for point in record.curve] == ["validation"] and record.steps == 0 and not model.training


def test_progress_is_reported(toys: ModuleType, tmp_path: Path):
    seen: list[Progress] = []
    toys.train_here(
        toys.build("regressor"), toys.Points(), tmp_path, steps=6, log_every=2, validate_every=4, report=seen.append
    )
    assert [(progress.stage, progress.step) for progress in seen] == [
        ("training", 2),
        ("training", 4),
        ("validating", 4),
        ("training", 6),
        ("validating", 6),
    ]
    assert all(progress.steps == 6 and progress.images_per_second > 0 for progress in seen)
    assert seen[0].terms.keys() == {"total", "absolute"}
    assert seen[0].eta_seconds > 0 and seen[-1].eta_seconds == 0


def test_workers_change_nothing(toys: ModuleType, tmp_path: Path):
    inline, apart = toys.build("noisy"), toys.build("noisy")
    one = toys.train_here(inline, toys.Points(), tmp_path / "a")
    other = toys.train_here(apart, toys.Points(), tmp_path / "b", workers=1)
    torch.testing.assert_close(weights(inline), weights(apart), rtol=0, atol=0)
    assert terms(one) == terms(other) and one.validation_terms == other.validation_terms


def test_compiling_goes_through_the_whole_loop(toys: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    compiled = torch.compile
    monkeypatch.setattr(torch, "compile", lambda module: compiled(module, backend="eager"))
    one = toys.train_here(toys.build("adversarial"), toys.Points(), tmp_path / "a", steps=8)
    model = toys.build("adversarial")
    other = toys.train_here(model, toys.Points(), tmp_path / "b", steps=8, compile=True, ema_decay=0.5)
    for first, second in zip(terms(one), terms(other), strict=True):
        assert second == pytest.approx(first, rel=1e-4)
    assert one.flops == other.flops
    assert set(model.state_dict()) == set(toys.build("adversarial").state_dict())


def test_curve_points_survive_json():
    point = CurvePoint("train", 3, 24, 0.5, None, {"total": 0.1})
    assert CurvePoint.from_json(json.loads(json.dumps(point.__dict__))) == point
