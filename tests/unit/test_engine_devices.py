"""Device requests and Accelerators."""

from __future__ import annotations

import pytest
import torch

from tamingplat.engine import available_devices, device_name, make_accelerator, resolve_device
from tamingplat.interfaces import TamingplatError, TrainingSettings


def test_the_cpu_is_always_there():
    assert available_devices()[0] == "cpu"
    assert resolve_device("cpu") == torch.device("cpu")
    assert device_name(torch.device("cpu")).startswith("cpu (")


@pytest.mark.parametrize("request_", ["cuda:99", "xpu:99"])
def test_an_absent_device_is_refused_with_what_there_is(request_: str):
    with pytest.raises(TamingplatError, match=f"device '{request_}' does not exist; on this machine there is cpu"):
        resolve_device(request_)


def test_what_is_no_device_is_refused():
    with pytest.raises(TamingplatError, match="'gpu' is not a device; on this machine there is cpu"):
        resolve_device("gpu")


def test_auto_takes_an_accelerator_where_there_is_one(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.delenv("ACCELERATE_USE_CPU", raising=False)
    monkeypatch.setattr("tamingplat.engine.devices.available_devices", lambda: ("cpu", "cuda:0", "cuda:1", "mps"))
    assert resolve_device("auto") == torch.device("cuda:0")
    assert resolve_device("cuda:1") == torch.device("cuda:1")
    monkeypatch.setenv("LOCAL_RANK", "1")
    assert resolve_device("cuda") == torch.device("cuda:1")
    monkeypatch.setattr("tamingplat.engine.devices.available_devices", lambda: ("cpu", "mps"))
    assert resolve_device("auto") == torch.device("cpu")
    assert resolve_device("mps") == torch.device("mps")


def test_the_environment_can_ask_for_the_cpu(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("tamingplat.engine.devices.available_devices", lambda: ("cpu", "cuda:0"))
    monkeypatch.setenv("ACCELERATE_USE_CPU", "1")
    assert resolve_device("auto") == torch.device("cpu")
    with pytest.raises(TamingplatError, match="contradicts ACCELERATE_USE_CPU"):
        resolve_device("cuda")


def test_accelerators_of_any_precision_live_in_one_process(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("ACCELERATE_MIXED_PRECISION", "bf16")
    monkeypatch.setenv("ACCELERATE_GRADIENT_ACCUMULATION_STEPS", "4")
    for precision in ("bfloat16", "float32", "float16"):
        settings = TrainingSettings(batch_size=4, accumulation_steps=2, precision=precision)
        accelerator = make_accelerator(settings, "cpu")
        assert accelerator.mixed_precision == "no" and accelerator.gradient_accumulation_steps == 1
        assert accelerator.device == torch.device("cpu") and accelerator.num_processes == 1


def test_a_gpu_without_bfloat16_is_named(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("tamingplat.engine.devices.available_devices", lambda: ("cpu", "cuda:0"))
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda: False)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda device: "Old Card")
    monkeypatch.delenv("ACCELERATE_USE_CPU", raising=False)
    with pytest.raises(TamingplatError, match="Old Card cannot compute in bfloat16; use float16 or float32"):
        make_accelerator(TrainingSettings(precision="bfloat16"), "cuda")
