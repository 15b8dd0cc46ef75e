"""Settings of the executors. None of them changes what a result means, so all of them stay out of content keys."""

from __future__ import annotations

import re
from typing import Annotated

from pydantic import Field, field_validator

from tamingplat.interfaces import Config, Runtime

CPU = "cpu"
_DEVICE = re.compile(r"cpu|\d+|(GPU|MIG)-[\w/-]+")


class LocalConfig(Config):
    """Settings of the executor ``local``."""

    jobs: Annotated[int, Runtime()] = Field(
        0, ge=0, description="Stages that run at once; 0 is one per device, and the CPU counts as one device."
    )
    devices: Annotated[tuple[int | str, ...], Runtime()] = Field(
        (),
        description='GPUs by number or identifier, or "cpu"; none named is every visible GPU, or the CPU without one.',
    )
    threads: Annotated[int, Runtime()] = Field(
        0, ge=0, description="CPU threads of each stage; 0 divides the cores among the jobs."
    )
    stop_seconds: Annotated[float, Runtime()] = Field(
        60.0, ge=0, description="How long an interrupted stage may take to save its state before it is terminated."
    )

    @field_validator("devices")
    @classmethod
    def _known_devices(cls, devices: tuple[int | str, ...]) -> tuple[int | str, ...]:
        for device in devices:
            if not _DEVICE.fullmatch(str(device)):
                raise ValueError(f'{device!r} is no device; write "cpu", the number of a GPU, or its identifier ("GPU-…")')
        if len(set(map(str, devices))) < len(devices):
            raise ValueError("a device is named twice; use jobs to run several stages on one")
        if CPU in devices and len(devices) > 1:
            raise ValueError('"cpu" stands alone; the stages on GPUs use the CPU as well')
        return devices


class AccelerateConfig(Config):
    """Settings of the executor ``accelerate``."""

    processes: Annotated[int, Runtime()] = Field(
        0, ge=0, description="Processes of each training; 0 is one per visible GPU, or two (one on a single core) on the CPU."
    )
    cpu: Annotated[bool, Runtime()] = Field(False, description="Leave the GPUs alone.")
    threads_per_process: Annotated[int, Runtime()] = Field(
        0, ge=0, description="CPU threads of each process; 0 divides the cores among the processes."
    )
    stop_seconds: Annotated[float, Runtime()] = Field(
        60.0, ge=0, description="How long an interrupted stage may take to save its state before it is terminated."
    )
