"""Devices and processes: the one place where an Accelerator is made.

Accelerate keeps its mixed precision in a state of the whole process, which the first Accelerator sets for all later ones. The
loop therefore asks Accelerate for devices, processes and gradient synchronisation alone, and applies ``precision`` and
``accumulation_steps`` itself: models of different precision can be trained one after the other in one process.
"""

from __future__ import annotations

import os
import platform
from datetime import timedelta

import torch
from accelerate import Accelerator, PartialState
from accelerate.utils import GradientAccumulationPlugin, InitProcessGroupKwargs, parse_flag_from_env

from tamingplat.interfaces import TamingplatError, TrainingSettings

AUTOCAST_TYPES = {"float32": None, "bfloat16": torch.bfloat16, "float16": torch.float16}
"""The arithmetic of a precision, as autocast takes it; ``None`` where autocast is off."""

# One process may fit or write for long while the others wait for it.
_PATIENCE = timedelta(hours=6)


def available_devices() -> tuple[str, ...]:
    """What a device request can name on this machine."""
    devices = ["cpu"]
    if torch.cuda.is_available():
        devices += [f"cuda:{index}" for index in range(torch.cuda.device_count())]
    if torch.xpu.is_available():
        devices += [f"xpu:{index}" for index in range(torch.xpu.device_count())]
    if torch.backends.mps.is_available():
        devices.append("mps")
    return tuple(devices)


def resolve_device(request: str) -> torch.device:
    """The device that a request means, with its index where the kind has several.

    Args:
        request: ``auto``, ``cpu``, ``cuda``, ``cuda:1``, ``xpu``, ``mps``, …. ``auto`` takes CUDA, then XPU, then the CPU;
            ``mps`` is taken only where it is named, because it has no float64, which sampling needs. Under a launcher that
            started one process per device, a request without an index means this process's own. ``ACCELERATE_USE_CPU=1`` in
            the environment makes ``auto`` the CPU.

    Raises:
        TamingplatError: No such device; the message lists what there is.
    """
    available = available_devices()
    only_cpu = parse_flag_from_env("ACCELERATE_USE_CPU")
    if request == "auto":
        kinds = [] if only_cpu else [kind for kind in ("cuda", "xpu") if f"{kind}:0" in available]
        request = kinds[0] if kinds else "cpu"
    choices = f"on this machine there is {', '.join(available)}, and auto chooses"
    try:
        device = torch.device(request)
    except RuntimeError:
        raise TamingplatError(f"device {request!r} is not a device; {choices}") from None
    if device.type in ("cuda", "xpu") and device.index is None:
        count = sum(name.startswith(f"{device.type}:") for name in available)
        device = torch.device(device.type, int(os.environ.get("LOCAL_RANK", "0")) % max(count, 1))
    elif device.type in ("cpu", "mps"):
        device = torch.device(device.type)
    if str(device) not in available:
        raise TamingplatError(f"device {request!r} does not exist; {choices}")
    if only_cpu and device.type != "cpu":
        raise TamingplatError(f"device {request!r} contradicts ACCELERATE_USE_CPU in the environment; unset it")
    return device


def device_name(device: torch.device) -> str:
    """What a person would call a device: a GPU's name, or the processor's architecture."""
    return torch.cuda.get_device_name(device) if device.type == "cuda" else f"{device.type} ({platform.machine()})"


def make_accelerator(settings: TrainingSettings | None, device: str = "auto") -> Accelerator:
    """The Accelerator with which ``settings`` are trained, on one or several processes; ``None`` where nothing is trained.

    It can be called any number of times in one process, with other settings and, outside distributed training, other devices.

    Raises:
        TamingplatError: The device is absent or cannot compute in the settings' precision, or the batch cannot be divided.
    """
    chosen = resolve_device(device)
    if settings is not None:
        _check_precision(settings.precision, chosen)
    # The first call in a process connects the processes, later ones find what is there. Without ``cpu`` Accelerate would take
    # CPU processes that a launcher started for as many separate trainings.
    state = PartialState(cpu=chosen.type == "cpu", **InitProcessGroupKwargs(timeout=_PATIENCE).to_kwargs())
    if not state.use_distributed or state.device.type == chosen.type == "cpu":
        state.device = chosen
    elif state.device != chosen:
        place = f"process {state.process_index} of {state.num_processes}"
        raise TamingplatError(f"device {device!r}: {place} is on {state.device}; ask for {state.device.type} without an index")
    if chosen.index is not None:
        torch.get_device_module(chosen).set_device(chosen)
    accelerator = Accelerator(
        mixed_precision="no",
        cpu=chosen.type == "cpu",
        gradient_accumulation_plugin=GradientAccumulationPlugin(num_steps=1),
    )
    if settings is not None:
        check_division(settings, accelerator.num_processes)
    return accelerator


def check_training(settings: TrainingSettings, device: str, processes: int) -> None:
    """Refuse, before anything is trained, what ``make_accelerator`` would refuse.

    Raises:
        TamingplatError: The device is absent or cannot compute in the settings' precision, or the batch cannot be divided.
    """
    _check_precision(settings.precision, resolve_device(device))
    check_division(settings, processes)


def check_division(settings: TrainingSettings, processes: int) -> None:
    """Refuse a global batch that the processes and accumulation steps cannot share equally.

    Raises:
        TamingplatError: It cannot be divided; the message names the numbers.
    """
    parts = processes * settings.accumulation_steps
    if settings.batch_size % parts:
        raise TamingplatError(
            f"train.batch_size: {settings.batch_size} is not divisible by {processes} processes × "
            f"{settings.accumulation_steps} accumulation steps; use a multiple of {parts}"
        )


def _check_precision(precision: str, device: torch.device) -> None:
    if precision == "bfloat16" and device.type == "cuda" and not torch.cuda.is_bf16_supported():
        name = torch.cuda.get_device_name(device)
        raise TamingplatError(f"train.precision: {name} cannot compute in bfloat16; use float16 or float32")
