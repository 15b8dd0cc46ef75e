"""Clocks, memory, operations, contention and utilisation."""

from __future__ import annotations

import os
import time
from pathlib import Path
from types import ModuleType

import pytest
import torch

from tamingplat.engine import clock as costs
from tamingplat.engine import make_accelerator, train
from tamingplat.engine.clock import Clock, Contention, PeakMemory
from tamingplat.engine.flops import FlopMeter
from tamingplat.engine.utilisation import matmul_rate, model_flops_utilisation, training_rate
from tamingplat.interfaces import TrainingSettings

CPU = torch.device("cpu")


def _work(seconds: float) -> None:
    end = time.process_time() + seconds
    while time.process_time() < end:
        pass


def test_the_clock_counts_what_it_should():
    clock = Clock(CPU)
    with clock.running():
        _work(0.05)
        with clock.paused():
            time.sleep(0.3)
        with clock.loading():
            time.sleep(0.05)
        with clock.logging():
            _work(0.02)
    time.sleep(0.1)
    assert clock.read() >= 0.1 and clock.seconds - clock.cpu_seconds >= 0.04
    assert clock.cpu_seconds == pytest.approx(0.07, abs=0.03)
    assert clock.loading_seconds >= 0.05 and clock.logging_seconds >= 0.02
    later = Clock(CPU)
    later.restore(clock.state())
    with later.running():
        _work(0.01)
    assert later.cpu_seconds == pytest.approx(clock.cpu_seconds + 0.01, abs=0.01)


@pytest.mark.skipif(not Path("/proc/self/clear_refs").exists(), reason="the peak cannot be restarted here")
def test_peak_memory_is_of_this_run_alone():
    big = torch.ones(32 * 2**20)
    first = PeakMemory(CPU)
    del big
    second = PeakMemory(CPU)
    assert second.read() < first.read() + 2**20
    freed = PeakMemory(CPU).read()
    again = torch.ones(32 * 2**20)
    grown = second.read()
    assert grown >= freed + 100 * 2**20 and again[0] == 1
    second.restore(grown * 2)
    assert second.read() == grown * 2


def test_operations_are_counted_once_per_set_of_phases():
    meter = FlopMeter(processes=2)
    weight = torch.ones(3, 5, requires_grad=True)
    counted = []
    for phases in (["a"], ["a"], ["a", "b"], ["a"]):
        with meter.step(phases) as first:
            counted.append(first)
            for _ in phases:
                (torch.ones(7, 3) @ weight).sum().backward()
    assert counted == [True, False, True, False]
    once = 2 * (2 * 7 * 3 * 5) * 2  # forward and the weight's gradient, two processes
    assert meter.total == 5 * once
    other = FlopMeter(processes=2)
    other.restore(meter.state())
    with other.step(["a", "b"]) as first:
        assert not first
    assert other.total == 7 * once


def test_counting_operations_changes_no_number(toys: ModuleType):
    model, batch = toys.build("adversarial"), toys.Points().load(range(8), 0)
    gradients = []
    for meter in (FlopMeter(1), None):
        model.zero_grad()
        if meter is None:
            model(batch, step=9, phase="autoencoder", generator=None)["total"].backward()
        else:
            with meter.step(["autoencoder"]):
                model(batch, step=9, phase="autoencoder", generator=None)["total"].backward()
        gradients.append([parameter.grad.clone() for parameter in model.encoder.parameters()])
    torch.testing.assert_close(gradients[0], gradients[1], rtol=0, atol=0)


def test_contention_is_a_high_load(monkeypatch: pytest.MonkeyPatch):
    cores = os.cpu_count() or 1
    monkeypatch.setattr(os, "getloadavg", lambda: (1.0 * cores, 0.0, 0.0))
    contention = Contention()
    assert not contention.seen
    monkeypatch.setattr(os, "getloadavg", lambda: (1.5 * cores, 0.0, 0.0))
    contention.sample()
    monkeypatch.setattr(os, "getloadavg", lambda: (0.0, 0.0, 0.0))
    contention.sample()
    assert contention.seen


def test_contention_is_a_wait_for_a_processor(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(os, "getloadavg", lambda: (0.0, 0.0, 0.0))
    second, threads = 10**9, {"1": (5 * 10**9, 4 * 10**9)}
    monkeypatch.setattr(costs, "_threads", lambda: dict(threads))
    contention = Contention()
    threads |= {"1": (6 * second, 4 * second), "2": (second, second // 100)}  # what was before does not count
    contention.sample()
    assert not contention.seen
    del threads["2"]
    threads |= {"1": (9 * second, 5 * second)}
    contention.sample()
    assert contention.seen


def test_waits_for_a_processor_are_counted_where_the_system_counts_them():
    before = costs._threads()
    if not before:
        pytest.skip("this system does not count how long threads wait")
    deadline = time.process_time() + 0.05
    while time.process_time() < deadline:
        pass
    ran = {thread: now[0] - before.get(thread, (0, 0))[0] for thread, now in costs._threads().items()}
    assert 0.04e9 < max(ran.values()) < 1e9


def test_what_pauses_a_clock_is_neither_training_nor_logging():
    clock = Clock(CPU)
    with clock.running():
        with clock.logging(), clock.paused():
            time.sleep(0.05)
        with clock.paused(), clock.paused():
            time.sleep(0.05)
    assert clock.seconds < 0.04 and clock.logging_seconds < 0.04
    with clock.paused():
        pass
    assert clock.read() == clock.seconds  # it stood still, and does


def test_utilisation_compares_training_with_a_matrix_product(toys: ModuleType, tmp_path: Path):
    settings = TrainingSettings(steps=6, batch_size=8, log_every=2)
    accelerator = make_accelerator(settings, "cpu")
    record = train(
        toys.build("regressor"), toys.Points(), settings, accelerator=accelerator, seed=0, work=tmp_path, report=lambda _: None
    )
    first, last = record.curve[0], record.curve[2]
    assert (first.step, last.step) == (2, 6)
    assert training_rate(record) == pytest.approx(record.flops * 4 / 6 / (last.seconds - first.seconds))
    assert 1e8 < matmul_rate(CPU, "float32", size=256, seconds=0.05) < 1e14
    assert 0 < model_flops_utilisation(record, CPU, size=256, seconds=0.05) < 1
